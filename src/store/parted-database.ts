import type { Database, DatabaseBatch, ReadOptions, RowIterator } from './database.js';
import { LARGE, largeKey, PART, partKey, partRange, rangeOf, readNumber } from './keys.js';
import { rowIterator } from './row-iterator.js';

/** A longer value is kept in parts of this size. */
export const PART_BYTES = 256 * 1024;
/** Parts that are written at once. */
const PARTS_PER_WRITE = 2;
/** What a row says whose value is in parts: this byte, which no format begins with, and their number. */
const IN_PARTS = 0xff;
const REFERENCE_BYTES = 7;

const EMPTY = Buffer.alloc(0);

/**
 * Keeps long values in parts, in rows of their own. LevelDB has each value several times in memory of its own while it
 * is on its way, each time in one piece, and none of that goes back to the system: thirteen messages of 15 MB, one after
 * the other and each in the place of the one before, left 300 MB behind. The parts are written first, a few at a time,
 * and synced; the row itself, with the number of its parts, in the batch that it was put into, so that it is there whole
 * or not at all. What a crash leaves of parts that nobody names goes when the database is opened.
 */
export async function inParts(db: Database): Promise<Database> {
  const parts = new Map<string, number>();
  let last = 0;
  const abandoned: number[] = [];
  for await (const [key, value] of db.iterator(rangeOf(LARGE))) {
    const id = readNumber(key.slice(LARGE.length));
    const home = value.toString();
    last = Math.max(last, id);
    if (home !== '' && referenceIn(await db.get(home)) === id) parts.set(home, id);
    else abandoned.push(id);
  }
  const parted = new PartedDatabase(db, parts, last);
  for (const id of abandoned) await parted.removeParts(id);
  return parted;
}

const referenceTo = (id: number): Buffer => {
  const value = Buffer.allocUnsafe(REFERENCE_BYTES);
  value[0] = IN_PARTS;
  value.writeUIntBE(id, 1, 6);
  return value;
};

/** 0: the value is not in parts. */
const referenceIn = (value: Buffer | undefined): number =>
  value?.length === REFERENCE_BYTES && value[0] === IN_PARTS ? value.readUIntBE(1, 6) : 0;

class PartedDatabase implements Database {
  readonly longBytes = PART_BYTES;
  readonly ripenMs: number;
  readonly #db: Database;
  /** The number of its parts, by the key of each value that has parts. */
  readonly #parts: Map<string, number>;
  /** Of values whose parts are written, and which no row has yet. */
  readonly #prepared = new WeakMap<Buffer, number>();
  #last: number;
  /** One write of parts after the other, whoever they are for: what others put waits for one of them at the most. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(db: Database, parts: Map<string, number>, last: number) {
    this.#db = db;
    this.ripenMs = db.ripenMs ?? 0;
    this.#parts = parts;
    this.#last = last;
  }

  async get(key: string): Promise<Buffer | undefined> {
    let value = await this.#db.get(key);
    for (;;) {
      if (referenceIn(value) === 0) return value;
      const whole = await this.#whole(value!);
      if (referenceIn(whole) === 0) return whole;
      // Replaced between the one look and the other, unless it is damaged.
      const now = await this.#db.get(key);
      if (referenceIn(now) === referenceIn(value)) return now;
      value = now;
    }
  }

  iterator(options: ReadOptions): RowIterator {
    const rows = this.#db.iterator(options);
    const nextv = async (count: number): Promise<[string, Buffer][]> => {
      for (;;) {
        const chunk = await rows.nextv(count);
        const shown = chunk.filter(([key]) => !key.startsWith(PART) && !key.startsWith(LARGE));
        if (options.values !== false) {
          for (const row of shown) if (referenceIn(row[1]) !== 0) row[1] = await this.#whole(row[1]);
        }
        if (shown.length > 0 || chunk.length === 0) return shown;
      }
    };
    return rowIterator(nextv, () => rows.close());
  }

  batch(): DatabaseBatch {
    return new PartedBatch(this.#db, this);
  }

  async compactRange(start: string, end: string): Promise<void> {
    await this.#db.compactRange?.(start, end);
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  /** Of the value that is there; 0: it has none. */
  partsOf(key: string): number {
    return this.#parts.get(key) ?? 0;
  }

