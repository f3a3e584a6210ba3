import { access, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { incomplete, storeFault } from './store-fault.js';

/** Makes the store's folder, for its owner alone, where there is none. */
export async function ensureFolder(path: string): Promise<void> {
  try {
    await makeFolder(resolve(path));
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw storeFault(path, error);
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

/**
 * Refuses a folder that has rows and no CURRENT. LevelDB takes such a folder for a new store, and deletes the tables in
 * it as left over.
 */
export async function refuseHeadless(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.includes('CURRENT')) return;
  const withRows: string[] = [];
  for (const name of names) {
    // The log of a store that was never written to is empty.
    const rows = /\.(ldb|sst)$/.test(name) || (/^\d+\.log$/.test(name) && (await stat(join(path, name))).size > 0);
    if (rows) withRows.push(name);
  }
  if (withRows.length === 0) return;
  const some = withRows.length > 3 ? `${withRows.slice(0, 3).join(', ')}, …` : withRows.join(', ');
  throw incomplete(path, `it has ${some} and not CURRENT, which says how they belong together`);
}

/** Refuses a folder without a store, and one that is not there: LevelDB would make the folder to find out. */
export async function refuseAbsent(path: string): Promise<void> {
  try {
    await refuseHeadless(path);
    await access(join(path, 'CURRENT'));
  } catch (error) {
    throw storeFault(path, error);
  }
}
