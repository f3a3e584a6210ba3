export interface RingsOptions<T> {
  /** Entries in all. */
  readonly entries: number;
  /** Entries of one owner. */
  readonly entriesPerOwner: number;
  /** Bytes in all. */
  readonly bytes: number;
  /** What an entry takes; the same for as long as it is kept. */
  readonly bytesOf: (entry: T) => number;
  /** So much more is kept; or less, if it is negative. */
  readonly charge: (bytes: number) => void;
}

/** What an entry takes besides itself. */
const BYTES_PER_ENTRY = 96;

interface Ring<T> {
  /** By key, oldest first. */
  readonly entries: Map<string, T>;
  bytes: number;
}

/**
 * The last entries of many owners in one bounded memory. When it is full, whoever has most gives way: one owner can
 * make as many entries as it likes, and those of the others stay.
 */
export class Rings<T> {
  readonly #options: RingsOptions<T>;
  readonly #rings = new Map<string, Ring<T>>();
  #entries = 0;
  #bytes = 0;

  constructor(options: RingsOptions<T>) {
    this.#options = options;
  }

  /** The entry with this key becomes the newest one: changed by `again`, if it is there, or else made by `first`. */
  put(owner: string, key: string, first: () => T, again: (known: T) => void = () => {}): T {
    let ring = this.#rings.get(owner);
    if (ring === undefined) {
      ring = { entries: new Map(), bytes: 0 };
      this.#rings.set(owner, ring);
    }
    const known = ring.entries.get(key);
    if (known !== undefined) {
      again(known);
      ring.entries.delete(key);
      ring.entries.set(key, known);
      return known;
    }
    const entry = first();
    ring.entries.set(key, entry);
    this.#count(ring, 1, this.#sizeOf(key, entry));
    this.#makeRoom(owner, ring);
    return entry;
  }

  /** Nothing of the owner is kept any more. */
  drop(owner: string): void {
    const ring = this.#rings.get(owner);
    if (ring !== undefined) this.#dropOldest(owner, ring, ring.entries.size);
  }

  /** Oldest first. */
  of(owner: string): Iterable<T> {
    return this.#rings.get(owner)?.entries.values() ?? [];
  }

  /** Owner by owner. */
  *[Symbol.iterator](): Generator<T> {
    for (const { entries } of this.#rings.values()) yield* entries.values();
  }

  get size(): number {
    return this.#entries;
  }

  clear(): void {
    this.#rings.clear();
    this.#options.charge(-this.#bytes);
    this.#entries = 0;
    this.#bytes = 0;
  }

  #makeRoom(owner: string, ring: Ring<T>): void {
    const { entries, entriesPerOwner, bytes } = this.#options;
    if (ring.entries.size > entriesPerOwner) this.#dropOldest(owner, ring, 1);
    while (this.#entries > entries || this.#bytes > bytes) {
      const [largestOwner, largest] = this.#largest();
      // Looking for it takes a while: a few at a time.
      this.#dropOldest(largestOwner, largest, 1 + (largest.entries.size >> 3));
    }
  }

  #largest(): [string, Ring<T>] {
    let found: [string, Ring<T>] | null = null;
    for (const each of this.#rings) if (found === null || each[1].bytes > found[1].bytes) found = each;
    return found!;
  }

  #dropOldest(owner: string, ring: Ring<T>, count: number): void {
    let left = count;
    for (const [key, entry] of ring.entries) {
      if (left-- === 0) break;
      ring.entries.delete(key);
      this.#count(ring, -1, -this.#sizeOf(key, entry));
    }
    if (ring.entries.size === 0) this.#rings.delete(owner);
  }

  #sizeOf(key: string, entry: T): number {
    return BYTES_PER_ENTRY + 2 * key.length + this.#options.bytesOf(entry);
  }

  #count(ring: Ring<T>, entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
    ring.bytes += bytes;
    this.#options.charge(bytes);
  }
}
