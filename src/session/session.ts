import type { Job } from '../fairness/job.js';
import type { Grant } from '../mqtt/grant.js';
import type { ProtocolLevel } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { Noted } from '../observe/history.js';
import type { Subscriber } from '../routing/subscriber.js';
import type { SessionWriter } from '../store/contract.js';
import { Valve } from '../valve.js';
import { type ClientIdentity, type Gate, scopedId } from './gate.js';
import type { OutgoingQueue } from './outgoing-queue.js';
import type { Holder, UserAccount } from './user-account.js';

/** What a received packet id takes: in the session's set and in the store's. */
const RECEIVED_BYTES = 64;

export interface SessionOptions {
  readonly account: UserAccount;
  readonly clientId: string;
  readonly gate: Gate;
  readonly outgoing: OutgoingQueue;
  readonly writer: SessionWriter | null;
  readonly level: ProtocolLevel;
  /** Dates, in milliseconds since 1970. */
  readonly createdAt: number;
  readonly lastSeenAt: number;
  /** Milliseconds that it outlives its connection. */
  readonly expiryMs: number;
}

/**
 * The state that belongs to one client id of one user [MQTT-3.1.2-4]: subscriptions, messages on their way to the
 * client, and packet ids of QoS 2 messages that came from it. A persistent session lives on between connections.
 */
export class Session implements Subscriber, ClientIdentity {
  readonly id: string;
  readonly clientId: string;
  readonly account: UserAccount;
  readonly outgoing: OutgoingQueue;
  /** Null for a session that was never to outlive its connection: nothing of it is in the store. */
  readonly writer: SessionWriter | null;
  readonly subscriptions = new Map<string, Grant>();
  readonly createdAt: number;
  /** When its client was last known to be here; means nothing while it is. */
  lastSeenAt: number;
  level: ProtocolLevel;
  /**
   * Milliseconds that it outlives its connection; with 0 it ends with it. A client of MQTT 5 says how many when it comes,
   * and may say otherwise when it goes.
   */
  expiryMs: number;
  /** The connection that has it now. */
  holder: Holder | null = null;
  /** Nothing of it is left; who still has it at hand leaves it alone. */
  ended = false;
  /** Messages that were dropped on their way to the client. */
  drops = 0;
  /** Where the last of them is noted. */
  lastDrop: Noted | null = null;

  readonly #gate: Gate;
  #receivedIds: Set<number> | null = null;
  /** Closed while the message of a packet id is being distributed, by a job. */
  readonly #receiving = new Map<number, Valve>();

  constructor(options: SessionOptions) {
    this.id = scopedId(options.account.login, options.clientId);
    this.clientId = options.clientId;
    this.account = options.account;
    this.outgoing = options.outgoing;
    this.writer = options.writer;
    this.level = options.level;
    this.createdAt = options.createdAt;
    this.lastSeenAt = options.lastSeenAt;
    this.expiryMs = options.expiryMs;
    this.#gate = options.gate;
  }

  get login(): string {
    return this.account.login;
  }

  get persistent(): boolean {
    return this.writer !== null;
  }

  get connected(): boolean {
    return this.outgoing.connected;
  }

  get ready(): boolean {
    return this.outgoing.ready;
  }

  mayReceive(topic: string): boolean {
    return this.#gate.mayReceive(this, topic);
  }

  published({ publisher }: Publication): boolean {
    return publisher.clientId === this.clientId && publisher.login === this.login;
  }

  deliver(publication: Publication, granted: Grant, identifiers: readonly number[] | null): void {
    if (!this.ended) this.outgoing.deliver(publication, granted, identifiers);
  }

  hasReceived(packetId: number): boolean {
    return this.#receivedIds?.has(packetId) ?? false;
  }

  /** A QoS 2 message was received; its packet id is taken until PUBREL. */
  addReceived(packetId: number): void {
    this.#receivedIds ??= new Set();
    this.#receivedIds.add(packetId);
    this.account.receivedMessages++;
    this.account.balances.received.add(RECEIVED_BYTES);
  }

  deleteReceived(packetId: number): boolean {
    if (this.#receivedIds === null || !this.#receivedIds.delete(packetId)) return false;
    this.account.receivedMessages--;
    this.account.balances.received.add(-RECEIVED_BYTES);
    return true;
  }

  /**
   * Distributes a message of QoS 2, which may take longer than its connection lives. It was received when that is done;
   * if it cannot be, it was not, and is taken when the client sends it again [MQTT-4.3.3-2].
   */
  *receiving(distributing: Job, packetId: number): Job {
    const valve = new Valve();
    valve.close();
    this.#receiving.set(packetId, valve);
    let distributed = false;
    try {
      yield* distributing;
      distributed = true;
    } finally {
      this.#receiving.delete(packetId);
      if (!distributed) this.deleteReceived(packetId);
      valve.open();
    }
  }

  /** Closed as long as the message of this packet id is being distributed: until then, nobody knows. */
  whileReceiving(packetId: number): Valve | undefined {
    return this.#receiving.get(packetId);
  }

  /** The session ends. */
  clearReceived(): void {
    const count = this.#receivedIds?.size ?? 0;
    this.account.receivedMessages -= count;
    this.account.balances.received.add(-count * RECEIVED_BYTES);
    this.#receivedIds = null;
  }
}
