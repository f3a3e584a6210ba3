import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLevel } from './open-store.js';

export const tablesOf = async (path: string): Promise<string[]> =>
  (await readdir(path)).filter((name) => name.endsWith('.ldb')).sort();

/** Moves everything a closed store has into table files, as time and traffic would. */
export async function settle(path: string): Promise<void> {
  const level = await openLevel(path);
  await (level as unknown as { compactRange(start: string, end: string): Promise<void> }).compactRange('', '~');
  await level.close();
}

/** Flips the bits of some bytes in the middle of every table, as a bad disk does: in a block of rows. */
export async function damageTables(path: string): Promise<string[]> {
  const names = await tablesOf(path);
  for (const name of names) {
    const table = await readFile(join(path, name));
    const middle = Math.floor(table.length / 2);
    for (let at = middle; at < middle + 20; at++) table[at]! ^= 0xff;
    await writeFile(join(path, name), table);
  }
  return names;
}
