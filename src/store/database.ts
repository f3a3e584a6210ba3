import { cp, mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Level } from 'level';
import { MemoryLevel } from 'memory-level';
import type { Clock } from '../clock.js';
import { Fault, UsageError } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { KeyRange } from './keys.js';

/** The little of abstract-level that the store needs, so that a test can put its own in place. */
export interface Database {
  get(key: string): Promise<Buffer | undefined>;
  iterator(range: KeyRange & { highWaterMarkBytes?: number }): RowIterator;
  batch(): DatabaseBatch;
  /** Where there is such a thing. */
  compactRange?(start: string, end: string): Promise<void>;
  close(): Promise<void>;
}

/** Rows in the order of their keys' bytes, as they were when the iterator was made. */
export interface RowIterator extends AsyncIterable<[string, Buffer]> {
  /** At most `count` rows; none at the end. */
  nextv(count: number): Promise<[string, Buffer][]>;
  close(): Promise<void>;
}

export interface DatabaseBatch {
  put(key: string, value: Buffer): unknown;
  del(key: string): unknown;
  write(options: { sync: boolean }): Promise<void>;
}

/** `create`: at start. `existing`: after a fault; making an empty store in the place of a lost one would lose all. */
export type OpenMode = 'create' | 'existing';
export type OpenDatabase = (mode: OpenMode) => Promise<Database>;

const encodings = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const;

/** Opens the folder `path`, or an empty database in memory when `path` is `memory`. */
export async function openDatabase(options: {
  path: string;
  log: Log;
  clock: Clock;
  mode: OpenMode;
}): Promise<Database> {
  const { path, log, clock, mode } = options;
  if (path === 'memory') return new MemoryLevel<string, Buffer>(encodings);
  if (mode === 'create') await ensureFolder(path);
  try {
    return await openLevel(path, mode);
  } catch (error) {
    if (causeCode(error) !== 'LEVEL_CORRUPTION' || mode !== 'create') throw openFault(path, error);
    await repair(path, log, clock, error);
    return await openLevel(path, 'existing').catch((again) => {
      throw openFault(path, again);
    });
  }
}

async function openLevel(path: string, mode: OpenMode): Promise<Database> {
  const level = new Level<string, Buffer>(path, {
    ...encodings,
    createIfMissing: mode === 'create',
    // Queues come and go: a larger memtable means that most messages are deleted before they reach a table file.
    writeBufferSize: 16 * 1024 * 1024,
  });
  try {
    await level.open();
  } catch (error) {
    await level.close().catch(() => {});
    throw error;
  }
  return level;
}

/** Not `recursive: true`: under /proc and its like that tries again for ever. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function ensureFolder(path: string): Promise<void> {
  try {
    await makeFolder(resolve(path));
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EEXIST' && code !== 'ENOTDIR') {
      throw new UsageError(
        `${path}: the store's folder cannot be made (${code ?? error}). Make it writable for the broker's user, or set storage.path to another folder.`,
        { code: 'E_STORE_FOLDER', cause: error },
      );
    }
  }
  throw new UsageError(`${path}: not a folder. storage.path must name a folder, or be "memory".`, {
    code: 'E_STORE_FOLDER',
  });
}

/** LevelDB replays its log by itself after a crash; this is for damage that it cannot explain, a bad disk for one. */
async function repair(path: string, log: Log, clock: Clock, cause: unknown): Promise<void> {
  const copy = `${path}.damaged-${new Date(clock.epochMs()).toISOString().replaceAll(':', '')}`;
  log.error(
    { path, copy, err: cause },
    'the store is damaged: it is copied and then repaired; what is lost is in the copy',
  );
  await cp(path, copy, { recursive: true, errorOnExist: true });
  // At run time Level is ClassicLevel on Node.js; its declarations leave this one out, since browsers have none.
  await (Level as unknown as { repair(location: string): Promise<void> }).repair(path);
  log.warn({ path, copy }, 'the store was repaired');
}

function openFault(path: string, error: unknown): Fault {
  const code = causeCode(error);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (code === 'LEVEL_LOCKED') {
    return new UsageError(
      `${path}: the store is in use by another process. Stop that broker first, or set storage.path to another folder.`,
      { code: 'E_STORE_LOCKED', cause: error },
    );
  }
  if (/permission denied|read-only file system/i.test(reason)) {
    return new UsageError(
      `${path}: the store cannot be written (${reason}). Make the folder writable for the broker's user, or set storage.path to another folder.`,
      { code: 'E_STORE_READ_ONLY', cause: error },
    );
  }
  return new Fault('E_STORE_OPEN', `${path}: the store cannot be opened: ${reason}`, { cause: error });
}

/** abstract-level wraps what the database says in "not open"; the code that tells is one deeper. */
function causeCode(error: unknown): string | undefined {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return (cause as { code?: string } | undefined)?.code;
}
