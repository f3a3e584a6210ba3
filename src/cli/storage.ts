import { access, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { UsageError } from '../errors.js';
import { createLog } from '../observe/log.js';
import { checkRows } from '../store/check-rows.js';
import type { Store } from '../store/contract.js';
import { openDatabase } from '../store/database.js';
import { snapshotOf } from '../store/snapshot.js';
import { openStore } from '../store/store.js';
import { usageByUser } from '../store/usage-by-user.js';
import { action, type CommandIo, type Options } from './command.js';
import { defineCommand } from './define-command.js';
import { progressOn } from './progress.js';
import { exportStore, importStore } from './storage-transfer.js';
import { ownerByAcl, usageTable } from './storage-usage.js';

interface Target {
  readonly config: Config;
  readonly path: string;
  readonly file: string;
  readonly json: boolean;
  readonly force: boolean;
}

/** Where the store is: `--path`, else what the configuration says. It has to be there, unless it is imported into. */
async function targetOf({ values, config: file, ...given }: Wanted, io: CommandIo, fresh = false): Promise<Target> {
  const config = await loadConfig(file, io.env);
  const path = values.path === undefined ? config.storage.path : resolve(values.path);
  if (path === 'memory') {
    throw new UsageError('storage.path is "memory": nothing is kept. Name a folder with --path.');
  }
  if (!fresh) await assertStore(path);
  return { config, path, file: given.args[0] ?? '', json: values.json === true, force: values.force === true };
}

interface Wanted {
  readonly args: readonly (string | undefined)[];
  readonly values: {
    readonly path?: string | undefined;
    readonly json?: boolean | undefined;
    readonly force?: boolean | undefined;
  };
  readonly config: string | undefined;
}

async function assertStore(path: string): Promise<void> {
  try {
    await access(join(path, 'CURRENT'));
  } catch (error) {
    throw new UsageError(
      `${path}: there is no store. It is made when the broker starts; --path names another folder.`,
      {
        cause: error,
      },
    );
  }
}

/** The store, or when a broker has it, a copy of it as it is now. */
async function reading(target: Target, { stderr }: CommandIo, use: (store: Store) => Promise<number>): Promise<number> {
  const log = logTo(stderr);
  const open = (path: string) => openStore({ config: { ...target.config.storage, path }, log, clock: systemClock });
  let store: Store;
  let remove = async () => {};
  try {
    store = await open(target.path);
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== 'E_STORE_LOCKED') throw error;
    const snapshot = await snapshotOf(target.path);
    remove = snapshot.remove;
    store = await open(snapshot.path).catch(async (fault) => {
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

function usage(target: Target, io: CommandIo): Promise<number> {
  return reading(target, io, async (store) => {
    const users = await usageByUser(store, ownerByAcl(target.config));
    io.stdout.write(target.json ? `${JSON.stringify(users, null, 2)}\n` : usageTable(users));
    return 0;
  });
}

async function check({ path }: Target, io: CommandIo): Promise<number> {
  const db = await openDatabase({ path, log: logTo(io.stderr), clock: systemClock, mode: 'existing' });
  try {
    const progress = progressOn(io.stderr, 'rows read');
    const { rows, problems, problemCount } = await checkRows(db, progress.at);
    progress.end();
    for (const [kind, count] of rows) io.stdout.write(`${kind}: ${count}\n`);
    for (const problem of problems) io.stdout.write(`${problem}\n`);
    if (problemCount > problems.length) io.stdout.write(`… and ${problemCount - problems.length} more\n`);
    io.stdout.write(problemCount === 0 ? `${path}: fine\n` : `${path}: ${problemCount} rows with a problem\n`);
    return problemCount === 0 ? 0 : 1;
  } finally {
    await db.close();
  }
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

function importInto({ config, path, file, force }: Target, io: CommandIo): Promise<number> {
  const options = { config: { ...config.storage, path }, log: logTo(io.stderr), clock: systemClock };
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
  summary: 'show, check, compact, export or import what the broker keeps',
  about: `
usage and export also work while a broker runs: they read a copy made at that moment. The others need it stopped.
import refuses a store that has something in it; with --force, sessions and retained messages of the file replace those
of the same name, and the others stay.`,
  examples: [
    'iotlab-broker storage export lab.jsonl && iotlab-broker storage import lab.jsonl --path /srv/other/store',
  ],
  does: {
    usage: action({
      summary: 'what each user keeps',
      options: { json: { type: 'boolean', help: 'JSON instead of a table' }, ...path },
      run: async (given, io) => usage(await targetOf(given, io), io),
    }),
    check: action({
      summary: 'read everything, and say what cannot be read',
      options: path,
      run: async (given, io) => check(await targetOf(given, io), io),
    }),
    compact: action({
      summary: 'give back the space of what was deleted',
      options: path,
      run: async (given, io) => compact(await targetOf(given, io), io),
    }),
    export: action({
      summary: 'everything as JSON lines (-: standard output, the default)',
      arguments: ['[FILE]'],
      options: path,
      run: async (given, io) => {
        const target = await targetOf(given, io);
        return reading(target, io, (store) => exportStore(store, target.file, io));
      },
    }),
    import: action({
      summary: 'take over an export',
      arguments: ['FILE'],
      options: { force: { type: 'boolean', help: 'also into a store that has something in it' }, ...path },
      run: async (given, io) => importInto(await targetOf(given, io, true), io),
    }),
  },
});
