/**
 * Packet ids in order. One that is still in flight is passed over [MQTT-2.3.1-2]; those of queued messages are among
 * the last that were given out, and queues are shorter than 65 535, so they cannot come round again.
 */
export class PacketIds {
  private last = 0;

  next(inUse: { has(packetId: number): boolean }): number {
    let id = this.last;
    do id = id === 65_535 ? 1 : id + 1;
    while (inUse.has(id));
    this.last = id;
    return id;
  }

  /** Goes on behind `packetId`, the last one that was given out before a restart. */
  continueAfter(packetId: number): void {
    this.last = packetId;
  }
}
