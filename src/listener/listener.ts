import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.js';
import type { LimitsConfig, ListenerConfig } from '../config/config.js';
import { Fault, UsageError } from '../errors.js';
import { networkOf, normalizeAddress } from '../network.js';
import type { Log } from '../observe/log.js';
import { createRateLimited } from '../observe/rate-limited.js';
import { Admission } from './admission.js';
import { type CertificateSource, openCertificateSource } from './certificate-source.js';
import { type HandshakeEnd, shakeHands } from './handshake.js';
import { HandshakeQueue } from './handshake-queue.js';

export interface Peer {
  /** IPv4 addresses in dotted form, also on a dual-stack socket. */
  readonly address: string;
  readonly port: number;
}

export interface Listener {
  /** The port in use: what the system chose when the configuration says 0. */
  readonly port: number;
  /** Connections from TCP accept to close, those in their handshake included. */
  connections(): number;
  /** Frees the port and ends handshakes in progress; secure connections go on. */
  stopAccepting(): void;
  /** Ends every connection and lets go of everything. */
  close(): Promise<void>;
  /** Reads certificate, key and CA again, now. Never rejects: unusable files leave the old ones in use, and a log line. */
  reload(): Promise<void>;
}

export interface ListenerOptions {
  readonly config: ListenerConfig;
  readonly limits: Pick<LimitsConfig, 'handshakeTimeoutMs' | 'connections' | 'connectionsPerAddress'>;
  readonly log: Log;
  readonly clock: Clock;
  /** Instead of the files that the configuration names. */
  readonly certificates?: CertificateSource;
  /**
   * Takes over a socket whose handshake is done: it must listen for `error` and `close`, and end its side itself when
   * the peer has (`allowHalfOpen`), after answering what came before.
   */
  readonly onConnection: (socket: TLSSocket, peer: Peer) => void;
}

/** A peer can cause these lines at will, so one address gets one line of a kind per period. */
const quietMs = 60_000;
/** Connections that the kernel holds ready while the event loop is busy. */
const backlog = 1024;

/** Listens for TLS 1.2 and 1.3, and for nothing else. Throws `UsageError` when certificate, key, host or port won't do. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { config, limits, log, clock, onConnection } = options;
  const { cert, key, ca } = config;
  const certificates = options.certificates ?? (await openCertificateSource({ files: { cert, key, ca }, log, clock }));
  const admission = new Admission(limits);
  const handshakes = new HandshakeQueue();
  const quiet = createRateLimited({ clock, periodMs: quietMs });
  const open = new Set<net.Socket>();
  const shaking = new Set<net.Socket>();
  let accepting = true;

  /** By network and reason: who mends one mistake and makes another has to see the new one at once. */
  function warn(event: string, address: string, fields: { reason?: string; limit?: number }, message: string): void {
    quiet.network(networkOf(address)).line(`${event} ${fields.reason}`, (suppressed) => {
      log.warn({ event, address, ...fields, ...(suppressed > 0 ? { suppressed } : {}) }, message);
    });
  }

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    const { remoteAddress, remotePort = 0 } = raw;
    // Gone already, between accept and here.
    if (remoteAddress === undefined) return raw.destroy();
    const address = normalizeAddress(remoteAddress);
    const network = networkOf(address);
    if (!admission.admit(network)) {
      raw.destroy();
      const message = `Connection refused: ${network} has as many as limits.connectionsPerAddress allows`;
      return warn('address-full', network, { limit: limits.connectionsPerAddress }, message);
    }
    open.add(raw);
    shaking.add(raw);
    raw.once('close', () => {
      open.delete(raw);
      admission.release(network);
    });
    const shaken = {
      ...{ context: certificates.context, clock, timeoutMs: limits.handshakeTimeoutMs },
      whenItsTurn: (begin: () => void) => handshakes.add(network, begin),
    };
    shakeHands(raw, shaken, (end) => {
      shaking.delete(raw);
      if (end.kind !== 'secure') return refused(end, address);
      if (accepting) onConnection(end.socket, { address, port: remotePort });
      else end.socket.destroy();
    });
    return undefined;
  });

  function refused(end: Exclude<HandshakeEnd, { kind: 'secure' }>, address: string): void {
    if (!accepting) return;
    if (end.kind === 'gone') log.debug({ event: 'tcp-gone', address }, 'Connection closed before its first byte');
    else if (end.kind === 'plaintext') {
      warn('plaintext', address, { reason: end.reason }, `Connection closed: ${address} sent ${end.reason}`);
    } else {
      const message = `TLS handshake with ${address} failed: ${end.reason}`;
      warn('tls-failed', address, { reason: end.reason }, message);
    }
  }

  server.maxConnections = limits.connections;
  server.on('drop', () => {
    const message = 'Connection refused: there are as many as limits.connections allows';
    warn('broker-full', 'any', { limit: limits.connections }, message);
  });
  try {
    await listen(server, config);
  } catch (error) {
    certificates.close();
    throw error;
  }
  // Accepting may fail for a moment (no file descriptor left); the server goes on.
  server.on('error', (error) => warn('accept-failed', 'any', {}, `Accepting a connection failed: ${error.message}`));

  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  function stopAccepting(): void {
    if (!accepting) return;
    accepting = false;
    server.close();
    for (const raw of shaking) raw.destroy();
  }

  return {
    port: (server.address() as net.AddressInfo).port,
    connections: () => open.size,
    stopAccepting,
    reload: () => certificates.reload(),
    async close() {
      stopAccepting();
      certificates.close();
      quiet.close();
      for (const raw of open) raw.destroy();
      await closed;
    },
  };
}

async function listen(server: net.Server, { host, port }: ListenerConfig): Promise<void> {
  try {
    await bind(server, host, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The default listens on IPv6 and IPv4; a container or kernel without IPv6 still has the other.
    if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      return listen(server, { host: '0.0.0.0', port } as ListenerConfig);
    throw bindFault(error as NodeJS.ErrnoException, host, port);
  }
}

function bind(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function bindFault(cause: NodeJS.ErrnoException, host: string, port: number): Fault {
  const usage = (message: string) => new UsageError(message, { code: 'E_LISTEN', cause });
  switch (cause.code) {
    case 'EADDRINUSE':
      return usage(`listener.port: port ${port} of ${host} is in use. Stop the other program, or set another port.`);
    case 'EACCES':
      return usage(`listener.port: port ${port} may not be opened by this user. Set one from 1024 on (MQTT: 8883).`);
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return usage(`listener.host: ${host} is no address of this machine. "::" listens on all of them.`);
    default:
      return new Fault('E_LISTEN', `Cannot listen on ${host}, port ${port}: ${cause.message}`, { cause });
  }
}
