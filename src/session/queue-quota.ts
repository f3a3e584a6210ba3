import type { LimitsConfig } from '../config/config.js';
import type { Entry } from './outgoing-entry.js';
import { BYTES_KEPT, type UserAccount } from './user-account.js';

export type DropReason =
  | 'queue-full'
  | 'user-quota'
  | 'not-reading'
  /** The client does not take packets of that size: MQTT 5. */
  | 'too-large'
  /** It waited for longer than its publisher allowed: MQTT 5. */
  | 'expired';

/** How much one queue holds, against the limits of its session and of its user. */
export class QueueQuota {
  bytes = 0;
  readonly #limits: LimitsConfig;
  readonly #account: UserAccount;
  /** What the store has is in memory all the same. */
  readonly #storedInMemory: boolean;

  constructor(limits: LimitsConfig, account: UserAccount, storedInMemory: boolean) {
    this.#limits = limits;
    this.#account = account;
    this.#storedInMemory = storedInMemory;
  }

  /**
   * Why a message of `bytes` can't be queued behind `queued` others; null when it can. The newest one is dropped.
   * `stored`: with its content in the store alone.
   */
  refuses(bytes: number, queued: number, stored: boolean): DropReason | null {
    const { queuedMessages, queuedBytes } = this.#limits;
    // One message is taken whatever its size: the packet limit has let it in.
    if (queued >= queuedMessages || (queued > 0 && this.bytes + bytes > queuedBytes)) return 'queue-full';
    return this.#account.mayQueue(bytes, !stored || this.#storedInMemory) ? null : 'user-quota';
  }

  add(entry: Entry): void {
    const { bytes } = entry.message!;
    this.bytes += bytes + BYTES_KEPT;
    this.#account.countMessage(bytes);
  }

  remove(entry: Entry): void {
    const { bytes } = entry.message!;
    this.bytes -= bytes + BYTES_KEPT;
    this.#account.forgetMessage(bytes);
  }

  addStored(bytes: number): void {
    this.bytes += bytes + BYTES_KEPT;
    this.#account.countStored(1, bytes, this.#storedInMemory);
  }

  removeStored(messages: number, bytes: number): void {
    this.bytes -= bytes + messages * BYTES_KEPT;
    this.#account.countStored(-messages, -bytes, this.#storedInMemory);
  }

  /** A message that was added as an entry is in the store alone from here on. */
  leaveMemory(bytes: number): void {
    this.#account.forgetMessage(bytes);
    this.#account.countStored(1, bytes, this.#storedInMemory);
  }
}
