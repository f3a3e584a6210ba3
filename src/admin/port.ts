import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AdminConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { normalizeAddress } from '../network.js';
import type { Log } from '../observe/log.js';
import { answerRequest, type Door, refuse, send } from './door.js';
import type { HealthState } from './health.js';
import { closeHttpServer, newHttpServer } from './http-server.js';
import { Room } from './room.js';
import type { Answer } from './route.js';
import { problem } from './router.js';
import type { Token } from './token.js';

export interface AdminPort {
  /** Where it listens; null when it is turned off. */
  readonly port: number | null;
  close(): Promise<void>;
}

export interface AdminPortOptions {
  readonly config: Pick<AdminConfig, 'host' | 'port'>;
  readonly log: Log;
  readonly door: Door;
  readonly token: Token;
  readonly health: () => HealthState | Promise<HealthState>;
  /** Whether clients should be sent here. */
  readonly ready: () => boolean;
  /** For Prometheus. `accept` is what the request says that it understands. */
  readonly metrics: (accept: string) => Promise<Answer>;
}

/** More than that many, and the newest takes the place of one that only waits: nobody holds the port by being slow. */
const CONNECTIONS = 64;
const STREAMS = 32;
const HEADER_BYTES = 4_096;

/**
 * `GET /health` answers 200 while the broker does its work (`ok`, or `degraded` when only new logins suffer) and 503
 * when it does not (`failing`, `stopping`); `GET /ready` 200 while clients should be sent here, which a store that fails
 * for a while does not change, and 503 while it is drained or stops; `GET /metrics` has totals for Prometheus. Everything
 * else is for whoever has the token: a port of the loopback interface is open to every account of the machine. Throws
 * `UsageError` naming `admin.port` or `admin.host` when it cannot listen.
 */
export async function openAdminPort(options: AdminPortOptions): Promise<AdminPort> {
  const { config, log } = options;
  if (config.port === 0) return { port: null, close: async () => {} };
  const server = newHttpServer(HEADER_BYTES);
  const room = new Room(CONNECTIONS, STREAMS);
  server.on('connection', room.enter);
  server.on('request', (request, response) => {
    answer(options, room, request, response).catch((err) => log.error({ err }, 'the admin port failed'));
  });
  await listen(server, config);
  server.on('error', (err) => log.warn({ err }, 'health: the HTTP server had an error'));
  const { port } = server.address() as AddressInfo;
  log.info({ host: config.host, port }, 'health: GET /health, /ready and /metrics over HTTP');
  return { port, close: () => closeHttpServer(server) };
}

async function answer(
  { door, token, health, ready, metrics }: AdminPortOptions,
  room: Room,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const caller = { door: 'port', address: normalizeAddress(request.socket.remoteAddress ?? '') } as const;
  const path = (request.url ?? '').split('?', 1)[0]!;
  if (path.startsWith('/v1/') || path === '/metrics/users') {
    if (!token.matches(bearerOf(request))) {
      response.setHeader('www-authenticate', 'Bearer');
      const needed = 'the token of admin.tokenFile is needed: Authorization: Bearer …';
      refuse(door, caller, request, response, problem(401, 'no-token', needed));
      return;
    }
    // Prometheus asks for it beside the totals; it is a route like any other.
    if (path === '/metrics/users') request.url = `/v1${request.url}`;
    await answerRequest(door, caller, request, response, () => room.becomesStream(request.socket));
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    refuse(door, caller, request, response, problem(405, 'wrong-method', 'only GET'));
  } else if (path === '/health') {
    const value = await health();
    const works = value.status === 'ok' || value.status === 'degraded';
    send(response, { kind: 'json', status: works ? 200 : 503, value });
  } else if (path === '/ready') {
    const value = { ready: ready() };
    send(response, { kind: 'json', status: value.ready ? 200 : 503, value });
  } else if (path === '/metrics') send(response, await metrics(request.headers.accept ?? ''));
  else refuse(door, caller, request, response, problem(404, 'not-found', 'try /health, /ready or /metrics'));
}

function bearerOf({ headers: { authorization = '' } }: IncomingMessage): string {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
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
