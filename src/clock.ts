/**
 * Time as the parts of the broker see it, so that a test can hold it in its hand. Two readings, because the wall clock
 * may be set: how long something takes or waits is a difference of `monotonicMs`, and only a date is an `epochMs`.
 */
export interface Clock {
  /** Milliseconds since some moment of the past; never goes back, whatever is done to the wall clock. */
  monotonicMs(): number;
  /** The date: milliseconds since 1970. It may jump. */
  epochMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Never keeps the process alive by itself. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back every `periodMs` until cancelled. Never keeps the process alive by itself. */
  every(periodMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  epochMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
