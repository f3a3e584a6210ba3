/**
 * Packet ids in order. One that is in flight is passed over [MQTT-2.3.1-2]. A queued message has its id from the moment
 * it is queued, so a queue of more than 65 535 holds some twice; that is harmless until both would be in flight.
 */
export class PacketIds {
  #last = 0;

  next(inUse: { has(packetId: number): boolean }): number {
    let id = this.#last;
    do id = id === 65_535 ? 1 : id + 1;
    while (inUse.has(id));
    this.#last = id;
    return id;
  }

  /** Goes on behind `packetId`, the last one that was given out before a restart. */
  continueAfter(packetId: number): void {
    this.#last = packetId;
  }
}
