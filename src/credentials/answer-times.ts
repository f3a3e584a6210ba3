import type { Clock } from '../clock.js';

const remembered = 32;
/** The machine may be busier now, or less busy: after this long the times of then are not believed any more. */
const staleMs = 5_000;

/**
 * How long it took lately to find out that a password is right or wrong. Where there is nothing to find out, because
 * there is no such user, the answer is given as much later as one of these times, taken at random.
 */
export class AnswerTimes {
  readonly #clock: Clock;
  readonly #timesMs: number[] = [];
  #count = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does the work, and remembers how long it took; not how long it took to fail. */
  async measure<T>(work: () => Promise<T>): Promise<T> {
    const beganMs = this.#clock.monotonicMs();
    const result = await work();
    this.#lastMs = this.#clock.monotonicMs();
    this.#timesMs[this.#count % remembered] = this.#lastMs - beganMs;
    this.#count += 1;
    return result;
  }

  /** Is it time to measure again? Whoever is told so has to. */
  mustMeasure(): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#count > 0 && now - this.#lastMs < staleMs) return false;
    this.#lastMs = now;
    return true;
  }

  /** One of the times; 0 when nothing was measured yet. */
  sampleMs(): number {
    return this.#timesMs[Math.floor(Math.random() * this.#timesMs.length)] ?? 0;
  }
}