  async prepare(value: Buffer): Promise<void> {
    if (value.length > PART_BYTES) this.#prepared.set(value, await this.#writeParts(value));
  }

  async discard(value: Buffer): Promise<void> {
    const id = this.#prepared.get(value);
    if (id === undefined) return;
    this.#prepared.delete(value);
    await this.removeParts(id);
  }

  /** The number of a value's parts, which are written now if they have not been. */
  async partsFor(value: Buffer): Promise<number> {
    const id = this.#prepared.get(value);
    if (id === undefined) return await this.#writeParts(value);
    this.#prepared.delete(value);
    return id;
  }

  async #writeParts(value: Buffer): Promise<number> {
    const id = ++this.#last;
    for (let from = 0; from < value.length; from += PARTS_PER_WRITE * PART_BYTES) {
      const batch = this.#db.batch();
      // Nobody's yet.
      if (from === 0) batch.put(largeKey(id), EMPTY);
      for (let part = 0; part < PARTS_PER_WRITE && from + part * PART_BYTES < value.length; part++) {
        const at = from + part * PART_BYTES;
        batch.put(partKey(id, at / PART_BYTES), value.subarray(at, at + PART_BYTES));
      }
      const written = this.#turn.then(() => batch.write({ sync: true }));
      this.#turn = written.catch(() => {});
      await written;
    }
    return id;
  }

  /** A batch has put the value with these parts in place; 0: one without parts, or none at all. */
  placed(key: string, id: number): void {
    if (id === 0) this.#parts.delete(key);
    else this.#parts.set(key, id);
  }

  async deleteParts(id: number, batch: DatabaseBatch): Promise<void> {
    batch.del(largeKey(id));
    for await (const [key] of this.#db.iterator({ ...partRange(id), values: false })) batch.del(key);
  }

  async removeParts(id: number): Promise<void> {
    const batch = this.#db.batch();
    await this.deleteParts(id, batch);
    await batch.write({ sync: false });
  }

  /** What is not there whole, in a damaged store, stays a reference: nobody takes that for a row. */
  async #whole(value: Buffer): Promise<Buffer> {
    const id = referenceIn(value);
    if (id === 0) return value;
    const parts: Buffer[] = [];
    for await (const [key, part] of this.#db.iterator({ ...partRange(id), highWaterMarkBytes: PART_BYTES })) {
      if (key !== partKey(id, parts.length)) return value;
      parts.push(part);
    }
    return parts.length === 0 ? value : Buffer.concat(parts);
  }
}

class PartedBatch implements DatabaseBatch {
  readonly #parted: PartedDatabase;
  readonly #batch: DatabaseBatch;
  /** Values that are to be in parts. */
  readonly #long: [key: string, value: Buffer][] = [];
  /** Keys whose values have been in parts so far. */
  readonly #former: string[] = [];

  constructor(db: Database, parted: PartedDatabase) {
    this.#parted = parted;
    this.#batch = db.batch();
  }

  put(key: string, value: Buffer): void {
    if (this.#parted.partsOf(key) !== 0) this.#former.push(key);
    if (value.length > PART_BYTES) this.#long.push([key, value]);
    else this.#batch.put(key, value);
  }

  del(key: string): void {
    if (this.#parted.partsOf(key) !== 0) this.#former.push(key);
    this.#batch.del(key);
  }

  async write(options: { sync: boolean }): Promise<void> {
    const placed = new Map<string, number>();
    for (const key of this.#former) {
      await this.#parted.deleteParts(this.#parted.partsOf(key), this.#batch);
      placed.set(key, 0);
    }
    for (const [key, value] of this.#long) {
      const id = await this.#parted.partsFor(value);
      this.#batch.put(largeKey(id), Buffer.from(key));
      this.#batch.put(key, referenceTo(id));
      placed.set(key, id);
    }
    await this.#batch.write(options);
    for (const [key, id] of placed) this.#parted.placed(key, id);
  }
}
