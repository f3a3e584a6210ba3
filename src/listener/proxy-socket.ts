import { readFileSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import type net from 'node:net';
import { dirname } from 'node:path';
import type { ListenerConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { listenUnix, whatIsAt } from '../unix-socket.js';
import { backlog } from './bind.js';

/**
 * What the kernel's `sockaddr_un` has room for, its closing zero not counted; a longer path would be cut off silently.
 * Less the folder in which the socket is made.
 */
const LONGEST_PATH_BYTES = 107 - '.XXXXXX/'.length;

/** Listens on the proxy's Unix socket, with its mode and owner. Returns what removes it. */
export async function listenProxySocket(server: net.Server, proxy: ListenerConfig['proxy']): Promise<() => void> {
  const { socket: path, socketMode, socketOwner } = proxy;
  const owner = ownerIds(socketOwner);
  await refuseInUse(path);
  if (Buffer.byteLength(path) > LONGEST_PATH_BYTES) {
    throw new UsageError(
      `listener.proxy.socket: ${path} is too long: a Unix socket's path has ${LONGEST_PATH_BYTES} bytes here.`,
    );
  }
  try {
    return await listenUnix(server, { path, backlog }, async (made) => {
      await chmod(made, Number.parseInt(socketMode, 8));
      if (owner !== null) await chown(made, owner.uid, owner.gid);
    });
  } catch (error) {
    server.close();
    throw complaint(path, error as NodeJS.ErrnoException);
  }
}

/** A socket that nobody listens on is left over; one that somebody listens on is not ours to take. */
async function refuseInUse(path: string): Promise<void> {
  const there = await whatIsAt(path);
  const refuse = (why: string) => {
    throw new UsageError(`listener.proxy.socket: ${why}, or set another path.`, { code: 'E_LISTEN' });
  };
  if (there === 'no-socket') refuse(`${path} is there and is no socket. Move it away`);
  if (there === 'in-use') refuse(`another process listens on ${path}. Stop it`);
}

interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** Of `user`, `user:group` or `:group`, by name or number; null for ''. -1 leaves it as it is. */
function ownerIds(owner: string): Ids | null {
  if (owner === '') return null;
  const [user = '', group = ''] = owner.split(':', 2);
  return { uid: idOf('/etc/passwd', user, owner), gid: idOf('/etc/group', group, owner) };
}

function idOf(file: string, name: string, owner: string): number {
  if (name === '') return -1;
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  if (line !== undefined) return Number(line.split(':')[2]);
  throw new UsageError(
    `listener.proxy.socketOwner: ${owner}: ${file} has no ${name}. Set a name that it has, or a number.`,
    { code: 'E_LISTEN' },
  );
}

function complaint(path: string, cause: NodeJS.ErrnoException): UsageError {
  const words = new Map([
    ['ENOENT', `the folder ${dirname(path)} is not there. Make it, or set another path.`],
    ['EACCES', `the broker's user may not make a socket in ${dirname(path)}. Make the folder writable for it.`],
    ['EROFS', `${dirname(path)} is on a read-only file system. Set another path.`],
    ['EPERM', 'only root may give it to another user; give it to a group that the broker is in (":group").'],
  ]);
  const why = words.get(cause.code ?? '') ?? cause.message;
  const key = cause.code === 'EPERM' ? 'socketOwner' : 'socket';
  return new UsageError(`listener.proxy.${key}: ${path}: ${why}`, { code: 'E_LISTEN', cause });
}
