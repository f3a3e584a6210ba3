import { Level } from 'level';
import type { Database, DatabaseBatch, OpenMode, ReadOptions, RowIterator } from './database.js';
import { inParts } from './parted-database.js';
import { rowIterator } from './row-iterator.js';
import { storeFault } from './store-fault.js';

const encodings = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const;

/**
 * What is acknowledged within that time is never written: of messages for who is there and keeps up, most (bench row
 * "QoS 1, 10 users, 1 → 1, persistent, window 20": 0.7 of what writing them at once took).
 */
const RIPEN_MS = 2;

/** At run time Level is ClassicLevel on Node.js; its declarations leave out what browsers do not have. */
interface Classic {
  compactRange(start: string, end: string): Promise<void>;
}
const { repair } = Level as unknown as { repair(location: string): Promise<void> };

/** Opens a folder of LevelDB. Throws a Fault that names the folder and, where there is one, the remedy. */
export async function openLevel(path: string, mode: OpenMode): Promise<Database> {
  const level = new Level<string, Buffer>(path, {
    ...encodings,
    createIfMissing: mode === 'create',
    // Queues come and go: a larger memtable means that most messages are deleted before they reach a table file.
    writeBufferSize: 16 * 1024 * 1024,
  });
  try {
    await level.open();
    return await inParts(new LevelDatabase(path, level));
  } catch (error) {
    await level.close().catch(() => {});
    throw storeFault(path, error);
  }
}

/** Whether a process, this one included, has the folder open. Nothing in it is changed to find out. */
export async function isOpenSomewhere(path: string): Promise<boolean> {
  // LevelDB takes the lock first, and then refuses the folder, whatever is in it.
  const level = new Level(path, { ...encodings, createIfMissing: false, errorIfExists: true });
  try {
    await level.open();
    return false;
  } catch (error) {
    return storeFault(path, error).code === 'E_STORE_LOCKED';
  } finally {
    await level.close().catch(() => {});
  }
}

/** Makes a store of the rows that LevelDB can read in the folder. The files that it cannot read go to a folder `lost`. */
export async function repairLevel(path: string): Promise<void> {
  await repair(path);
}

class LevelDatabase implements Database {
  readonly ripenMs = RIPEN_MS;
  readonly #path: string;
  readonly #level: Level<string, Buffer>;
  readonly #fail = (error: unknown): never => {
    throw storeFault(this.#path, error);
  };

  constructor(path: string, level: Level<string, Buffer>) {
    this.#path = path;
    this.#level = level;
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#level.get(key).catch(this.#fail);
  }

  iterator(options: ReadOptions): RowIterator {
    const rows = this.#level.iterator(options);
    const nextv = (count: number): Promise<[string, Buffer][]> => rows.nextv(count).catch(this.#fail);
    return rowIterator(nextv, () => rows.close());
  }

  batch(): DatabaseBatch {
    const batch = this.#level.batch();
    return {
      put: (key, value) => batch.put(key, value),
      del: (key) => batch.del(key),
      write: (options) => batch.write(options).catch(this.#fail),
    };
  }

  async compactRange(start: string, end: string): Promise<void> {
    await (this.#level as unknown as Classic).compactRange(start, end).catch(this.#fail);
  }

  async close(): Promise<void> {
    await this.#level.close();
  }
}
