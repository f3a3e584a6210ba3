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
import type { Command, CommandIo } from './command.js';
import { parseOptions } from './options.js';
import { progressOn } from './progress.js';
import { exportStore, importStore } from './storage-transfer.js';
import { ownerByAcl, usageTable } from './storage-usage.js';

const help = `
Usage: iotlab-broker storage usage [--json]         what each user keeps
       iotlab-broker storage check                  read everything, and say what cannot be read
       iotlab-broker storage compact                give back the space of what was deleted
       iotlab-broker storage export [FILE]          everything as JSON lines (-: standard output, the default)
       iotlab-broker storage import FILE [--force]  take over an export

usage and export also work while a broker runs: they read a copy made at that moment. The others need it stopped.
import refuses a store that has something in it; with --force, sessions and retained messages of the file replace those
of the same name, and the others stay.

  --path FOLDER  the store, instead of storage.path of the configuration
  --config FILE  the configuration

Example: iotlab-broker storage export lab.jsonl && iotlab-broker storage import lab.jsonl --path /srv/other/store
`.trimStart();

const actions = new Map<
  string,
  { file: 'none' | 'optional' | 'needed'; run: (target: Target, io: CommandIo) => Promise<number> }
>([
  ['usage', { file: 'none', run: usage }],
  ['check', { file: 'none', run: check }],
  ['compact', { file: 'none', run: compact }],
  [
    'export',
    { file: 'optional', run: (target, io) => reading(target, io, (store) => exportStore(store, target.file, io)) },
  ],
  ['import', { file: 'needed', run: importInto }],
]);

interface Target {
  readonly config: Config;
  readonly path: string;
  readonly file: string;
  readonly json: boolean;
  readonly force: boolean;
}

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseOptions('storage', args, {
    path: { type: 'string' },
    json: { type: 'boolean' },
    force: { type: 'boolean' },
  });
  const [name = '', file = '', ...more] = positionals;
  const action = actions.get(name);
  const known = [...actions.keys()].join(', ');
  if (action === undefined) throw new UsageError(`storage: ${JSON.stringify(name)} is not one of ${known}`);
  if (action.file === 'needed' && file === '') throw new UsageError(`usage: iotlab-broker storage ${name} FILE`);
  if (more.length > 0 || (action.file === 'none' && file !== ''))
    throw new UsageError(`storage ${name}: too many arguments`);
  if (values.json === true && name !== 'usage') throw new UsageError('--json is for: iotlab-broker storage usage');
  if (values.force === true && name !== 'import') throw new UsageError('--force is for: iotlab-broker storage import');
  const config = await loadConfig(values.config, io.env);
  const path = values.path === undefined ? config.storage.path : resolve(values.path);
  if (path === 'memory') {
    throw new UsageError('storage.path is "memory": nothing is kept. Name a folder with --path.');
  }
  if (name !== 'import') await assertStore(path);
  return action.run({ config, path, file, json: values.json === true, force: values.force === true }, io);
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

export const command: Command = {
  name: 'storage',
  summary: 'show, check, compact, export or import what the broker keeps',
  help,
  run,
};
