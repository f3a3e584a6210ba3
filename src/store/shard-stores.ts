import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.js';

/** How the stores below `storage.path` are laid out: that of a single broker, or one folder for each shard of so many. */
export interface StoreLayout {
  /** 1: the folder itself is the store. */
  readonly shards: number;
  /** The folder of each shard's store. */
  readonly folders: readonly string[];
}

/** A split in hand: its stores, and its plan once they are whole. */
export const SPLIT_FOLDER = '.split';

export const shardFolder = (shards: number, shard: number): string => `shard-${shard}-of-${shards}`;

export function layoutOf(path: string, shards: number): StoreLayout {
  const folders = Array.from({ length: shards }, (_, shard) => join(path, shardFolder(shards, shard)));
  return { shards, folders: shards === 1 ? [path] : folders };
}

/** The layouts that are there. More than one: a split was interrupted, or somebody put files there. */
export async function layoutsIn(path: string): Promise<StoreLayout[]> {
  const names = await readdir(path).catch((): string[] => []);
  const counts = new Set<number>();
  if (names.some((name) => name === 'CURRENT' || /\.(ldb|sst|log)$/.test(name))) counts.add(1);
  for (const name of names) {
    const shards = /^shard-\d{1,3}-of-(\d{1,3})$/.exec(name)?.[1];
    if (shards !== undefined) counts.add(Number(shards));
  }
  return [...counts].sort((a, b) => a - b).map((count) => layoutOf(path, count));
}

/** Refuses to begin with empty stores where there are others: everything that is kept would seem to be lost. */
export async function refuseOtherLayout(path: string, shards: number): Promise<void> {
  if (path === 'memory') return;
  const names = await readdir(path).catch((): string[] => []);
  const others = (await layoutsIn(path)).filter((layout) => layout.shards !== shards);
  const interrupted = names.includes(SPLIT_FOLDER);
  if (others.length === 0 && !interrupted) return;
  const kept = others
    .map((layout) => (layout.shards === 1 ? 'one broker' : `${layout.shards} shards`))
    .join(' and of ');
  const what = interrupted ? 'has a split that was interrupted' : `has the store of ${kept}`;
  const remedy = `iotlab-broker storage split --shards ${shards} ${interrupted ? 'goes on with it' : 'moves everything over'}`;
  throw new UsageError(`storage.path: ${path} ${what}. With all brokers stopped, ${remedy}.`, {
    code: 'E_STORE_LAYOUT',
  });
}
