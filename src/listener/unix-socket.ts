import { chmodSync, chownSync, lstatSync, mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { basename, dirname, join } from 'node:path';
import type { ListenerConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { bind } from './bind.js';

/** What the kernel's `sockaddr_un` has room for, its closing zero not counted; a longer path would be cut off silently. */
const LONGEST_PATH_BYTES = 107;

/**
 * Listens on a Unix socket that has its mode and owner from the first moment on at which anybody can reach it: it is
 * made in a folder of its own and then moved, over what a killed process left behind. Returns what removes it.
 */
export async function listenUnix(server: net.Server, proxy: ListenerConfig['proxy']): Promise<() => void> {
  const { socket: path, socketMode, socketOwner } = proxy;
  const owner = ownerIds(socketOwner);
  await refuseInUse(path);
  let folder: string | null = null;
  try {
    folder = mkdtempSync(join(dirname(path), '.'));
    const made = join(folder, basename(path));
    if (Buffer.byteLength(made) > LONGEST_PATH_BYTES) {
      const most = LONGEST_PATH_BYTES - '.XXXXXX/'.length;
      throw new UsageError(`listener.proxy.socket: ${path} is too long: a Unix socket's path has ${most} bytes here.`);
    }
    await bind(server, { path: made });
    chmodSync(made, Number.parseInt(socketMode, 8));
    if (owner !== null) chownSync(made, owner.uid, owner.gid);
    renameSync(made, path);
  } catch (error) {
    server.close();
    throw error instanceof UsageError ? error : complaint(path, error as NodeJS.ErrnoException);
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
  const { ino } = lstatSync(path);
  return () => {
    try {
      // Not that of a broker that came after this one.
      if (lstatSync(path).ino === ino) unlinkSync(path);
    } catch {
      // Somebody else removed it.
    }
  };
}

/** A socket that nobody listens on is left over; one that somebody listens on is not ours to take. */
async function refuseInUse(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  const refuse = (why: string) => {
    throw new UsageError(`listener.proxy.socket: ${why}, or set another path.`, { code: 'E_LISTEN' });
  };
  if (!there.isSocket()) refuse(`${path} is there and is no socket. Move it away`);
  const answered = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  if (answered) refuse(`another process listens on ${path}. Stop it`);
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
