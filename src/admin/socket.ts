import { chmod, mkdir } from 'node:fs/promises';
import type { Server } from 'node:http';
import { dirname } from 'node:path';
import { Fault, whyNoFile } from '../errors.js';
import type { Log } from '../observe/log.js';
import { listenUnix, whatIsAt } from '../unix-socket.js';
import { answerRequest, type Door } from './door.js';
import { closeHttpServer, newHttpServer } from './http-server.js';

/** What the kernel takes for the path of a socket, but for the zero at its end: 108 bytes on Linux, 104 elsewhere. */
const PATH_BYTES = process.platform === 'linux' ? 107 : 103;
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
  const server = newHttpServer(HEADER_BYTES);
  server.maxConnections = CONNECTIONS;
  server.on('request', (request, response) => {
    const caller = { door: 'socket', address: null } as const;
    answerRequest(door, caller, request, response, () => true).catch((err) => {
      log.error({ err }, 'the admin socket failed');
    });
  });
  let remove: () => void;
  try {
    remove = await listen(server, path);
  } catch (error) {
    const why = error instanceof Fault ? error.message : whyNoFile(error);
    log.error({ file: path, reason: why }, 'no admin socket: status, kick and the like will not work (admin.socket)');
    return null;
  }
  server.on('error', (err) => log.warn({ err }, 'the admin socket had an error'));
  return {
    async close() {
      await closeHttpServer(server);
      remove();
    },
  };
}

async function listen(server: Server, path: string): Promise<() => void> {
  const why = whyNotASocket(path);
  if (why !== null) throw new Fault('E_ADMIN_SOCKET', why);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const there = await whatIsAt(path);
  if (there === 'no-socket') {
    throw new Fault('E_ADMIN_SOCKET', 'there is a file that is not a socket; set admin.socket');
  }
  if (there === 'in-use') {
    throw new Fault('E_ADMIN_SOCKET', 'another broker listens there; set admin.socket to a path of its own');
  }
  return await listenUnix(server, { path }, (made) => chmod(made, 0o600));
}

/** Why this path cannot be a socket's; null when it can. */
export function whyNotASocket(path: string): string | null {
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_BYTES) return null;
  return `its path has ${bytes} bytes, and a socket's may have ${PATH_BYTES}; set admin.socket to a shorter one`;
}
