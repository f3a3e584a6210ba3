import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { damagedBlocks, spoil, type TableBlock } from './table-file.js';

export interface DamagedTable {
  readonly name: string;
  readonly blocks: readonly TableBlock[];
}

/** The tables of a store that have blocks with a wrong checksum. One table at a time is in memory. */
export async function findDamage(path: string): Promise<DamagedTable[]> {
  const damaged: DamagedTable[] = [];
  for (const name of (await readdir(path)).filter((file) => /\.(ldb|sst)$/.test(file)).sort()) {
    const table = await readFile(join(path, name)).catch((error: NodeJS.ErrnoException) => {
      // A table that was merged into another one meanwhile.
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    const blocks = table === null ? [] : damagedBlocks(table);
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
