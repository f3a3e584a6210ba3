import { copyFile, link, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Fault } from '../errors.js';

const ATTEMPTS = 20;

/**
 * A copy of a store that a running broker has open, to read from. Table files never change and are linked; the list of
 * tables (MANIFEST) and the log are copied. The copy is good when that list did not change meanwhile: the log, cut
 * wherever the copy met it, is then what a crash would have left. Remove the folder when done.
 */
export async function snapshotOf(path: string): Promise<{ path: string; remove(): Promise<void> }> {
  let cause: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const copy = await newFolder(path);
    const remove = () => rm(copy, { recursive: true, force: true });
    try {
      const before = await tableList(path);
      for (const name of await readdir(path)) {
        if (name === 'CURRENT' || name.startsWith('MANIFEST-') || name.endsWith('.log')) {
          await copyFile(join(path, name), join(copy, name));
        } else if (name.endsWith('.ldb')) {
          const [from, to] = [join(path, name), join(copy, name)];
          await link(from, to).catch(() => copyFile(from, to));
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

/** Beside the store, where files can be linked, or where everybody may write. */
const newFolder = (path: string): Promise<string> =>
  mkdtemp(`${path}.reading-`).catch(() => mkdtemp(join(tmpdir(), `${basename(path)}.reading-`)));

async function tableList(path: string): Promise<Buffer> {
  const current = await readFile(join(path, 'CURRENT'), 'utf8');
  return Buffer.concat([Buffer.from(current), await readFile(join(path, current.trim()))]);
}
