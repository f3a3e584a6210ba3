import type { LimitsConfig } from '../config/config.js';
import type { Entry } from './outgoing-entry.js';
import type { UserAccount } from './user-account.js';

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

  constructor(limits: LimitsConfig, account: UserAccount) {
    this.#limits = limits;
    this.#account = account;
  }

  /** Why a message of `bytes` can't be queued behind `queued` others; null when it can. The newest one is dropped. */
  refuses(bytes: number, queued: number): DropReason | null {
    const { queuedMessages, queuedBytes, queuedBytesPerUser } = this.#limits;
    // One message is taken whatever its size: the packet limit has let it in.
    if (queued >= queuedMessages || (queued > 0 && this.bytes + bytes > queuedBytes)) return 'queue-full';
    const fits = this.#account.queuedBytes + bytes <= queuedBytesPerUser && this.#account.hasRoomForMessage(bytes);
    return fits ? null : 'user-quota';
  }

  add(entry: Entry): void {
    const bytes = entry.message!.bytes;
    this.bytes += bytes;
    this.#account.countMessage(bytes);
  }

  remove(entry: Entry): void {
    const bytes = entry.message!.bytes;
    this.bytes -= bytes;
    this.#account.forgetMessage(bytes);
  }
}
