import type { Account } from '../fairness/account.js';
import { PUBREL, type Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import { Reason } from '../mqtt/reason-codes.js';
import type { ConnectionTraffic } from '../mqtt/traffic.js';
import type { Counters } from '../observe/counters.js';
import type { Outlet } from '../session/outlet.js';
import type { Outbox } from './outbox.js';
import type { MessageWriter, Wire } from './wire.js';

/** A session's messages on their way into the outbox of its client, in the words of the client's version. */
export class ClientOutlet implements Outlet {
  readonly #outbox: Outbox;
  readonly #wire: Wire;
  readonly #messages: MessageWriter;
  readonly #traffic: ConnectionTraffic;
  readonly #counters: Counters;
  readonly #account: Account;

  constructor(outbox: Outbox, wire: Wire, traffic: ConnectionTraffic, counters: Counters, account: Account) {
    this.#outbox = outbox;
    this.#wire = wire;
    this.#messages = wire.messages;
    this.#traffic = traffic;
    this.#counters = counters;
    this.#account = account;
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom && !this.slowed;
  }

  get slowed(): boolean {
    const { outgoing } = this.#account;
    return outgoing?.closed === true;
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
    const sent = this.#messages.publication(this.#outbox, publication, qos, packetId, retain, identifiers);
    if (sent) this.#count(qos, publication.payloadBytes, publication.messageBytes);
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
    const sent = this.#messages.message(this.#outbox, message, qos, packetId, retain, dup, identifiers);
    if (sent) this.#count(qos, message.payloadBytes, message.bytes);
    return sent;
  }

  pubrel(packetId: number, known: boolean): void {
    this.#wire.acknowledge(this.#outbox, PUBREL, packetId, known ? Reason.SUCCESS : Reason.PACKET_IDENTIFIER_NOT_FOUND);
  }

  /** What is handed to a socket that is gone leaves no more. */
  #count(qos: Qos, payloadBytes: number, messageBytes: number): void {
    if (this.#outbox.closed) return;
    const { outgoing } = this.#account;
    if (outgoing !== null) outgoing.take(1, messageBytes);
    this.#traffic.publishSent();
    this.#counters.publishesSent[qos]++;
    this.#counters.publishSentBytes += payloadBytes;
  }
}
