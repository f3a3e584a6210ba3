import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { UsageError } from '../errors.js';
import { isGroupSubject } from '../group-name.js';
import { shardOf } from '../shard.js';
import type { Store } from '../store/contract.js';
import { exportLines, importLine, TransferReader } from '../store/export-import.js';
import type { TransferLine } from '../store/export-line.js';
import { loginOf } from '../store/keys.js';
import { layoutOf, layoutsIn, SPLIT_FOLDER, type StoreLayout } from '../store/shard-stores.js';
import type { CommandIo } from './command.js';
import { progressOn } from './progress.js';

/** Lines handed to the stores before waiting for the disk. */
const LINES_PER_COMMIT = 1_000;
/** In the split's folder once its stores are whole: from then on it is only a matter of moving folders. */
const PLAN = 'plan.json';

interface Plan {
  readonly shards: number;
  /** Where what was there before goes. */
  readonly keptAs: string;
  /** It is there. */
  readonly cleared: boolean;
}

export interface SplitOptions {
  readonly config: Config;
  readonly path: string;
  readonly shards: number;
  readonly openStore: (path: string, mode: 'create' | 'existing') => Promise<Store>;
  readonly ownerOf: (topic: string) => string;
  readonly now: Date;
}

/**
 * Moves what is kept into the stores of so many shards, by login. The new stores are made beside the old ones, which stay
 * as they were, in a folder that is named; a split that was interrupted goes on or begins anew.
 */
export async function splitStore(options: SplitOptions, io: CommandIo): Promise<number> {
  const { path, shards } = options;
  const folder = join(path, SPLIT_FOLDER);
  let plan = await readPlan(folder);
  if (plan === null) {
    const sources = await layoutsIn(path);
    const [source] = sources;
    if (source === undefined) throw new UsageError(`${path}: there is no store to split.`);
    if (sources.length > 1) throw ambiguous(path, sources);
    if (source.shards === shards) {
      io.stdout.write(`${path}: it is the store of ${layoutName(shards)} already\n`);
      return 0;
    }
    await rm(folder, { recursive: true, force: true });
    const keptAs = `before-split-${options.now.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
    await copy(options, source, folder, io);
    plan = { shards, keptAs, cleared: false };
    await writePlan(folder, plan);
  }
  await carryOut(path, folder, plan);
  io.stdout.write(`${path}: now the store of ${layoutName(plan.shards)}; what was there before is in ${plan.keptAs}\n`);
  return 0;
}

const layoutName = (shards: number) => (shards === 1 ? 'one broker' : `${shards} shards`);

function ambiguous(path: string, sources: readonly StoreLayout[]): UsageError {
  const names = sources.map(({ shards }) => layoutName(shards)).join(' and of ');
  return new UsageError(`${path} has the stores of ${names}. Move away what is not to be kept, and split again.`);
}

async function copy({ path: _, shards, ...options }: SplitOptions, source: StoreLayout, folder: string, io: CommandIo) {
  const { openStore, ownerOf } = options;
  const targets: Store[] = [];
  const progress = progressOn(io.stderr, 'lines moved');
  let count = 0;
  let homeless = 0;
  try {
    for (const target of layoutOf(join(folder, 'new'), shards).folders) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      targets.push(await openStore(target, 'create'));
    }
    for (const path of source.folders) {
      if (!existsSync(path)) continue;
      const store = await openStore(path, 'existing');
      try {
        const reader = new TransferReader(path);
        for await (const text of exportLines(store)) {
          const line = reader.read(text);
          if (line.kind === 'iotlab-broker-store') continue;
          const login = loginOfLine(line, ownerOf);
          if (login === '') homeless++;
          // What is decided for a group is for its members, who are everywhere.
          const into = line.kind === 'user' && isGroupSubject(login) ? targets : [targets[shardOf(login, shards)]!];
          for (const target of into) importLine(target, line);
          progress.at(++count);
          if (count % LINES_PER_COMMIT === 0) await Promise.all(targets.map(committed));
        }
      } finally {
        await store.close();
      }
    }
    await Promise.all(targets.map(committed));
  } finally {
    for (const target of targets) await target.close();
  }
  progress.end();
  if (homeless > 0) io.stderr.write(`${homeless} retained messages are in nobody's tree: they go to shard 0\n`);
}

function loginOfLine(line: TransferLine, ownerOf: (topic: string) => string): string {
  switch (line.kind) {
    case 'session':
    case 'message':
    case 'will':
      return loginOf(line.clientId);
    case 'retained':
      return line.owner ?? ownerOf(line.topic);
    case 'user':
      return line.login;
    case 'iotlab-broker-store':
      return '';
  }
}

/** Each step may have been done before an interruption. */
async function carryOut(path: string, folder: string, plan: Plan): Promise<void> {
  const kept = join(path, plan.keptAs);
  const made = join(folder, 'new');
  if (!plan.cleared) {
    await mkdir(kept, { recursive: true, mode: 0o700 });
    const old = (await readdir(path)).filter((name) => name !== SPLIT_FOLDER && !name.startsWith('before-split-'));
    for (const name of old) await rename(join(path, name), join(kept, name));
    await writePlan(folder, { ...plan, cleared: true });
  }
  // Of a single store its files, of several their folders.
  for (const name of await readdir(made)) await rename(join(made, name), join(path, name));
  await rm(folder, { recursive: true, force: true });
}

async function writePlan(folder: string, plan: Plan): Promise<void> {
  const file = join(folder, PLAN);
  await writeFile(`${file}.new`, JSON.stringify(plan), { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}

async function readPlan(folder: string): Promise<Plan | null> {
  try {
    return JSON.parse(await readFile(join(folder, PLAN), 'utf8')) as Plan;
  } catch {
    return null;
  }
}

const committed = (store: Store): Promise<void> =>
  new Promise((resolve, reject) => {
    store.committed((fault) => (fault === null ? resolve() : reject(fault)));
  });
