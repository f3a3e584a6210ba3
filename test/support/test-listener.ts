import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import tls from 'node:tls';
import { systemClock } from '../../src/clock.js';
import type { ListenerConfig } from '../../src/config/config.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { type Authority, type IssueRequest, makeAuthority } from '../../src/listener/certificates.js';
import { type Listener, type ListenerOptions, openListener } from '../../src/listener/listener.js';
import type { Peer } from '../../src/listener/reception.js';
import { newScheduler } from './accounts.js';
import { type CapturedLog, captureLog } from './captured-log.js';
import { eventually } from './deadline.js';
import { tempFolder } from './temp-folder.js';

export interface TestListener extends CapturedLog {
  readonly listener: Listener;
  readonly port: number;
  readonly authority: Authority;
  readonly files: { cert: string; key: string; ca: string };
  /** Server sides, in the order of their handshakes. */
  readonly accepted: { socket: TLSSocket; peer: Peer }[];
  /** Writes another certificate over the one in use, the key first. */
  replace(request?: IssueRequest): Promise<void>;
  /** A client that trusts the authority, after its handshake. */
  connect(options?: tls.ConnectionOptions): Promise<TLSSocket>;
}

/** A listener of its own on a port of its own, that greets with `hello` and echoes; closed when the test ends. */
export async function testListener(
  t: TestContext,
  overrides: {
    limits?: Partial<ListenerOptions['limits']>;
    clock?: ListenerOptions['clock'];
    certificate?: IssueRequest;
    host?: string;
    proxy?: Partial<ListenerConfig['proxy']>;
    onConnection?: ListenerOptions['onConnection'];
    turns?: ListenerOptions['turns'];
  } = {},
): Promise<TestListener> {
  const folder = await tempFolder(t);
  const files = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key'), ca: join(folder, 'ca.pem') };
  const authority = makeAuthority();
  const replace = async (request: IssueRequest = {}) => {
    const { cert, key } = authority.issue(request);
    await writeFile(files.key, key);
    await writeFile(files.cert, cert);
  };
  await writeFile(files.ca, authority.cert);
  await replace(overrides.certificate);
  const captured = captureLog();
  const accepted: TestListener['accepted'] = [];
  const listener = await openListener({
    config: defaultConfig({
      listener: { host: overrides.host ?? '127.0.0.1', port: 0, ...files, proxy: overrides.proxy },
    }).listener,
    limits: { handshakeTimeoutMs: 5000, connections: 100, connectionsPerAddress: 100, ...overrides.limits },
    log: captured.log,
    clock: overrides.clock ?? systemClock,
    turns: overrides.turns ?? newScheduler().arrivals,
    onConnection(socket, peer) {
      accepted.push({ socket: socket as TLSSocket, peer });
      socket.on('error', () => {});
      if (overrides.onConnection) overrides.onConnection(socket, peer);
      else socket.on('data', (data) => socket.write(data)).on('end', () => socket.end());
    },
  });
  t.after(() => listener.close());
  return {
    ...captured,
    listener,
    port: listener.port!,
    authority,
    files,
    accepted,
    replace,
    connect(options = {}) {
      return new Promise((resolve, reject) => {
        const socket = tls.connect({
          host: '127.0.0.1',
          servername: 'localhost',
          port: listener.port!,
          ca: authority.cert,
          ...options,
        });
        t.after(() => socket.destroy());
        socket.once('secureConnect', () => resolve(socket)).once('error', reject);
      });
    },
  };
}

/** For what no event tells, such as the other side's close: asks from time to time, but not for ever. */
export const until = (holds: () => boolean): Promise<void> => eventually(8_000, String(holds), holds);
