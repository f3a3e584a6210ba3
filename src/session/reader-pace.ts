import type { Clock } from '../clock.js';
import type { PressurePoint } from '../mqtt/publication.js';

/**
 * A reader that cannot make room in half a queue within this time is too slow to wait for: its user's publishers go on
 * and what does not fit is dropped, as mosquitto drops it.
 */
const PRESSURE_TIMEOUT_MS = 1_000;

/**
 * Whether the publishers of a user should wait for one of the user's own readers. They do while it keeps up: an
 * acknowledged message then arrives however fast it was sent. They don't once it has been too slow, until it catches up.
 */
export class ReaderPace implements PressurePoint {
  tooSlow = false;
  private readonly clock: Clock;
  private waiting: (() => void)[] | null = null;
  private cancelTimeout: (() => void) | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  whenRelieved(callback: () => void): void {
    this.waiting ??= [];
    this.waiting.push(callback);
    this.cancelTimeout ??= this.clock.after(PRESSURE_TIMEOUT_MS, () => {
      this.tooSlow = true;
      this.release();
    });
  }

  /** The queue is nearly empty: the reader keeps up. */
  caughtUp(): void {
    this.tooSlow = false;
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
