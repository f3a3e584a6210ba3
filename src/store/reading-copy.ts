import { closeSync, existsSync, openSync } from 'node:fs';
import { copyFile, link, mkdtemp, readdir, readFile, rm, stat, statfs, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { Fault, UsageError } from '../errors.js';
import { isOpenSomewhere } from './level-database.js';

const ATTEMPTS = 20;
const PREFIX = 'iotlab-broker-reading-';
/** What opening a copy writes, beside the log: a new list of tables, and a few tables merged. */
const ROOM_BYTES = 32 * 1024 * 1024;

/**
 * A copy of a store that a running broker has open, or that lies on a full disk, to read from. Table files never change:
 * they are opened and named by their descriptors, so that they can be read for as long as this process lives, whoever
 * deletes them, and take no space. The list of tables (MANIFEST) and the log are copied, to where there is room. The copy
 * is good when that list did not change meanwhile: the log, cut wherever the copy met it, is then what a crash would
 * have left. Remove it when done.
 */
export async function readingCopy(path: string): Promise<{ path: string; remove(): Promise<void> }> {
  let cause: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const copy = await newFolder(path);
    const descriptors: number[] = [];
    const remove = async () => {
      for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
      await rm(copy, { recursive: true, force: true });
    };
    try {
      const before = await tableList(path);
      for (const name of await readdir(path)) {
        if (name === 'CURRENT' || name.startsWith('MANIFEST-') || name.endsWith('.log')) {
          await copyFile(join(path, name), join(copy, name));
        } else if (name.endsWith('.ldb')) {
          await lend(join(path, name), join(copy, name), descriptors);
        }
      }
      if (before.equals(await tableList(path)) && before.equals(await tableList(copy))) return { path: copy, remove };
    } catch (error) {
      // A table or log that was just replaced; anything else is there in the last attempt too.
      cause = error;
    }
    await remove();
  }
  throw new Fault('E_STORE_SNAPSHOT', `${path}: the store changes too fast to be copied; stop the broker first`, {
    cause,
  });
}

/** Removes copies that were left behind by a process that was killed: a start and every command about a store do so. */
export async function removeAbandonedCopies(path: string): Promise<void> {
  // Earlier releases put them beside the store, by the store's name.
  const former = `${basename(path)}.reading-`;
  for (const folder of new Set([dirname(resolve(path)), ...sharedFolders()])) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (!name.startsWith(PREFIX) && !name.startsWith(former)) continue;
      const copy = join(folder, name);
      if (isAlive(name) || (await isOpenSomewhere(copy))) continue;
      // Another user's stays.
      await rm(copy, { recursive: true, force: true }).catch(() => {});
    }
  }
}

/** By the process id in the name. One of another container is told by the lock of what it has open. */
function isAlive(name: string): boolean {
  const pid = Number(name.slice(PREFIX.length).split('-', 1)[0]);
  if (!name.startsWith(PREFIX) || !Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Where files may be put that need not outlive the process; the second is in memory. */
const sharedFolders = (): string[] => [tmpdir(), '/dev/shm'];

async function newFolder(path: string): Promise<string> {
  let needed = ROOM_BYTES;
  for (const name of await readdir(path)) {
    if (/\.log$|^MANIFEST-/.test(name)) needed += 2 * (await stat(join(path, name)).catch(() => ({ size: 0 }))).size;
  }
  const folders = [...sharedFolders(), dirname(resolve(path))];
  for (const folder of folders) {
    const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: 0, bsize: 0 }));
    if (bavail * bsize < needed) continue;
    const made = await mkdtemp(join(folder, `${PREFIX}${process.pid}-`)).catch(() => null);
    if (made !== null) return made;
  }
  throw new UsageError(
    `${path}: no room to read it from: ${Math.ceil(needed / 1_048_576)} MB are needed in ${folders.join(', or ')}. Make some, or set TMPDIR to another folder.`,
    { code: 'E_STORE_FULL' },
  );
}

async function lend(from: string, to: string, descriptors: number[]): Promise<void> {
  if (existsSync('/proc/self/fd')) {
    const descriptor = openSync(from, 'r');
    descriptors.push(descriptor);
    await symlink(`/proc/self/fd/${descriptor}`, to);
  } else {
    await link(from, to).catch(() => copyFile(from, to));
  }
}

async function tableList(path: string): Promise<Buffer> {
  const current = await readFile(join(path, 'CURRENT'), 'utf8');
  return Buffer.concat([Buffer.from(current), await readFile(join(path, current.trim()))]);
}
