import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { newHttpServer } from '../admin/http-server.js';
import type { WebConfig } from '../config/config.js';
import type { LiveSession } from '../credentials/revalidation.js';
import { networkOf, type Transport } from '../network.js';
import { createRateLimited } from '../observe/rate-limited.js';
import { Hosts } from './hosts.js';
import { type Login, Logins } from './logins.js';
import { loadPages } from './pages.js';
import { Site, type SiteOptions } from './site.js';
import { turnAway } from './turn-away.js';
import { Visits } from './visits.js';
import { judgeHandshake } from './websocket-handshake.js';
import { WebSocketStream } from './websocket-stream.js';

export interface WebOptions extends Omit<SiteOptions, 'pages' | 'logins' | 'noisyLog' | 'hosts'> {
  readonly config: WebConfig;
  /** Whether the certificate in use names this host. */
  readonly isCertified: (name: string) => boolean;
  /** Takes over what is inside of a WebSocket: a client's bytes. */
  readonly connect: (stream: Duplex, address: string, transport: Transport) => void;
}

/** What browsers get over a port of their own. */
export interface Web {
  /** Takes over a socket whose TLS handshake is done. */
  enter(socket: Socket, peer: { readonly address: string }): void;
  /** Other origins and operators from now on. */
  configure(config: WebConfig): void;
  /** Who is logged in. */
  logins(): Iterable<LiveSession>;
  /** Whose ticket this is; `used` when it was one; null when it is none. */
  redeem(login: string, password: string): Login | 'used' | null;
  /** A login that is not entitled any more: its pages end. */
  revoke(login: string): void;
  close(): void;
}

const HEADER_BYTES = 16 * 1024;
const TICK_MS = 1_000;

export async function openWeb(options: WebOptions): Promise<Web> {
  const { parts, clock, connect, isCertified } = options;
  let { config } = options;
  const log = options.log.child({ part: 'web' });
  const noisyLog = createRateLimited({ clock });
  const visits = new Visits({ networks: parts.networks, clock });
  const logins = new Logins({ ...parts, clock });
  const hosts = new Hosts({ isCertified, log, noisyLog }, config);
  const site = new Site({ ...options, log, noisyLog, logins, hosts, pages: await loadPages() }, config);
  const server: Server = newHttpServer(HEADER_BYTES);
  server.on('error', (err) => log.warn({ err }, 'the web port had an error'));
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('request', (request, response) => {
    const { socket } = request;
    const visit = visits.begin(request, response);
    if (visit === null) return;
    site.handle(request, response, { ...visit, received: () => visits.received(socket) }).catch((err) => {
      log.error({ err }, 'a request of a browser could not be answered');
      socket.destroy();
    });
  });

  /** Of this port, or one that the configuration names. */
  const mayComeFrom = (origin: string, host: string) => origin === `https://${host}` || config.origins.includes(origin);

  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const address = visits.leave(socket);
    if (address === null) return void socket.destroy();
    const complaint = hosts.complaint(request.headers.host, address);
    if (complaint !== null) return turnAway(socket, 421, [], complaint);
    const path = (request.url ?? '').split('?', 1)[0];
    const found = path === '/mqtt' ? judgeHandshake(request, mayComeFrom) : null;
    if (found === null) return turnAway(socket, 404, []);
    if (found.kind === 'refused') {
      noisyLog
        .network(networkOf(address))
        .line(`websocket ${found.status} ${found.why}`, (suppressed) =>
          log.warn({ address, reason: found.why, ...(suppressed > 0 ? { suppressed } : {}) }, 'WebSocket refused'),
        );
      return turnAway(socket, found.status, found.lines, found.why);
    }
    socket.setTimeout(0);
    socket.write(`${found.lines.join('\r\n')}\r\n\r\n`);
    connect(new WebSocketStream(socket, head, clock), address, 'websocket');
  });
  const stopTicking = clock.every(TICK_MS, () => logins.tick());

  return {
    enter(socket, { address }) {
      visits.enter(socket, address);
      server.emit('connection', socket);
    },
    configure(next) {
      config = next;
      hosts.configure(next);
      site.configure(next);
    },
    logins: () => logins.values(),
    redeem: (login, password) => logins.redeem(login, password),
    revoke: (login) => logins.endUser(login),
    close() {
      stopTicking();
      logins.close();
      visits.close();
      noisyLog.close();
    },
  };
}
