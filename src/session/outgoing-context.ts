import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { RetainedIndex } from '../store/contract.js';
import type { UserAccount } from './user-account.js';

/** What a queue needs from around it. */
export interface OutgoingContext {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly account: UserAccount;
  readonly retained: RetainedIndex;
  /** Calls back once everything handed to the store so far is on disk; at once when it is already. */
  whenStored(callback: () => void): void;
  /** A message was dropped: the queue is full, or its reader does not read. */
  onDropped(reason: DropReason): void;
}

export type DropReason = 'queue-full' | 'user-quota' | 'not-reading';
