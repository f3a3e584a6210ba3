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

/** The place of an entry, for whoever is going to repeat it. */
export interface Slot<T> {
  readonly key: string;
  /** Null once it is not kept any more. */
  entry: T | null;
  older: Slot<T> | null;
  newer: Slot<T> | null;
}

/** A chain from the oldest to the newest: what a repeated entry costs is a few references, and no place in a map. */
class Ring<T> {
  readonly #slots = new Map<string, Slot<T>>();
  #oldest: Slot<T> | null = null;
  #newest: Slot<T> | null = null;
  bytes = 0;

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): Slot<T> | undefined {
    return this.#slots.get(key);
  }

  add(key: string, entry: T): Slot<T> {
    const slot: Slot<T> = { key, entry, older: null, newer: null };
    this.#slots.set(key, slot);
    this.#append(slot);
    return slot;
  }

  /** It is the newest one from here on. */
  renew(slot: Slot<T>): void {
    if (slot === this.#newest) return;
    this.#cut(slot);
    this.#append(slot);
  }

  /** Lets go of the oldest one, and hands it over as it was; null when there is none. */
  takeOldest(): { key: string; entry: T } | null {
    const slot = this.#oldest;
    if (slot === null) return null;
    this.#cut(slot);
    this.#slots.delete(slot.key);
    const taken = { key: slot.key, entry: slot.entry! };
    slot.entry = null;
    return taken;
  }

  /** Lets go of those for which it holds, and hands them over. */
  takeWhere(holds: (entry: T) => boolean): { key: string; entry: T }[] {
    const taken: { key: string; entry: T }[] = [];
    for (let slot = this.#oldest; slot !== null; ) {
      const { newer } = slot;
      if (holds(slot.entry!)) {
        this.#cut(slot);
        this.#slots.delete(slot.key);
        taken.push({ key: slot.key, entry: slot.entry! });
        slot.entry = null;
      }
      slot = newer;
    }
    return taken;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<T> {
    for (let slot = this.#oldest; slot !== null; slot = slot.newer) yield slot.entry!;
  }

  #append(slot: Slot<T>): void {
    slot.older = this.#newest;
    slot.newer = null;
    if (this.#newest === null) this.#oldest = slot;
    else this.#newest.newer = slot;
    this.#newest = slot;
  }

  #cut({ older, newer }: Slot<T>): void {
    if (older === null) this.#oldest = newer;
    else older.newer = newer;
    if (newer === null) this.#newest = older;
    else newer.older = older;
  }
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
  put(owner: string, key: string, first: () => T, again: (known: T) => void = () => {}): Slot<T> {
    let ring = this.#rings.get(owner);
    if (ring === undefined) {
      ring = new Ring();
      this.#rings.set(owner, ring);
    }
    const known = ring.get(key);
    if (known !== undefined) {
      again(known.entry!);
      ring.renew(known);
      return known;
    }
    const entry = first();
    const slot = ring.add(key, entry);
    this.#count(ring, 1, this.#sizeOf(key, entry));
    this.#makeRoom(owner, ring);
    return slot;
  }

  /** An entry that was put becomes the newest one once more, if it is kept still. */
  renew(owner: string, slot: Slot<T>): void {
    if (slot.entry !== null) this.#rings.get(owner)!.renew(slot);
  }

  /** Nothing of the owner is kept any more. */
  drop(owner: string): void {
    const ring = this.#rings.get(owner);
    if (ring !== undefined) this.#dropOldest(owner, ring, ring.size);
  }

  /** Nothing is kept any more of what this holds for, whoever's it is. */
  dropWhere(holds: (entry: T) => boolean): void {
    for (const [owner, ring] of [...this.#rings]) {
      for (const { key, entry } of ring.takeWhere(holds)) this.#count(ring, -1, -this.#sizeOf(key, entry));
      if (ring.size === 0) this.#rings.delete(owner);
    }
  }

  /** Oldest first. */
  of(owner: string): Iterable<T> {
    return this.#rings.get(owner) ?? [];
  }

  /** Owner by owner. */
  *[Symbol.iterator](): Generator<T> {
    for (const ring of this.#rings.values()) yield* ring;
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
    if (ring.size > entriesPerOwner) this.#dropOldest(owner, ring, 1);
    while (this.#entries > entries || this.#bytes > bytes) {
      const [largestOwner, largest] = this.#largest();
      // Looking for it takes a while: a few at a time.
      this.#dropOldest(largestOwner, largest, 1 + (largest.size >> 3));
    }
  }

  #largest(): [string, Ring<T>] {
    let found: [string, Ring<T>] | null = null;
    for (const each of this.#rings) if (found === null || each[1].bytes > found[1].bytes) found = each;
    return found!;
  }

  #dropOldest(owner: string, ring: Ring<T>, count: number): void {
    for (let left = count; left > 0; left--) {
      const slot = ring.takeOldest();
      if (slot === null) break;
      this.#count(ring, -1, -this.#sizeOf(slot.key, slot.entry));
    }
    if (ring.size === 0) this.#rings.delete(owner);
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
