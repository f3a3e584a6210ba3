import { PUBREL, type Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import { Reason } from '../mqtt/reason-codes.js';
import type { Traffic } from '../mqtt/traffic.js';
import type { Outlet } from '../session/outlet.js';
import type { Outbox } from './outbox.js';
import type { Wire } from './wire.js';

/** A session's messages on their way into the outbox of its client, in the words of the client's version. */
export class ClientOutlet implements Outlet {
  readonly #outbox: Outbox;
  readonly #wire: Wire;
  readonly #traffic: Traffic;

  constructor(outbox: Outbox, wire: Wire, traffic: Traffic) {
    this.#outbox = outbox;
    this.#wire = wire;
    this.#traffic = traffic;
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom;
  }

  get bytes(): number {
    return this.#outbox.bytes;
  }

  get receiveMaximum(): number {
    return this.#wire.receiveMaximum;
  }

  publication(
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const sent = this.#wire.publication(this.#outbox, publication, qos, packetId, retain, identifiers);
    if (sent) this.#traffic.publishesSent++;
    return sent;
  }

  message(
    message: Message,
    qos: Qos,
    packetId: number,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const sent = this.#wire.message(this.#outbox, message, qos, packetId, retain, dup, identifiers);
    if (sent) this.#traffic.publishesSent++;
    return sent;
  }

  pubrel(packetId: number, known: boolean): void {
    this.#wire.acknowledge(this.#outbox, PUBREL, packetId, known ? Reason.SUCCESS : Reason.PACKET_IDENTIFIER_NOT_FOUND);
  }
}
