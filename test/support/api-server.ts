import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Authority, makeAuthority } from '../../src/listener/certificates.js';
import type { Scope } from './sockets.js';

export interface ApiServer {
  readonly url: string;
  readonly authority: Authority;
  readonly users: Map<string, { password: string; disabled?: boolean; mail?: string }>;
  /** Authorization headers of the requests so far, decoded. */
  readonly asked: string[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Does something else than to answer. */
  script: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  /** Ends every open connection without a word. */
  dropAll(): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** The testbed's web API over HTTPS, on a loopback port. */
export async function startApi(scope: Scope, names = ['localhost', '127.0.0.1']): Promise<ApiServer> {
  const authority = makeAuthority();
  const sockets = new Set<Duplex>();
  let port = 0;
  let connections = 0;
  const server = createServer(authority.issue({ names }), (request, response) => {
    const [kind = '', value = ''] = (request.headers.authorization ?? '').split(' ');
    const typed = kind === 'Basic' ? Buffer.from(value, 'base64').toString('utf8') : '';
    api.asked.push(typed);
    if (api.script !== null) return api.script(request, response);
    if (request.method !== 'GET' || request.url !== '/api/user') return void response.writeHead(404).end();
    const colon = typed.indexOf(':');
    const [name, password] = [typed.slice(0, colon), typed.slice(colon + 1)];
    const login = [...api.users].find(([key, { mail }]) => key === name || mail === name)?.[0];
    const user = login === undefined ? undefined : api.users.get(login);
    if (user === undefined || user.password !== password) return void response.writeHead(401).end('{"code":401}');
    if (user.disabled === true) return void response.writeHead(403).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ login, email: user.mail }));
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const api: ApiServer = {
    authority,
    users: new Map(),
    asked: [],
    script: null,
    get url() {
      return `https://localhost:${port}/api`;
    },
    get connections() {
      return connections;
    },
    dropAll() {
      for (const socket of sockets) socket.destroy();
    },
    async start() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    },
    async stop() {
      if (!server.listening) return;
      server.close();
      api.dropAll();
      await once(server, 'close');
    },
  };
  await api.start();
  scope.after(() => api.stop());
  return api;
}
