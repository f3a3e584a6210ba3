import type { Clock } from '../clock.js';
import type { PressurePoint } from '../mqtt/publication.js';

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
export class ReaderPace implements PressurePoint {
  tooSlow = false;
  private readonly clock: Clock;
  private halfFull = false;
  private waiting: (() => void)[] | null = null;
  private cancelTimeout: (() => void) | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The queue is half full: who waits now, waits long. */
  fills(): void {
    this.halfFull = true;
  }

  whenRelieved(callback: () => void): void {
    this.waiting ??= [];
    this.waiting.push(callback);
    if (this.cancelTimeout !== null) return;
    const { halfFull } = this;
    this.cancelTimeout = this.clock.after(halfFull ? HALF_FULL_TIMEOUT_MS : BEHIND_TIMEOUT_MS, () => {
      this.tooSlow = halfFull;
      this.release();
    });
  }

  /** The queue is nearly empty: the reader keeps up. */
  caughtUp(): void {
    this.tooSlow = false;
    this.halfFull = false;
    if (this.waiting !== null) this.release();
  }

  /** Lets the waiting publishers go on. */
  release(): void {
    this.cancelTimeout?.();
    this.cancelTimeout = null;
    const { waiting } = this;
    this.waiting = null;
    if (waiting !== null) for (const callback of waiting) callback();
  }
}
