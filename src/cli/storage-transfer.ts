import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '../errors.js';
import type { Store } from '../store/contract.js';
import { exportLines, importLine, TransferReader } from '../store/export-import.js';
import type { CommandIo } from './command.js';
import { progressOn } from './progress.js';

/** Lines handed to the store before waiting for the disk. */
const LINES_PER_COMMIT = 1_000;

/** To a file, which appears under its name when it is whole, or to the standard output. */
export async function exportStores(stores: readonly Store[], file: string, io: CommandIo): Promise<number> {
  const progress = progressOn(io.stderr, 'lines written');
  let count = 0;
  async function* lines(): AsyncGenerator<string> {
    for (const [place, store] of stores.entries()) {
      let first = true;
      for await (const line of exportLines(store)) {
        // One beginning is enough.
        if (first && place > 0) {
          first = false;
          continue;
        }
        first = false;
        progress.at(++count);
        yield `${line}\n`;
      }
    }
  }
  if (file === '' || file === '-') {
    await pipeline(lines, io.stdout, { end: false });
  } else {
    const partial = `${resolve(file)}.partial`;
    try {
      // Messages are their owners' alone.
      await pipeline(lines, createWriteStream(partial, { mode: 0o600, flush: true }));
      await rename(partial, resolve(file));
    } catch (error) {
      await rm(partial, { force: true });
      throw fileError(file, 'written', error);
    }
  }
  progress.end();
  if (file !== '' && file !== '-') io.stdout.write(`${file}: ${count} lines\n`);
  return 0;
}

/** Reads the file twice: nothing is put into the store before every line has been found good. */
export async function importStore(
  store: () => Promise<Store>,
  file: string,
  force: boolean,
  io: CommandIo,
): Promise<number> {
  const checked = progressOn(io.stderr, 'lines checked');
  let count = 0;
  const reader = new TransferReader(file);
  await eachLine(file, async (text) => {
    reader.read(text);
    checked.at(++count);
  });
  reader.end();
  checked.end();
  const target = await store();
  try {
    if (!force && !(await isEmpty(target))) {
      throw new UsageError(
        'the store has something in it: import into an empty one, or add the file to it with --force',
        {
          code: 'E_IMPORT',
        },
      );
    }
    if (force) for await (const _ of target.loadSessions());
    const progress = progressOn(io.stderr, 'lines imported');
    const again = new TransferReader(file);
    let done = 0;
    await eachLine(file, async (text) => {
      importLine(target, again.read(text));
      progress.at(++done);
      if (done % LINES_PER_COMMIT === 0) await committed(target);
    });
    await committed(target);
    progress.end();
  } finally {
    await target.close();
  }
  io.stdout.write(`${file}: ${count} lines imported\n`);
  return 0;
}

async function eachLine(file: string, use: (text: string) => Promise<void>): Promise<void> {
  const input = createReadStream(resolve(file));
  try {
    // By events, a stream that fails to open would leave the loop waiting for ever.
    await new Promise((opened, failed) => input.once('open', opened).once('error', failed));
  } catch (error) {
    throw fileError(file, 'read', error);
  }
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) await use(text);
}

async function isEmpty(store: Store): Promise<boolean> {
  if (store.retained.size > 0) return false;
  for await (const _ of store.loadSessions()) return false;
  for await (const _ of store.loadWills()) return false;
  for await (const _ of store.loadUsers()) return false;
  return true;
}

const committed = (store: Store): Promise<void> =>
  new Promise((resolve, reject) => {
    store.committed((fault) => (fault === null ? resolve() : reject(fault)));
  });

function fileError(file: string, what: 'read' | 'written', error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new UsageError(`${file} cannot be ${what}: ${code}`, { cause: error });
}
