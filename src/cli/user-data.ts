import { chown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compileAcl } from '../acl/acl.js';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { Fault, UsageError } from '../errors.js';
import { isRetainedOf } from '../mqtt/retained-owner.js';
import { createLog } from '../observe/log.js';
import { type ForgottenRows, forgetUser } from '../store/forget-user.js';
import { openDatabase } from '../store/open-database.js';
import { layoutsIn } from '../store/shard-stores.js';
import { openStore } from '../store/store.js';
import { AdminClient } from './admin-client.js';
import type { CommandIo } from './command.js';
import { many } from './quantities.js';

type Forgotten = ForgottenRows & { readonly connections?: number };

export interface ForgetOrder {
  readonly login: string;
  /** For so long nobody is let in with the login: the caller is about to remove it. */
  readonly holdSeconds: number;
  readonly configPath: string | undefined;
}

/**
 * Takes everything that is kept of a login, by way of the running broker, or out of the store when there is none. Says
 * what that was, in a sentence.
 */
export async function forgetData(order: ForgetOrder, io: CommandIo): Promise<string> {
  const config = await loadConfig(order.configPath, io.env);
  const { login } = order;
  return inWords(login, (await fromBroker(order, config, io)) ?? (await fromStore(login, config, io)));
}

/** Null: there is none that could be asked. */
async function fromBroker(
  { login, holdSeconds, configPath }: ForgetOrder,
  config: Config,
  io: CommandIo,
): Promise<Forgotten | null> {
  if (config.admin.socket === '') return null;
  try {
    const broker = await AdminClient.of(configPath, io);
    return await broker.send<Forgotten>('DELETE', `/users/${encodeURIComponent(login)}/data?hold=${holdSeconds}`);
  } catch (error) {
    if (error instanceof Fault && error.code === 'E_BROKER_DOWN') return null;
    throw error;
  }
}

const NOTHING: Forgotten = { sessions: 0, messages: 0, wills: 0, retained: 0, limits: false };

/** Out of the store, or those of all shards. */
async function fromStore(login: string, config: Config, io: CommandIo): Promise<Forgotten> {
  const { path } = config.storage;
  const folders = path === 'memory' ? [] : (await layoutsIn(path)).flatMap((layout) => layout.folders);
  let sum = NOTHING;
  for (const folder of folders) {
    const found = await fromFolder(login, folder, config, io);
    sum = {
      sessions: sum.sessions + found.sessions,
      messages: sum.messages + found.messages,
      wills: sum.wills + found.wills,
      retained: sum.retained + found.retained,
      limits: sum.limits || found.limits,
    };
  }
  return sum;
}

async function fromFolder(login: string, path: string, config: Config, { stderr }: CommandIo): Promise<Forgotten> {
  const storage = { ...config.storage, path };
  const log = createLog({ level: 'warn', format: 'pretty' }, { write: (line) => void stderr.write(line) });
  const open = () => openDatabase({ path, log, clock: systemClock, mode: 'existing' });
  const store = await openStore({ config: storage, log, clock: systemClock, open }).catch((error) => {
    if (!(error instanceof UsageError) || error.code !== 'E_STORE_LOCKED' || config.admin.socket !== '') throw error;
    throw new UsageError(`${path}: a broker has it, and cannot be asked: admin.socket is turned off`, { cause: error });
  });
  try {
    const { home } = compileAcl(config.acl, config.groups).forLogin(login);
    return await forgetUser(store, login, (message) => isRetainedOf(login, home, message));
  } finally {
    await store.close();
    await giveBack(path);
  }
}

/** What root has made in somebody's folder is the folder's owner's: the broker would not be able to write it. */
async function giveBack(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(folder);
  if (uid === 0) return;
  for (const name of await readdir(folder)) await chown(join(folder, name), uid, gid);
}

function inWords(login: string, { connections = 0, sessions, messages, wills, retained, limits }: Forgotten): string {
  const queued = messages === 0 ? '' : ` with ${many(messages, 'queued message')}`;
  const parts = [
    ...(sessions > 0 ? [`${many(sessions, 'session')}${queued}`] : []),
    ...(retained > 0 ? [many(retained, 'retained message')] : []),
    ...(wills > 0 ? [many(wills, 'Will')] : []),
    ...(limits ? ['its own limits'] : []),
  ];
  const ended = connections > 0 ? `${many(connections, 'connection')} of ${login} ended. ` : '';
  if (parts.length === 0) return `${ended}Nothing was kept of ${login}.`;
  return `${ended}Forgotten of ${login}: ${parts.join(', ')}.`;
}
