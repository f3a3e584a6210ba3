import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { Database, OpenDatabase } from '../store/database.js';
import { openDatabase } from '../store/open-database.js';

const everything = { gte: '', lt: '\uffff' };
const rowsAtOnce = 1_000;

/** The database of a test's broker. One in memory outlives the broker's restarts, as a folder does. */
export class KeepableStore {
  readonly #options: { readonly path: string; readonly log: Log; readonly clock: Clock };
  #memory: Database | null = null;

  constructor(path: string, log: Log, clock: Clock) {
    this.#options = { path, log, clock };
  }

  readonly open: OpenDatabase = async (mode) => {
    if (this.#options.path !== 'memory') return openDatabase({ ...this.#options, mode });
    this.#memory ??= await openDatabase({ ...this.#options, mode });
    const memory = this.#memory;
    return {
      get: (key) => memory.get(key),
      iterator: (range) => memory.iterator(range),
      batch: () => memory.batch(),
      close: async () => {},
    };
  };

  /** Forgets everything that was stored; the broker must not be running. */
  async empty(): Promise<void> {
    if (this.#options.path === 'memory') {
      await this.close();
      return;
    }
    const database = await this.open('create');
    try {
      const iterator = database.iterator(everything);
      for (let rows = await iterator.nextv(rowsAtOnce); rows.length > 0; rows = await iterator.nextv(rowsAtOnce)) {
        const batch = database.batch();
        for (const [key] of rows) batch.del(key);
        await batch.write({ sync: false });
      }
      await iterator.close();
    } finally {
      await database.close();
    }
  }

  async close(): Promise<void> {
    const memory = this.#memory;
    this.#memory = null;
    await memory?.close();
  }
}
