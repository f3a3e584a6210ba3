import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, systemClock } from '../clock.js';
import type { AdminConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import type { Log } from './log.js';

/** How the broker is, in all: nothing in here is about a single user. */
export interface HealthState {
  readonly connections: number;
  /** The code of the fault that keeps the store from storing; null while it works. */
  readonly storeFault: string | null;
  /** The same for the credential backend. */
  readonly credentialsFault: string | null;
  readonly stopping: boolean;
}

export interface Health {
  /** Where it listens; null when it is turned off. */
  readonly port: number | null;
  close(): Promise<void>;
}

interface HealthOptions {
  readonly config: Pick<AdminConfig, 'host' | 'port'>;
  readonly log: Log;
  readonly state: () => HealthState;
  /** Numbers for Prometheus by name, without prefix: `_total` at the end makes a counter, all others are gauges. */
  readonly metrics?: () => Readonly<Record<string, number>>;
  readonly clock?: Clock;
}

/** For a request to be whole, and for the next one on the same connection to begin. */
const requestTimeoutMs = 5_000;
/** More than that many, and the newest takes the place of one that only waits: nobody holds the port by being slow. */
const maxConnections = 64;
const maxHeaderBytes = 4_096;

/**
 * `GET /health` answers 200 while the broker does its work (`ok`, or `degraded` when only new logins suffer) and 503
 * when it does not (`failing`, `stopping`); `GET /metrics` answers in the text format of Prometheus. Throws `UsageError`
 * naming `admin.port` or `admin.host` when it cannot listen.
 */
export async function openHealth({ config, log, state, metrics, clock = systemClock }: HealthOptions): Promise<Health> {
  if (config.port === 0) return { port: null, close: async () => {} };
  const startedAt = clock.monotonicMs();
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 1_000,
  });
  server.timeout = 2 * requestTimeoutMs;
  server.on('connection', makeRoomFor());
  server.on('request', (request, response) => {
    const uptimeSeconds = Math.floor((clock.monotonicMs() - startedAt) / 1_000);
    const numbers = () => ({ uptime_seconds: uptimeSeconds, connections: state().connections, ...metrics?.() });
    answer(request, response, {
      health: () => report(state(), uptimeSeconds),
      metrics: () => prometheusText(numbers()),
    });
  });
  await listen(server, config);
  server.on('error', (err) => log.warn({ err }, 'health: the HTTP server had an error'));
  const { port } = server.address() as AddressInfo;
  log.info({ host: config.host, port }, 'health: GET /health and /metrics over HTTP');
  return { port, close: () => close(server) };
}

/**
 * Keeps the number of connections within bounds. An answer takes no time, so whoever is connected is asking slowly or
 * asks nothing; the one that goes is the oldest of the address that has the most.
 */
function makeRoomFor(): (socket: Socket) => void {
  /** Oldest first. */
  const open = new Map<Socket, string>();
  return (socket) => {
    open.set(socket, socket.remoteAddress ?? '');
    socket.once('close', () => open.delete(socket));
    if (open.size <= maxConnections) return;
    const counts = new Map<string, number>();
    for (const address of open.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const [oldest, address] of open) {
      if (counts.get(address) !== most) continue;
      open.delete(oldest);
      oldest.destroy();
      return;
    }
  };
}

interface Answers {
  health(): { readonly status: string };
  metrics(): string;
}

function answer(request: IncomingMessage, response: ServerResponse, answers: Answers): void {
  const path = (request.url ?? '').split('?', 1)[0];
  const send = (status: number, type: string, body: string) => {
    response.writeHead(status, {
      'content-type': type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    // The body that may follow is never read.
    response.setHeader('connection', 'close');
    send(405, 'text/plain', 'only GET\n');
  } else if (path === '/health') {
    const health = answers.health();
    const works = health.status === 'ok' || health.status === 'degraded';
    send(works ? 200 : 503, 'application/json', `${JSON.stringify(health)}\n`);
  } else if (path === '/metrics') send(200, 'text/plain; version=0.0.4; charset=utf-8', answers.metrics());
  else send(404, 'text/plain', 'try /health or /metrics\n');
}

function report({ connections, storeFault, credentialsFault, stopping }: HealthState, uptime: number) {
  let status = 'ok';
  if (credentialsFault !== null) status = 'degraded';
  if (storeFault !== null) status = 'failing';
  if (stopping) status = 'stopping';
  return { status, uptime, connections, store: storeFault ?? 'ok', credentials: credentialsFault ?? 'ok' };
}

/** Numbers by name, in the text format of Prometheus: `_total` at the end makes a counter, all others are gauges. */
function prometheusText(numbers: Readonly<Record<string, number>>): string {
  let text = '';
  for (const [name, value] of Object.entries(numbers)) {
    const metric = `iotlab_broker_${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`;
    text += `# TYPE ${metric} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n${metric} ${value}\n`;
  }
  return text;
}

function listen(server: Server, { host, port }: Pick<AdminConfig, 'host' | 'port'>): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(explain(error, host, port));
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function explain(cause: NodeJS.ErrnoException, host: string, port: number): UsageError {
  const remedies = new Map([
    ['EADDRINUSE', `admin.port: port ${port} is in use; choose another one, or 0 to turn health off`],
    ['EACCES', `admin.port: port ${port} is not allowed for this user; choose one above 1023, or 0 to turn health off`],
    ['EADDRNOTAVAIL', `admin.host: ${host} is not an address of this machine`],
    ['ENOTFOUND', `admin.host: ${host} is not a known name`],
  ]);
  const message = remedies.get(cause.code ?? '') ?? `admin: cannot listen on ${host} port ${port}: ${cause.message}`;
  return new UsageError(message, { code: 'E_ADMIN_LISTEN', cause });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
