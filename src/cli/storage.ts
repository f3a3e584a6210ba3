import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { createLog } from '../observe/log.js';
import type { Store } from '../store/contract.js';
import type { OpenMode } from '../store/database.js';
import { openDatabase } from '../store/open-database.js';
import { openAllRows } from '../store/postgres/open-postgres.js';
import { readingCopy, removeAbandonedCopies } from '../store/reading-copy.js';
import { layoutsIn } from '../store/shard-stores.js';
import { openStore } from '../store/store.js';
import { usageByUser } from '../store/usage-by-user.js';
import { action, type CommandIo, type Options } from './command.js';
import { defineCommand } from './define-command.js';
import { shardCount } from './shards-option.js';
import { checkDatabase, checkStore, repairStore } from './storage-check.js';
import { splitStore } from './storage-split.js';
import { exportStores, importStore } from './storage-transfer.js';
import { ownerByAcl, usageTable } from './storage-usage.js';

interface Target {
  readonly config: Config;
  readonly path: string;
  /** The store, or those of all shards; none: it is in the database that storage.url names. */
  readonly folders: readonly string[];
  readonly inDatabase: boolean;
  readonly file: string;
  readonly json: boolean;
  readonly force: boolean;
}

/** Where the store is: `--path`, else what the configuration says. It has to be there, unless it is imported into. */
async function targetOf(name: string, { values, config: file, ...given }: Wanted, io: CommandIo): Promise<Target> {
  const config = await loadConfig(file, io.env);
  const common = { config, file: given.args[0] ?? '', json: values.json === true, force: values.force === true };
  if (values.path === undefined && config.storage.url !== '') {
    refuseForDatabase(name);
    return { ...common, path: 'storage.url', folders: [], inDatabase: true };
  }
  const path = values.path === undefined ? config.storage.path : resolve(values.path);
  if (path === 'memory') {
    throw new UsageError('storage.path is "memory": nothing is kept. Name a folder with --path.');
  }
  await removeAbandonedCopies(path);
  if (name === 'import') await refuseShards(path);
  const folders = name === 'import' ? [path] : await storesIn(path, name);
  return { ...common, path, folders, inDatabase: false };
}

function refuseForDatabase(name: string): void {
  const why = databaseDoes.get(name);
  if (why !== undefined) throw new UsageError(`storage.url: the store is in PostgreSQL. ${why}`);
}

const databaseDoes = new Map([
  ['repair', 'Restore it from a backup; docs/cluster.md.'],
  ['compact', 'It gives back space by itself (autovacuum).'],
  ['split', 'Another number of shards needs nothing but a restart of all brokers with it.'],
]);

interface Wanted {
  readonly args: readonly (string | undefined)[];
  readonly values: {
    readonly path?: string | undefined;
    readonly json?: boolean | undefined;
    readonly force?: boolean | undefined;
  };
  readonly config: string | undefined;
}

/** What reads goes through the stores of all shards; what changes a store wants to know which. */
async function storesIn(path: string, action: string): Promise<readonly string[]> {
  const layout = (await layoutsIn(path)).at(-1);
  if (layout === undefined) {
    throw new UsageError(`${path}: there is no store. It is made when the broker starts; --path names another folder.`);
  }
  if (layout.shards > 1 && (action === 'repair' || action === 'compact')) {
    throw new UsageError(
      `${path} has the stores of ${layout.shards} shards: name one of them, --path ${layout.folders[0]}`,
    );
  }
  return layout.folders;
}

/** Beside the stores of shards, one of a single broker would be nobody's. */
async function refuseShards(path: string): Promise<void> {
  const sharded = (await layoutsIn(path)).find(({ shards }) => shards > 1);
  if (sharded === undefined) return;
  const remedy = `import into another folder (--path), and iotlab-broker storage split --shards ${sharded.shards} --path with it`;
  throw new UsageError(`${path} has the stores of ${sharded.shards} shards: ${remedy}.`);
}

/** The store, or when a broker has it or its disk is full, a copy of it as it is now. It is never repaired for this. */
async function reading(
  target: Target,
  path: string,
  { stderr }: CommandIo,
  use: (store: Store) => Promise<number>,
): Promise<number> {
  const log = logTo(stderr);
  if (target.inDatabase) {
    const all = await openAllRows(target.config, { log, clock: systemClock }, 'read');
    const store = await openStore({ config: target.config.storage, log, clock: systemClock, open: all });
    return await use(store).finally(() => store.close());
  }
  const open = (path: string) =>
    openStore({
      config: { ...target.config.storage, path },
      log,
      clock: systemClock,
      open: () => openDatabase({ path, log, clock: systemClock, mode: 'existing' }),
    });
  let store: Store;
  let remove = async () => {};
  try {
    store = await open(path);
  } catch (error) {
    if (!(error instanceof UsageError) || !/^E_STORE_(LOCKED|FULL|READ_ONLY)$/.test(error.code)) throw error;
    const copy = await readingCopy(path);
    remove = copy.remove;
    store = await open(copy.path).catch(async (fault) => {
      await remove();
      throw fault;
    });
  }
  try {
    return await use(store);
  } finally {
    await store.close();
    await remove();
  }
}

