import { PUBREL, type Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import type { Outlet } from '../session/outlet.js';
import type { Outbox } from './outbox.js';
import type { Wire } from './wire.js';

/** A session's messages on their way into the outbox of its client, in the words of the client's version. */
export class ClientOutlet implements Outlet {
  readonly #outbox: Outbox;
  readonly #wire: Wire;

  constructor(outbox: Outbox, wire: Wire) {
    this.#outbox = outbox;
    this.#wire = wire;
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom;
  }

  get bytes(): number {
    return this.#outbox.bytes;
  }

  publication(publication: Publication, qos: Qos, packetId: number, retain: boolean): void {
    this.#wire.publication(this.#outbox, publication, qos, packetId, retain);
  }

  message(message: Message, qos: Qos, packetId: number, retain: boolean, dup: boolean): void {
    this.#wire.message(this.#outbox, message, qos, packetId, retain, dup);
  }

  pubrel(packetId: number): void {
    this.#wire.acknowledge(this.#outbox, PUBREL, packetId);
  }
}
