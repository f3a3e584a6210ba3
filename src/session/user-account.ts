import { Account } from '../fairness/account.js';
import type { Ledger } from '../fairness/ledger.js';
import { levelsOf } from '../mqtt/topics.js';
import { Traffic } from '../mqtt/traffic.js';
import type { CloseReason } from './close-reason.js';
import { KnownTopics } from './known-topics.js';
import { Storing } from './storing.js';
import { Turns } from './turns.js';
import type { UserLimits } from './user-limits.js';

/** What a level of a filter takes in the subscription tree. */
const BYTES_PER_LEVEL = 128;
/** What a subscription takes besides: in the session, in the tree, and in the store's list of rows. */
const BYTES_PER_SUBSCRIPTION = 256;

/** What a subscription takes in memory. */
export function subscriptionBytes(filter: string): number {
  return BYTES_PER_SUBSCRIPTION + filter.length + levelsOf(filter) * BYTES_PER_LEVEL;
}

/**
 * What a message is counted as, besides topic and payload, for as long as it is kept, also when it is in the store alone:
 * its key, its row, and its part in the next start, which has to read it.
 */
export const BYTES_KEPT = 256;
/** What it takes besides while it is in memory: the entry and the message. */
const BYTES_IN_MEMORY = 320;

export const NO_GROUPS: readonly string[] = Object.freeze([]);

/** A connection, as far as a session or an account knows one. */
export interface Holder {
  close(reason: CloseReason): void;
  /** Sends what is queued for its client, when it is the user's turn. */
  pump(): void;
}

/** What one login holds and spends. Every limit "per user" is a number here, or a balance. */
export class UserAccount extends Account {
  readonly connections = new Set<Holder>();
  readonly topics: KnownTopics;
  readonly storing: Storing;
  /** Of reading the queues that are in the store. */
  readonly reads = new Turns();
  /** Of long SUBSCRIBE and UNSUBSCRIBE packets. */
  readonly requests = new Turns();
  /** What the credential backend said when the user logged in last; another list whenever it is another one. */
  groups = NO_GROUPS;
  limits: UserLimits;
  /** What went over its connections, those that have ended too. */
  readonly traffic: Traffic;
  persistentSessions = 0;
  retainedMessages = 0;
  /** Messages that wait for sessions, or are in flight to persistent ones. */
  queuedMessages = 0;
  /** Their topics and payloads, and what each is counted as besides. */
  queuedBytes = 0;
  subscriptions = 0;
  /** QoS 2 messages received and not yet released. */
  receivedMessages = 0;
  /** Retained messages that were asked for and are not sent yet, of all its subscriptions. */
  retainedPending = 0;
  /** What these requests take: they are charged with the queues. */
  retainedPendingBytes = 0;
  #pumps = 0;

  constructor(login: string, ledger: Ledger, limits: UserLimits, traffic = new Traffic()) {
    super(login, ledger);
    this.limits = limits;
    this.traffic = traffic;
    this.topics = new KnownTopics(this.balances.topics);
    this.storing = new Storing(this.balances.storing);
  }

  get login(): string {
    return this.name;
  }

  /** Its rate allows messages to leave again: each of its clients in turn is the first to be asked. */
  pump(): void {
    const holders = [...this.connections];
    const from = ++this.#pumps % Math.max(1, holders.length);
    for (const holder of [...holders.slice(from), ...holders.slice(0, from)]) holder.pump();
  }

  /** A message of so many bytes is kept for a session, in memory. */
  countMessage(bytes: number): void {
    this.queuedMessages++;
    this.queuedBytes += bytes + BYTES_KEPT;
    this.balances.queues.add(bytes + BYTES_KEPT + BYTES_IN_MEMORY);
  }

  forgetMessage(bytes: number): void {
    this.queuedMessages--;
    this.queuedBytes -= bytes + BYTES_KEPT;
    this.balances.queues.add(-bytes - BYTES_KEPT - BYTES_IN_MEMORY);
  }

  /** So many messages are kept in the store alone; `inMemory`: that is in memory itself. */
  countStored(messages: number, bytes: number, inMemory: boolean): void {
    const kept = messages * BYTES_KEPT;
    this.queuedMessages += messages;
    this.queuedBytes += bytes + kept;
    this.balances.queues.add(inMemory ? bytes + kept : kept);
  }

  /** May a message of so many bytes be kept? */
  mayQueue(bytes: number, inMemory: boolean): boolean {
    const { limits } = this;
    return (
      this.queuedMessages < limits.queuedMessagesPerUser &&
      this.queuedBytes + bytes + BYTES_KEPT <= limits.queuedBytesPerUser &&
      this.hasRoom(inMemory ? bytes + BYTES_KEPT + BYTES_IN_MEMORY : BYTES_KEPT)
    );
  }

  /** True when nothing is left that needs remembering; what is known about topics can be found again. */
  get idle(): boolean {
    const held = this.heldBytes - this.balances.topics.bytes;
    return this.connections.size === 0 && this.persistentSessions === 0 && held === 0 && this.tasks.length === 0;
  }
}
