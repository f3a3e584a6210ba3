import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../../support/deadline.js';
import { freePort } from '../../support/ports.js';
import type { Target } from './link.js';
import { peakMegabytes } from './stalls.js';
import { Crew } from './worker.js';

/** The broker as it is shipped, seen from outside: nothing here knows its sources. */
const main = fileURLToPath(new URL('../../../../dist/main.js', import.meta.url));
const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;

/** Who is watched, who attacks, and who does the same modestly; with more of each kind that attacks. */
export const quietLogin = 'alice';
export const attackerLogin = 'mallory';
export const modestLogin = 'molly';
const logins = [quietLogin, ...[attackerLogin, modestLogin].flatMap((login) => [login, ...numbered(login)])];
export const passwordOf = (login: string): string => `${login}-secret`;
/** One for all of a kind, so that a program needs to know only one. */
export const attackerPassword = passwordOf(attackerLogin);

function numbered(login: string): string[] {
  return Array.from({ length: 40 }, (_, index) => `${login}${index + 1}`);
}

/** A folder with what all brokers of a run share: certificates and users. The limits are the defaults. */
export class Ground implements AsyncDisposable {
  readonly #folder: string;
  readonly #ca: string;
  readonly #flags: readonly string[];
  readonly #running = new Set<ChildProcess>();
  readonly #brokers: Broker[] = [];
  readonly #endAll = () => {
    for (const child of this.#running) child.kill('SIGKILL');
  };

  private constructor(folder: string, ca: string, heapMb: number | undefined) {
    this.#folder = folder;
    this.#ca = ca;
    this.#flags = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
    process.on('exit', this.#endAll);
  }

  /** `heapMb`: what the brokers are given, instead of what Node.js takes by itself. */
  static async make(heapMb?: number): Promise<Ground> {
    const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-swarm-'));
    await writeFile(join(folder, 'broker.yaml'), configuration());
    const create = ['certs', 'create', '--key', 'rsa', '--config', join(folder, 'broker.yaml')];
    await promisify(execFile)(process.execPath, [main, ...create]);
    const lines = logins.map((login) => `${login}:${quickHash(login === quietLogin ? login : attackerLogin)}\n`);
    await writeFile(join(folder, 'users'), lines.join(''), { mode: 0o600 });
    return new Ground(folder, await readFile(join(folder, 'ca.pem'), 'utf8'), heapMb);
  }

  /** A broker with an empty store. */
  async broker(): Promise<Broker> {
    const folder = join(this.#folder, `broker-${this.#brokers.length + 1}`);
    await mkdir(folder);
    const broker = new Broker(folder, this.#ca, this.#flags, this.#running);
    await broker.configure();
    this.#brokers.push(broker);
    broker.crew.prepare();
    try {
      await broker.start();
    } catch (error) {
      await broker.stop('SIGKILL');
      throw error;
    }
    return broker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With those that wait for work on one of them.
    await Promise.all(this.#brokers.map((broker) => broker.stop('SIGKILL')));
    process.off('exit', this.#endAll);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** `shared`: where the certificates and the users are. */
function configuration(shared = '', adminPort = 0, more: object = {}): string {
  const at = (name: string) => `${shared}${name}`;
  // JSON is YAML.
  return JSON.stringify({
    listener: { host: '127.0.0.1', port: 0, cert: at('server.pem'), key: at('server.key'), ca: at('ca.pem') },
    credentials: { file: { path: at('users') } },
    storage: { path: 'store' },
    log: { format: 'json' },
    admin: { port: adminPort, socket: 'admin.sock' },
    ...more,
  });
}

/** A hash of mosquitto_passwd with few rounds: what a login costs is not what is measured here. */
function quickHash(login: string): string {
  const salt = Buffer.from('salt of a swarm');
  const hash = pbkdf2Sync(passwordOf(login), salt, 101, 64, 'sha512');
  return `$7$101$${salt.toString('base64')}$${hash.toString('base64')}`;
}

export class Broker {
  readonly #folder: string;
  readonly #ca: string;
  readonly #flags: readonly string[];
  readonly #running: Set<ChildProcess>;
  readonly crew = new Crew();
  #child: ChildProcess | null = null;
  #port = 0;
  #adminPort = 0;
  #starts = 0;
  /** Until clients could connect, the last time. */
  startMs = 0;

  constructor(folder: string, ca: string, flags: readonly string[], running: Set<ChildProcess>) {
    this.#folder = folder;
    this.#ca = ca;
    this.#flags = flags;
    this.#running = running;
  }

  get target(): Target {
    return { host: '127.0.0.1', port: this.#port, adminPort: this.#adminPort, ca: this.#ca };
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get peakMb(): number {
    return peakMegabytes(this.pid);
  }

  /** How it ended, with the last that it said; null while it lives. */
  async ending(): Promise<string | null> {
    if (this.#child === null || this.alive) return null;
    return `ended with ${this.#child.signalCode ?? this.#child.exitCode}: …${(await this.said()).slice(-1_500)}`;
  }

  /** Its log, since its last start. */
  said(): Promise<string> {
    return readFile(this.#log, 'utf8');
  }

  get adminSocket(): string {
    return join(this.#folder, 'admin.sock');
  }

  /** Writes its configuration, with more than what all of a run have. */
  async configure(more: object = {}): Promise<void> {
    // 0 would make none.
    if (this.#adminPort === 0) this.#adminPort = await freePort();
    await writeFile(join(this.#folder, 'broker.yaml'), configuration('../', this.#adminPort, more));
  }

  async start(): Promise<void> {
    this.#starts += 1;
    const startMs = performance.now();
    // To a file: reading what an attack makes it say would cost this process time.
    await using log = await open(this.#log, 'w');
    const child = spawn(
      process.execPath,
      [...this.#flags, main, 'serve', '--config', join(this.#folder, 'broker.yaml')],
      {
        stdio: ['ignore', log.fd, log.fd],
      },
    );
    this.#child = child;
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    await eventually(startTimeoutMs, 'the broker listens', async () => {
      const text = await this.said();
      this.#port = Number(/"port":(\d+)[^\n]*"msg":"broker started"/.exec(text)?.[1] ?? 0);
      const ending = await this.ending();
      if (ending !== null) throw new Error(`The broker ${ending}`);
      return this.#port > 0;
    });
    this.startMs = performance.now() - startMs;
  }

  /** SIGTERM, and then, if need be, SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.crew[Symbol.asyncDispose]();
    const child = this.#child;
    if (child === null || !this.alive) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    await gone;
    clearTimeout(timer);
  }

  get #log(): string {
    return join(this.#folder, `log-${this.#starts}`);
  }
}
