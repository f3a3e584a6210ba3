import type net from 'node:net';
import { Fault, UsageError } from '../errors.js';

/** Connections that the kernel holds ready while the event loop is busy. */
export const backlog = 1024;

/** How a complaint about where to listen begins: with the key of the configuration, as in `listener.port: port`. */
export interface Complaints {
  readonly host: string;
  readonly port: string;
  /** A port that everybody may open, as in `MQTT: 8883`. */
  readonly usual: string;
}

/** Listens on TCP. Throws a `Fault` that names the key and the remedy. */
export async function listenTcp(server: net.Server, host: string, port: number, begin: Complaints): Promise<void> {
  try {
    await bind(server, { host, port, backlog });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The default listens on IPv6 and IPv4; a container or kernel without IPv6 still has the other.
    if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
      return listenTcp(server, '0.0.0.0', port, begin);
    }
    throw bindFault(error as NodeJS.ErrnoException, host, port, begin);
  }
}

function bind(server: net.Server, where: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function bindFault(cause: NodeJS.ErrnoException, host: string, port: number, begin: Complaints): Fault {
  const usage = (message: string) => new UsageError(message, { code: 'E_LISTEN', cause });
  switch (cause.code) {
    case 'EADDRINUSE':
      return usage(`${begin.port} ${port} of ${host} is in use. Stop the other program, or set another port.`);
    case 'EACCES':
      return usage(`${begin.port} ${port} may not be opened by this user. Set one from 1024 on (${begin.usual}).`);
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return usage(`${begin.host} ${host} is no address of this machine. "::" listens on all of them.`);
    default:
      return new Fault('E_LISTEN', `Cannot listen on ${host}, port ${port}: ${cause.message}`, { cause });
  }
}
