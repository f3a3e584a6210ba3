import { Account } from '../fairness/account.js';
import type { Ledger } from '../fairness/ledger.js';
import { levelsOf } from '../mqtt/topics.js';
import { Traffic } from '../mqtt/traffic.js';
import type { CloseReason } from './close-reason.js';
import { KnownTopics } from './known-topics.js';
import { Storing } from './storing.js';

/** What a level of a filter takes in the subscription tree. */
const BYTES_PER_LEVEL = 128;
/** What a subscription takes besides: in the session, in the tree, and in the store's list of rows. */
const BYTES_PER_SUBSCRIPTION = 256;

/** What a subscription takes in memory. */
export function subscriptionBytes(filter: string): number {
  return BYTES_PER_SUBSCRIPTION + filter.length + levelsOf(filter) * BYTES_PER_LEVEL;
}

/** What a message takes in a queue besides topic and payload: the entry, the message, and the store's list of rows. */
const BYTES_PER_MESSAGE = 400;

export const NO_GROUPS: readonly string[] = Object.freeze([]);

/** A connection, as far as a session or an account knows one. */
export interface Holder {
  close(reason: CloseReason): void;
}

/** What one login holds and spends. Every limit "per user" is a number here, or a balance. */
export class UserAccount extends Account {
  readonly connections = new Set<Holder>();
  readonly topics: KnownTopics;
  readonly storing: Storing;
  /** What the credential backend said when the user logged in last; another list whenever it is another one. */
  groups = NO_GROUPS;
  /** What went over its connections, those that have ended too. */
  readonly traffic = new Traffic();
  persistentSessions = 0;
  retainedMessages = 0;
  /** Topics and payloads of queued messages. */
  queuedBytes = 0;
  subscriptions = 0;
  /** QoS 2 messages received and not yet released. */
  receivedMessages = 0;
  /** Retained messages that were asked for and are not sent yet, of all its subscriptions. */
  retainedPending = 0;

  constructor(login: string, ledger: Ledger) {
    super(login, ledger);
    this.topics = new KnownTopics(this.balances.topics);
    this.storing = new Storing(this.balances.storing);
  }

  get login(): string {
    return this.name;
  }

  /** A message of so many bytes is kept for a session. */
  countMessage(bytes: number): void {
    this.queuedBytes += bytes;
    this.balances.queues.add(bytes + BYTES_PER_MESSAGE);
  }

  forgetMessage(bytes: number): void {
    this.queuedBytes -= bytes;
    this.balances.queues.add(-bytes - BYTES_PER_MESSAGE);
  }

  /** Is there room to keep a message of so many bytes? */
  hasRoomForMessage(bytes: number): boolean {
    return this.hasRoom(bytes + BYTES_PER_MESSAGE);
  }

  /** True when nothing is left that needs remembering; what is known about topics can be found again. */
  get idle(): boolean {
    const held = this.heldBytes - this.balances.topics.bytes;
    return this.connections.size === 0 && this.persistentSessions === 0 && held === 0 && this.tasks.length === 0;
  }
}
