import { chmod, lstat, mkdir, mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { Fault, whyNoFile } from '../errors.js';
import type { Log } from '../observe/log.js';
import { answerRequest, type Door } from './door.js';

/** What the kernel takes for the path of a socket, but for the zero at its end: 108 bytes on Linux, 104 elsewhere. */
const PATH_BYTES = process.platform === 'linux' ? 107 : 103;
/** For a request to be whole, and for the next one on the same connection to begin. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Whoever may open the socket may also stop the broker; more would be a mistake of its own. */
const CONNECTIONS = 128;
const HEADER_BYTES = 16 * 1024;

export interface AdminSocket {
  close(): Promise<void>;
}

/**
 * The door of the command line: a Unix socket of mode 0600, so that file permissions say who may open it, and no other
 * account of the machine can, as it could open a port. Null when it cannot be made: clients are served all the same, and
 * the log says what to do.
 */
export async function openAdminSocket(path: string, door: Door, log: Log): Promise<AdminSocket | null> {
  if (path === '') return null;
  const server = createServer({
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.timeout = 2 * REQUEST_TIMEOUT_MS;
  server.maxConnections = CONNECTIONS;
  server.on('request', (request, response) => {
    const caller = { door: 'socket', address: null } as const;
    answerRequest(door, caller, request, response, () => true).catch((err) => {
      log.error({ err }, 'the admin socket failed');
    });
  });
  let inode: bigint;
  try {
    inode = await listen(server, path);
  } catch (error) {
    const why = error instanceof Fault ? error.message : whyNoFile(error);
    log.error({ file: path, reason: why }, 'no admin socket: status, kick and the like will not work (admin.socket)');
    return null;
  }
  server.on('error', (err) => log.warn({ err }, 'the admin socket had an error'));
  return { close: () => close(server, path, inode) };
}

/**
 * Made in a folder that only its owner can enter, and moved to its place once its mode is right: at no moment could
 * anybody else open it. What a broker that died left there is replaced; one that lives is not robbed.
 */
async function listen(server: Server, path: string): Promise<bigint> {
  const why = whyNotASocket(path);
  if (why !== null) throw new Fault('E_ADMIN_SOCKET', why);
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await assertFree(path);
  const made = await mkdtemp(join(folder, '.'));
  try {
    const temporary = join(made, 's');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: temporary }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(temporary, 0o600);
    const { ino } = await lstat(temporary, { bigint: true });
    await rename(temporary, path);
    return ino;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** Why this path cannot be a socket's; null when it can. */
export function whyNotASocket(path: string): string | null {
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_BYTES) return null;
  return `its path has ${bytes} bytes, and a socket's may have ${PATH_BYTES}; set admin.socket to a shorter one`;
}

async function assertFree(path: string): Promise<void> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return;
  if (!there.isSocket()) throw new Fault('E_ADMIN_SOCKET', 'there is a file that is not a socket; set admin.socket');
  if (await isAlive(path)) {
    throw new Fault('E_ADMIN_SOCKET', 'another broker listens there; set admin.socket to a path of its own');
  }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The file goes too, unless another broker has put its own there. */
async function close(server: Server, path: string, inode: bigint): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  const there = await lstat(path, { bigint: true }).catch(() => null);
  if (there?.ino === inode) await unlink(path).catch(() => {});
}
