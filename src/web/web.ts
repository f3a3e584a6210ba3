import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { newHttpServer } from '../admin/http-server.js';
import type { BrokerParts } from '../broker-parts.js';
import type { Clock } from '../clock.js';
import type { WebConfig } from '../config/config.js';
import { networkOf, type Transport } from '../network.js';
import type { Log } from '../observe/log.js';
import { createRateLimited } from '../observe/rate-limited.js';
import { Visits } from './visits.js';
import { judgeHandshake } from './websocket-handshake.js';
import { WebSocketStream } from './websocket-stream.js';

export interface WebOptions {
  readonly config: Pick<WebConfig, 'origins'>;
  readonly parts: Pick<BrokerParts, 'networks'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes over what is inside of a WebSocket: a client's bytes. */
  readonly connect: (stream: Duplex, address: string, transport: Transport) => void;
}

/** What browsers get over a port of their own. */
export interface Web {
  /** Takes over a socket whose TLS handshake is done. */
  enter(socket: Socket, peer: { readonly address: string }): void;
  /** Other origins from now on. */
  configure(config: Pick<WebConfig, 'origins'>): void;
  close(): void;
}

const HEADER_BYTES = 16 * 1024;

export function openWeb(options: WebOptions): Web {
  const { parts, clock, connect } = options;
  let { config } = options;
  const log = options.log.child({ part: 'web' });
  const noisyLog = createRateLimited({ clock });
  const visits = new Visits({ networks: parts.networks, clock });
  const server: Server = newHttpServer(HEADER_BYTES);
  server.on('error', (err) => log.warn({ err }, 'the web port had an error'));
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('request', (request, response) => {
    if (!visits.begin(request, response)) return;
    response.writeHead(404, { 'content-length': 0 });
    response.end();
  });

  /** Of this port, or one that the configuration names. */
  const mayComeFrom = (origin: string, host: string) => origin === `https://${host}` || config.origins.includes(origin);

  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const address = visits.leave(socket);
    if (address === null) return void socket.destroy();
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

  return {
    enter(socket, { address }) {
      visits.enter(socket, address);
      server.emit('connection', socket);
    },
    configure(next) {
      config = next;
    },
    close() {
      visits.close();
      noisyLog.close();
    },
  };
}

/** Says no in HTTP, where it would have become a WebSocket. */
function turnAway(socket: Socket, status: number, lines: readonly string[], why = ''): void {
  const text = why === '' ? '' : `${why}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...['Connection: close', 'Content-Type: text/plain; charset=utf-8', `Content-Length: ${Buffer.byteLength(text)}`],
    ...lines,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}
