const KEPT = 0.9;
/** A group waits for as long as the last one took to be written, but not longer than this. */
const MOST_MS = 10;

/**
 * Whether it pays to wait before operations are written: when most of what is put is taken away again soon, since
 * receivers that are there acknowledge within a moment. What they have acknowledged in time is never written, nor deleted.
 */
export class Patience {
  #put = 0;
  #spared = 0;
  #writtenInMs = 0;

  /** 0: what is there is to be written at once, as is what gathered behind a slow write: it has waited. */
  waitMs(leastMs: number, gatheredMs: number): number {
    if (leastMs === 0 || gatheredMs > MOST_MS || this.#spared * 2 <= this.#put) return 0;
    return Math.max(leastMs, Math.min(this.#writtenInMs, MOST_MS));
  }

  written(inMs: number): void {
    this.#writtenInMs = inMs;
  }

  put(): void {
    this.#put++;
  }

  /** It was not written, or would not have been had it waited. */
  spared(): void {
    this.#spared++;
  }

  /** What was counted before counts less. */
  fade(): void {
    this.#put *= KEPT;
    this.#spared *= KEPT;
  }
}