async function usage(target: Target, io: CommandIo): Promise<number> {
  const users: Awaited<ReturnType<typeof usageByUser>>[number][] = [];
  for (const folder of storesOf(target)) {
    await reading(target, folder, io, async (store) => {
      users.push(...(await usageByUser(store, ownerByAcl(target.config))));
      return 0;
    });
  }
  users.sort((a, b) => (a.user < b.user ? -1 : 1));
  io.stdout.write(target.json ? `${jsonText(users, 2)}\n` : usageTable(users));
  return 0;
}

/** Of all shards: each folder, or the one database. */
const storesOf = ({ folders, path, inDatabase }: Target) => (inDatabase ? [path] : folders);

async function check(target: Target, io: CommandIo): Promise<number> {
  if (target.inDatabase) {
    const open = await openAllRows(target.config, { log: logTo(io.stderr), clock: systemClock }, 'read');
    return await checkDatabase(open, target.path, io);
  }
  let worst = 0;
  for (const folder of target.folders) worst = Math.max(worst, await checkStore(folder, logTo(io.stderr), io));
  return worst;
}

/** One store after the other, into one file. */
function exported(target: Target, io: CommandIo): Promise<number> {
  const open = (left: readonly string[], stores: readonly Store[]): Promise<number> => {
    const [folder, ...others] = left;
    if (folder === undefined) return exportStores(stores, target.file, io);
    return reading(target, folder, io, (store) => open(others, [...stores, store]));
  };
  return open(storesOf(target), []);
}

function split(target: Target, shards: string, io: CommandIo): Promise<number> {
  const log = logTo(io.stderr);
  const open = (path: string, mode: OpenMode) =>
    openStore({
      ...{ config: { ...target.config.storage, path }, log, clock: systemClock },
      open: () => openDatabase({ path, log, clock: systemClock, mode }),
    });
  const { config, path } = target;
  const wanted = {
    config,
    path,
    shards: shardCount(shards),
    openStore: open,
    ownerOf: ownerByAcl(config),
    now: new Date(),
  };
  return splitStore(wanted, io);
}

async function compact({ path }: Target, io: CommandIo): Promise<number> {
  const before = await folderBytes(path);
  const db = await openDatabase({ path, log: logTo(io.stderr), clock: systemClock, mode: 'existing' });
  try {
    await db.compactRange?.('', '~');
  } finally {
    await db.close();
  }
  const after = await folderBytes(path);
  const outcome = after < before ? `${after} now` : 'nothing to give back';
  io.stdout.write(`${path}: ${before} bytes before, ${outcome}\n`);
  return 0;
}

async function importInto({ config, path, file, force, inDatabase }: Target, io: CommandIo): Promise<number> {
  const log = logTo(io.stderr);
  const open = inDatabase ? await openAllRows(config, { log, clock: systemClock }, 'write') : undefined;
  const options = { config: { ...config.storage, path }, log, clock: systemClock, ...(open && { open }) };
  return importStore(() => openStore(options), file, force, io);
}

async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(path)) bytes += (await stat(join(path, name)).catch(() => ({ size: 0 }))).size;
  return bytes;
}

/** What the store itself has to say, of repairs and the like. */
const logTo = (stream: NodeJS.WritableStream) =>
  createLog({ level: 'warn', format: 'pretty' }, { write: (line) => void stream.write(line) });

const path = {
  path: { type: 'string', value: 'FOLDER', help: 'the store, instead of storage.path of the configuration' },
} as const satisfies Options;

export const command = defineCommand({
  name: 'storage',
  summary: 'show, check, repair, compact, split, export or import what the broker keeps',
  about: `
usage and export also work while a broker runs, and on a full disk: they read a copy made at that moment, in TMPDIR or in
memory. The others need the broker stopped.
import refuses a store that has something in it; with --force, sessions and retained messages of the file replace those
of the same name, and the others stay.
split keeps what was there before in a folder that it names.
With storage.url they are about the database: usage, check and export read it as it is at one moment, beside the brokers;
import wants all of them stopped.`,
  examples: [
    'iotlab-broker storage export lab.jsonl && iotlab-broker storage import lab.jsonl --path /srv/other/store',
  ],
  does: {
    usage: action({
      summary: 'what each user keeps',
      options: { json: { type: 'boolean', help: 'JSON instead of a table' }, ...path },
      run: async (given, io) => usage(await targetOf('usage', given, io), io),
    }),
    check: action({
      summary: 'read everything, and say what cannot be read',
      options: path,
      run: async (given, io) => check(await targetOf('check', given, io), io),
    }),
    repair: action({
      summary: 'copy a damaged store, and make one of what can be read',
      options: path,
      run: async (given, io) => repairStore((await targetOf('repair', given, io)).path, logTo(io.stderr), io),
    }),
    compact: action({
      summary: 'give back the space of what was deleted',
      options: path,
      run: async (given, io) => compact(await targetOf('compact', given, io), io),
    }),
    export: action({
      summary: 'everything as JSON lines (-: standard output, the default)',
      arguments: ['[FILE]'],
      options: path,
      run: async (given, io) => exported(await targetOf('export', given, io), io),
    }),
    import: action({
      summary: 'take over an export',
      arguments: ['FILE'],
      options: { force: { type: 'boolean', help: 'also into a store that has something in it' }, ...path },
      run: async (given, io) => importInto(await targetOf('import', given, io), io),
    }),
    split: action({
      summary: 'move everything into the stores of so many shards; 1: of a single broker',
      options: { shards: { type: 'string', value: 'N', help: 'how many shards' }, ...path },
      run: async (given, io) => split(await targetOf('split', given, io), given.values.shards ?? '', io),
    }),
  },
});
