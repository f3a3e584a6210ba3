/**
 * So much a second, saved up to `capacity` while nothing is taken. Taking may overdraw it: who took too much waits until
 * that is paid.
 */
export class Bucket {
  #perSecond: number;
  #capacity: number;
  #level: number;
  #atMs: number;

  constructor(perSecond: number, capacity: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
    this.#level = capacity;
    this.#atMs = nowMs;
  }

  /** Other values from now on. What was overdrawn is still to be paid. */
  configure(perSecond: number, capacity: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#perSecond = perSecond;
    this.#capacity = capacity;
    this.#level = Math.min(this.#level, capacity);
  }

  take(amount: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level -= amount;
  }

  /** Milliseconds until `amount` is there. */
  waitMs(amount: number, nowMs: number): number {
    this.#fill(nowMs);
    return this.#level >= amount ? 0 : ((amount - this.#level) / this.#perSecond) * 1_000;
  }

  /** What may be taken at once now; negative while something is to be paid. */
  level(nowMs: number): number {
    this.#fill(nowMs);
    return this.#level;
  }

  isFull(nowMs: number): boolean {
    return this.level(nowMs) >= this.#capacity;
  }

  #fill(nowMs: number): void {
    const filled = this.#level + ((nowMs - this.#atMs) / 1_000) * this.#perSecond;
    this.#level = Math.min(this.#capacity, filled);
    this.#atMs = nowMs;
  }
}
