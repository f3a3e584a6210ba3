/** Counts by a word, such as a reason. The words are the broker's own, so they are few. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** With these words it begins: a counter that is not there cannot be told from one that is zero. */
  constructor(words: readonly string[] = []) {
    for (const word of words) this.#counts.set(word, 0);
  }

  add(word: string, by = 1): void {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + by);
  }

  of(word: string): number {
    return this.#counts.get(word) ?? 0;
  }

  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  [Symbol.iterator](): Iterator<[string, number]> {
    return this.#counts[Symbol.iterator]();
  }
}
