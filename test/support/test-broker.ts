import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { BrokerParts } from '../../src/broker-parts.js';
import type { ReloadOutcome } from '../../src/broker-reload.js';
import type { BrokerSeams } from '../../src/broker-seams.js';
import { type Clock, systemClock } from '../../src/clock.js';
import type { Config } from '../../src/config/config.js';
import { type DeepPartial, defaultConfig } from '../../src/config/defaults.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { type CapturedLog, captureLog } from './captured-log.js';
import { startMosquitto } from './mosquitto.js';
import { overWebSocket, passwordOf, type Target } from './raw-client.js';

export interface TestBrokerOptions {
  /** Each with the password `passwordOf(login)`. */
  readonly users?: readonly string[];
  /** `folder` for LevelDB in a folder of its own; `memory` is the default. */
  readonly store?: 'memory' | 'folder';
  readonly config?: DeepPartial<Config>;
  /** Opens a proxy's Unix socket, too, for `relayed`. */
  readonly relay?: boolean;
  /** Parts of the test's own in the place of the broker's. */
  readonly seams?: BrokerSeams & { readonly clock?: Clock };
}

export interface TestBroker extends Target, AsyncDisposable {
  readonly webPort: number | null;
  /**
   * Where clients come in as from a proxy that has ended TLS, which costs a tenth: for tests of thousands of connections
   * that are about what is said in them. The usual way where all come over WebSocket, or where `relay` was not asked for.
   */
  readonly relayed: Target;
  /** The PEM file behind `ca`. */
  readonly caFile: string;
  /** Holds everything that the broker has; removed by `stop`. */
  readonly folder: string;
  readonly usersFile: string;
  readonly logs: CapturedLog;
  /** The insides of the running broker. */
  parts(): BrokerParts;
  /**
   * Stops the broker and starts it again on the same port with the same store, perhaps with another configuration, and
   * after something that is done meanwhile.
   */
  restart(config?: DeepPartial<Config>, meanwhile?: () => Promise<void>): Promise<void>;
  /** Has the running broker read another configuration. */
  reload(config?: DeepPartial<Config>, options?: { readonly dryRun?: boolean }): Promise<ReloadOutcome>;
  stop(): Promise<void>;
}

/** MQTT 3.1 comes over TLS, later versions as a proxy relays them: who they are is told in CONNECT all the same. */
export const doorFor = (broker: TestBroker, level: number | undefined): Target =>
  level === 3 ? broker : broker.relayed;

/** mosquitto's former hash: one round of SHA-512, so that a thousand logins cost a test nothing. */
export function cheapHash(password: string): string {
  const salt = Buffer.from('a test salt!');
  const digest = createHash('sha512').update(password).update(salt).digest('base64');
  return `$6$${salt.toString('base64')}$${digest}`;
}

/** The same for all brokers of a process: hundreds are started, and few tests are about certificates. */
let issued: ReturnType<typeof issue> | undefined;

function issue() {
  const authority = makeAuthority();
  return { ca: authority.cert, ...authority.issue() };
}

/** A broker in this process, on a port of its own. */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const { users = ['alice', 'bob', 'al'], store = 'memory', config = {}, relay = false } = options;
  if (process.env.TEST_TARGET === 'mosquitto') return yardstick(users, config);
  const { createBroker } = await import('../../src/broker.js');
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-test-'));
  const files = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key'), ca: join(folder, 'ca.pem') };
  const usersFile = join(folder, 'users');
  const proxySocket = join(folder, 'proxy.sock');
  issued ??= issue();
  const { ca, cert, key } = issued;
  await Promise.all([
    writeFile(files.cert, cert),
    writeFile(files.key, key, { mode: 0o600 }),
    writeFile(files.ca, ca),
    writeFile(usersFile, users.map((login) => `${login}:${cheapHash(passwordOf(login))}\n`).join(''), { mode: 0o600 }),
  ]);
  const logs = captureLog();
  const whole = (port: number, settings: DeepPartial<Config>): Config => {
    const base = defaultConfig(settings);
    return {
      ...base,
      listener: {
        ...{ ...base.listener, host: '127.0.0.1', port, ...files, ...settings.listener },
        proxy: { ...base.listener.proxy, ...(relay ? { socket: proxySocket } : {}) },
      } as Config['listener'],
      // Logins of two letters, and failures without end: the tests say bob, and say wrong passwords all day.
      credentials: {
        ...base.credentials,
        file: { path: settings.credentials?.file?.path ?? usersFile },
        loginPattern: settings.credentials?.loginPattern ?? '^[a-z][a-z0-9]{1,19}$',
        throttle: { ...base.credentials.throttle, maxFailures: 100_000 },
      },
      storage: { ...base.storage, path: store === 'folder' ? join(folder, 'store') : 'memory' },
      admin: {
        ...base.admin,
        port: settings.admin?.port ?? 0,
        socket: join(folder, 'admin.sock'),
        auditFile: join(folder, 'audit.jsonl'),
        bansFile: join(folder, 'bans.json'),
        tokenFile: join(folder, 'admin.token'),
      },
    };
  };
  let read: Config;
  const start = async (port: number, settings = config) => {
    read = whole(port, settings);
    const seams = { log: logs.log, clock: systemClock, web: overWebSocket, ...options.seams };
    const broker = await createBroker(read, { ...seams, readConfig: async () => read });
    await broker.start();
    return broker;
  };
  let broker = await start(0);
  const { port } = broker;
  const stop = async () => {
    await broker.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const target = { host: '127.0.0.1', port, ca };
  return {
    ...target,
    get relayed() {
      return relay && !overWebSocket ? { ...target, proxySocket } : { ...target, webPort: broker.webPort };
    },
    get webPort() {
      return broker.webPort;
    },
    caFile: files.ca,
    folder,
    usersFile,
    logs,
    parts: () => broker.parts,
    async restart(settings, meanwhile = async () => {}) {
      await broker.stop();
      await meanwhile();
      broker = await start(port, settings);
    },
    reload(settings = config, given = {}) {
      read = whole(0, settings);
      return broker.reload(given);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** One broker for all tests of a file. */
export function useTestBroker(options: TestBrokerOptions = {}): TestBroker {
  let running: TestBroker | undefined;
  before(async () => {
    running = await startTestBroker(options);
  });
  after(() => running?.stop());
  return new Proxy({} as TestBroker, {
    get(_, name) {
      if (!running) throw new Error('The broker runs only while tests do');
      return Reflect.get(running, name);
    },
  });
}

async function yardstick(users: readonly string[], config: DeepPartial<Config>): Promise<TestBroker> {
  const { acl, limits } = defaultConfig(config);
  const rules = acl.map(({ access, topic }) => `pattern ${access} ${topic}`);
  const mosquitto = await startMosquitto(users, rules, limits.queuedMessages);
  return {
    ...mosquitto,
    relayed: mosquitto,
    webPort: null,
    usersFile: '',
    logs: captureLog(),
    parts: () => {
      throw new Error('Not with mosquitto');
    },
    restart: () => Promise.reject(new Error('Not with mosquitto')),
    reload: () => Promise.reject(new Error('Not with mosquitto')),
    [Symbol.asyncDispose]: () => mosquitto.stop(),
  };
}
