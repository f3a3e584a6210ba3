import { type FileHandle, open, readFile, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '../errors.js';

/** Longer than anybody takes between making a lock and writing the name into it, or to take one away. */
const unnamedMs = 5_000;
const retryMs = 20;

/**
 * Runs `work` while holding `<path>.lock`, so that of two commands that edit the file one waits for the other. A lock
 * whose holder died (same machine, no such process) is taken away. Throws `UsageError` when the wait takes too long.
 */
export async function withUsersLock<T>(path: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  const deadline = performance.now() + waitMs;
  while (!(await create(lock))) {
    if (await holderIsGone(lock)) await takeAway(lock);
    else if (performance.now() > deadline) {
      throw new UsageError(`${lock}: another command is editing the users file; if there is none, remove this lock`, {
        code: 'E_USERS_LOCKED',
      });
    } else await delay(retryMs);
  }
  try {
    return await work();
  } finally {
    await unlink(lock).catch(() => {});
  }
}

/** False when somebody else has it. */
async function create(lock: string): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(lock, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    await file.writeFile(`${process.pid} ${hostname()}\n`);
    return true;
  } catch (error) {
    // A full disk has room for an empty file: left there, it would keep out everybody who comes later.
    await unlink(lock).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

async function holderIsGone(lock: string): Promise<boolean> {
  const text = await readFile(lock, 'utf8').catch(() => null);
  // Somebody who was killed before the name was written, unless it is just being written.
  if (text === '') return (await ageMsOf(lock)) > unnamedMs;
  const match = text === null ? null : /^(\d+) (.*)\n$/.exec(text);
  // A process of another machine or container can't be seen from here.
  if (match === null || match[2] !== hostname()) return false;
  try {
    process.kill(Number(match[1]), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Two that find the same dead holder must not both remove "the" lock: the second would remove the first one's new one.
 * So whoever takes a lock away holds another meanwhile, and looks again.
 */
async function takeAway(lock: string): Promise<void> {
  const breaking = `${lock}.breaking`;
  if (!(await create(breaking))) {
    if ((await ageMsOf(breaking)) > unnamedMs) await unlink(breaking).catch(() => {});
    await delay(retryMs);
    return;
  }
  try {
    if (await holderIsGone(lock)) await unlink(lock);
  } finally {
    await unlink(breaking).catch(() => {});
  }
}

/** By the wall clock, since the file's own time is. */
async function ageMsOf(file: string): Promise<number> {
  const { mtimeMs } = (await stat(file).catch(() => null)) ?? { mtimeMs: Date.now() };
  return Date.now() - mtimeMs;
}
