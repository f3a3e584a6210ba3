import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { damagedBlocks, spoil, type TableBlock } from './table-file.js';

export interface DamagedTable {
  readonly name: string;
  readonly blocks: readonly TableBlock[];
}

/** The files of tables as they are at a moment: what tells each from a later one of the same name. */
export type TableFiles = ReadonlyMap<string, string>;

export async function tablesIn(path: string): Promise<TableFiles> {
  const names = (await readdir(path)).filter((file) => /\.(ldb|sst)$/.test(file)).sort();
  const files = await Promise.all(names.map(async (name) => [name, await identityOf(join(path, name))] as const));
  return new Map(files.filter((file): file is [string, string] => file[1] !== null));
}

/** Null: it is gone, merged into another one. */
async function identityOf(file: string): Promise<string | null> {
  try {
    const { ino, size, mtimeMs } = await stat(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * The tables of a store that have blocks with a wrong checksum, of those that were there as `tables` tells: LevelDB begins
 * to merge some as it is opened, and leaves what it did not finish behind as it is closed. One is in memory at a time.
 */
export async function findDamage(path: string, tables: TableFiles): Promise<DamagedTable[]> {
  const damaged: DamagedTable[] = [];
  for (const [name, identity] of tables) {
    const file = join(path, name);
    if ((await identityOf(file)) !== identity) continue;
    const blocks = damagedBlocks(await readFile(file));
    if (blocks.length > 0) damaged.push({ name, blocks });
  }
  return damaged;
}

/** So that a repair leaves out every damaged block, and not only those that cannot be unpacked. */
export async function spoilDamage(path: string, tables: readonly DamagedTable[]): Promise<void> {
  for (const { name, blocks } of tables) {
    const table = await readFile(join(path, name));
    for (const block of blocks) spoil(table, block);
    await writeFile(join(path, name), table);
  }
}

/** A line each, for people. */
export function describeDamage(tables: readonly DamagedTable[]): string[] {
  return tables.flatMap(({ name, blocks }) => blocks.map((block) => `${name}: ${describe(block)}`));
}

function describe({ kind, bytes, after, upTo }: TableBlock): string {
  if (kind === 'filter') return `a lookup block of ${bytes} bytes is damaged; no row is lost by it`;
  if (kind === 'index') return `the table of ${bytes} bytes cannot be read: its index is damaged`;
  return `a block of ${bytes} bytes is damaged, with the rows ${after === null ? '' : `after ${after} `}up to ${upTo}`;
}
