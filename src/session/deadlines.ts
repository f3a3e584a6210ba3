interface Deadline<Key> {
  readonly key: Key;
  atMs: number;
  /** Place in the heap. */
  index: number;
}

/**
 * What has to happen when, soonest first: a binary heap in which each key stands once, so that moving a deadline or
 * taking one back costs no more than adding one, and nothing that is taken back stays behind.
 */
export class Deadlines<Key> {
  readonly #heap: Deadline<Key>[] = [];
  readonly #byKey = new Map<Key, Deadline<Key>>();

  get size(): number {
    return this.#heap.length;
  }

  has(key: Key): boolean {
    return this.#byKey.has(key);
  }

  /** Adds the deadline of a key, or moves it. */
  set(key: Key, atMs: number): void {
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.atMs = atMs;
      this.#settle(known);
      return;
    }
    const added = { key, atMs, index: this.#heap.length };
    this.#heap.push(added);
    this.#byKey.set(key, added);
    this.#up(added);
  }

  delete(key: Key): boolean {
    const deadline = this.#byKey.get(key);
    if (deadline === undefined) return false;
    this.#byKey.delete(key);
    const last = this.#heap.pop()!;
    if (last !== deadline) {
      this.#put(last, deadline.index);
      this.#settle(last);
    }
    return true;
  }

  /** Takes out the soonest key whose time has come; undefined when there is none. */
  takeDue(nowMs: number): Key | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.delete(first.key);
    return first.key;
  }

  #settle(deadline: Deadline<Key>): void {
    this.#up(deadline);
    this.#down(deadline);
  }

  #up(deadline: Deadline<Key>): void {
    while (deadline.index > 0) {
      const parent = this.#heap[(deadline.index - 1) >> 1]!;
      if (parent.atMs <= deadline.atMs) return;
      this.#swap(parent, deadline);
    }
  }

  #down(deadline: Deadline<Key>): void {
    for (;;) {
      const left = this.#heap[2 * deadline.index + 1];
      if (left === undefined) return;
      const right = this.#heap[left.index + 1];
      const sooner = right !== undefined && right.atMs < left.atMs ? right : left;
      if (deadline.atMs <= sooner.atMs) return;
      this.#swap(deadline, sooner);
    }
  }

  #swap(upper: Deadline<Key>, lower: Deadline<Key>): void {
    const { index } = upper;
    this.#put(upper, lower.index);
    this.#put(lower, index);
  }

  #put(deadline: Deadline<Key>, index: number): void {
    deadline.index = index;
    this.#heap[index] = deadline;
  }
}
