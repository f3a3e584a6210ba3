import type { Database, DatabaseBatch, OpenDatabase } from './database.js';

/** Hears of each batch that was written: of how many operations, and how long that took. */
export type OnWritten = (operations: number, seconds: number) => void;

/** Opens databases that tell what is written to them. */
export function measuring(open: OpenDatabase, onWritten: OnWritten): OpenDatabase {
  return async (mode) => measured(await open(mode), onWritten);
}

function measured(db: Database, onWritten: OnWritten): Database {
  return {
    ...(db.slotted && { slotted: true }),
    ...(db.ripenMs !== undefined && { ripenMs: db.ripenMs }),
    get: (key) => db.get(key),
    iterator: (range) => db.iterator(range),
    batch: () => new MeasuredBatch(db.batch(), onWritten),
    ...(db.longBytes !== undefined && { longBytes: db.longBytes }),
    ...(db.prepare && { prepare: (value: Buffer) => db.prepare!(value) }),
    ...(db.discard && { discard: (value: Buffer) => db.discard!(value) }),
    ...(db.compactRange && { compactRange: (start: string, end: string) => db.compactRange!(start, end) }),
    close: () => db.close(),
  };
}

class MeasuredBatch implements DatabaseBatch {
  readonly #batch: DatabaseBatch;
  readonly #onWritten: OnWritten;
  #operations = 0;

  constructor(batch: DatabaseBatch, onWritten: OnWritten) {
    this.#batch = batch;
    this.#onWritten = onWritten;
  }

  put(key: string, value: Buffer): void {
    this.#operations++;
    this.#batch.put(key, value);
  }

  del(key: string): void {
    this.#operations++;
    this.#batch.del(key);
  }

  async write(options: { sync: boolean }): Promise<void> {
    const startedMs = performance.now();
    await this.#batch.write(options);
    this.#onWritten(this.#operations, (performance.now() - startedMs) / 1_000);
  }
}
