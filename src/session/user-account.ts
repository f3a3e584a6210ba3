import type { Payer } from '../fairness/turn.js';
import { levelsOf } from '../mqtt/topics.js';
import type { CloseReason } from './close-reason.js';

/** What a level of a filter takes in the tree. */
const BYTES_PER_LEVEL = 48;

/** What a subscription counts as, in bytes. */
export function subscriptionBytes(filter: string): number {
  return filter.length + levelsOf(filter) * BYTES_PER_LEVEL;
}

/** A connection, as far as a session or an account knows one. */
export interface Holder {
  close(reason: CloseReason): void;
}

/** What one login holds and spends. Every limit "per user" is a number here. */
export class UserAccount implements Payer {
  readonly login: string;
  readonly connections = new Set<Holder>();
  persistentSessions = 0;
  subscriptions = 0;
  /** What the filters of the subscriptions take in memory, roughly. */
  subscriptionBytes = 0;
  /** Handed to sockets, or about to be, and not taken by them yet. */
  unsentBytes = 0;
  /** Packets that have come in part. */
  partialBytes = 0;
  queuedBytes = 0;
  /** QoS 2 messages received and not yet released. */
  receivedMessages = 0;

  /** Retained messages that were asked for and are not sent yet, of all its subscriptions. */
  retainedPending = 0;

  turnId = 0;
  turnUnits = 0;
  turnShare = 0;

  constructor(login: string) {
    this.login = login;
  }

  /** True when nothing is left that needs remembering. */
  get idle(): boolean {
    return (
      this.connections.size === 0 && this.persistentSessions === 0 && this.subscriptions === 0 && this.queuedBytes === 0
    );
  }
}
