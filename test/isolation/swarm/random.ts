/** Numbers that follow from a seed: the same on every machine and in every version of Node.js. */
export class Random {
  #state: number;

  constructor(seed: string) {
    // FNV-1a, so that neighbouring seeds begin far apart.
    let hash = 0x811c9dc5;
    for (let at = 0; at < seed.length; at += 1) hash = Math.imul(hash ^ seed.charCodeAt(at), 0x01000193);
    this.#state = hash >>> 0;
    for (let turn = 0; turn < 8; turn += 1) this.fraction();
  }

  /** At least 0, below 1. (mulberry32) */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.fraction() < share;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.between(0, from.length - 1)]!;
  }

  /** A number up to somewhat beyond a limit: often just at it, otherwise of any order of magnitude. */
  near(limit: number): number {
    const at = [1, Math.ceil(limit / 2), limit - 1, limit, limit + 1];
    return this.chance(0.5) ? Math.max(1, this.pick(at)) : Math.max(1, Math.round(limit ** this.fraction()));
  }
}
