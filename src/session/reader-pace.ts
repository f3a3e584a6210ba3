import type { Clock } from '../clock.js';
import type { Publication } from '../mqtt/publication.js';
import { Valve } from '../valve.js';
import type { UserAccount } from './user-account.js';

/** A socket that has not taken this much asks the publishers of its own user to slow down. */
export const PRESSING_BYTES = 256 * 1024;
/** A queue that is longer than this asks the publishers of its own user for a short break. */
export const BEHIND_MESSAGES = 64;

/**
 * A reader that cannot empty its queue within this time once that is half full is too slow to wait for: its user's
 * publishers go on and what does not fit is dropped, as mosquitto drops it.
 */
const HALF_FULL_TIMEOUT_MS = 1_000;
/** A reader that is merely behind is waited for no longer than this: nobody notices. */
const BEHIND_TIMEOUT_MS = 10;

/**
 * Whether the publishers of a user should wait for one of the user's own readers.
 *
 * They do for a moment when it is behind: reading a publisher in few large pieces instead of many small ones, while its
 * messages would only queue up, saves system calls ("QoS 1, 1 → 1": 7.9 µs without it, 6.4 with). They do for longer
 * when its queue is half full and it keeps up: an acknowledged message then arrives however fast it was sent. And they
 * don't once it has been too slow, until it has caught up.
 */
export class ReaderPace {
  tooSlow = false;
  readonly #clock: Clock;
  readonly #account: UserAccount;
  readonly #valve = new Valve();
  #halfFull = false;
  #cancelTimeout: (() => void) | null = null;

  constructor(clock: Clock, account: UserAccount) {
    this.#clock = clock;
    this.#account = account;
  }

  /** The queue is half full: who waits from now on, waits long. */
  fills(): void {
    this.#halfFull = true;
  }

  /** Has the publisher wait, if it is the reader's own user, for as long as it is worth it. */
  press(publication: Publication): void {
    if (publication.publisher.login !== this.#account.login) return;
    const { outgoing } = this.#account;
    if (outgoing?.closed === true) {
      // However long that takes: the reader would take more.
      publication.valve = outgoing;
      return;
    }
    if (this.tooSlow) return;
    publication.valve ??= this.#valve;
    if (this.#valve.closed) return;
    this.#valve.close();
    const halfFull = this.#halfFull;
    this.#cancelTimeout = this.#clock.after(halfFull ? HALF_FULL_TIMEOUT_MS : BEHIND_TIMEOUT_MS, () => {
      this.tooSlow = halfFull;
      this.release();
    });
  }

  /** The queue is nearly empty: the reader keeps up. */
  caughtUp(): void {
    this.tooSlow = false;
    this.#halfFull = false;
    if (this.#valve.closed) this.release();
  }

  /** Lets the waiting publishers go on. */
  release(): void {
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
    this.#valve.open();
  }
}
