import { MemoryLevel } from 'memory-level';
import type { Database, DatabaseBatch, OpenDatabase, OpenMode } from '../../src/store/database.js';

type Change = [key: string, value: Buffer | null];

/**
 * A disk with a cache in front of it, as under a file system: what is written without `sync` is in the cache alone, and a
 * power cut empties it. Writes can be held, failed, and cut off half-way.
 */
export class FlawedDisk {
  readonly #disk = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  #cache: Change[] = [];
  #epoch = 0;
  /** Every write so far, in order: whether it was synced and how many rows it changed. */
  readonly writes: { sync: boolean; changes: Change[] }[] = [];
  readonly opened: OpenMode[] = [];
  /** While set, every write fails with it. */
  writeError: Error | null = null;
  /** While set, opening fails with it. */
  openError: Error | null = null;
  /** While set, reading rows fails with it. */
  readError: Error | null = null;
  /** For how long operations are to wait while most of them are taken back. */
  ripenMs = 0;
  /** Replaces the pause before a write is done. */
  pause: () => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));

  readonly open: OpenDatabase = async (mode) => {
    this.opened.push(mode);
    if (this.openError !== null) throw this.openError;
    return this.#database(this.#epoch);
  };

  /** What was not synced is gone, and whoever still has the database open writes into the void. */
  cutPower(): void {
    this.#epoch++;
    this.#cache = [];
  }

  /** What is there from the beginning. */
  async fill(rows: readonly (readonly [string, Buffer])[]): Promise<void> {
    await this.#disk.batch(rows.map(([key, value]) => ({ type: 'put', key, value })));
  }

  async rows(): Promise<Map<string, Buffer>> {
    const rows = new Map<string, Buffer>();
    for await (const [key, value] of this.#disk.iterator()) rows.set(key, value);
    return rows;
  }

  #database(epoch: number): Database {
    let closed = false;
    return {
      ripenMs: this.ripenMs,
      get: (key) => this.#disk.get(key),
      iterator: (options) => {
        const iterator = this.#disk.iterator(options);
        const { readError } = this;
        if (readError !== null) iterator.nextv = () => Promise.reject(readError);
        return iterator;
      },
      batch: () => {
        if (closed) throw new Error('Database is not open');
        return this.#batch(epoch);
      },
      close: async () => {
        closed = true;
        if (epoch === this.#epoch) await this.#flush();
      },
    };
  }

  #batch(epoch: number): DatabaseBatch {
    const changes: Change[] = [];
    return {
      put: (key, value) => changes.push([key, value]),
      del: (key) => changes.push([key, null]),
      write: async ({ sync }) => {
        this.writes.push({ sync, changes });
        await this.pause();
        if (this.writeError !== null) throw this.writeError;
        // A process without power neither writes nor learns that it did not.
        if (epoch !== this.#epoch) return new Promise(() => {});
        this.#cache.push(...changes);
        if (sync) await this.#flush();
      },
    };
  }

  async #flush(): Promise<void> {
    const cached = this.#cache;
    this.#cache = [];
    await this.#disk.batch(
      cached.map(([key, value]) => (value === null ? { type: 'del', key } : { type: 'put', key, value })),
    );
  }
}
