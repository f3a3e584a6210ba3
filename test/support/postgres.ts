import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { eventually } from './deadline.js';
import { freePort } from './ports.js';
import type { Scope } from './sockets.js';

const versions = '/usr/lib/postgresql';

function programs(): string {
  const [latest] = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  return latest === undefined ? '' : join(versions, latest, 'bin');
}

/** PostgreSQL does not run as root. */
const asItsUser = process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

export interface PostgresOptions {
  /** Certificate and key: then it speaks TLS, and nothing else over TCP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Survive a power cut: for measurements. */
  readonly durable?: boolean;
}

/** A real PostgreSQL in a folder of its own, on a loopback port; ended with the test. */
export class Postgres {
  readonly port: number;
  readonly #folder: string;
  readonly #settings: string[];
  #process: ChildProcess | null = null;

  private constructor(folder: string, port: number, settings: string[]) {
    this.#folder = folder;
    this.port = port;
    this.#settings = settings;
  }

  static async start(scope: Scope, options: PostgresOptions = {}): Promise<Postgres> {
    const it = await Postgres.#make(scope, options);
    copy(template(), it.#data);
    const { tls } = options;
    if (tls !== undefined) {
      const [cert, key] = [join(it.#folder, 'server.crt'), join(it.#folder, 'server.key')];
      writeFileSync(cert, tls.cert);
      writeFileSync(key, tls.key, { mode: 0o600 });
      if (asItsUser.length > 0) spawnSync('chown', ['postgres', cert, key]);
      writeFileSync(join(it.#data, 'pg_hba.conf'), 'local all all trust\nhostssl all all 127.0.0.1/32 trust\n');
      it.#settings.push('ssl=on', `ssl_cert_file=${cert}`, `ssl_key_file=${key}`);
    }
    await it.start();
    return it;
  }

  /** A hot standby of this one, which commits only once that one has it, too. */
  async startStandby(scope: Scope, options: PostgresOptions = {}): Promise<Postgres> {
    const it = await Postgres.#make(scope, options);
    const from = `host=127.0.0.1 port=${this.port} user=postgres application_name=standby`;
    run('pg_basebackup', ['-D', it.#data, '-d', from, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']);
    await it.start();
    await this.setSynchronous(true);
    return it;
  }

  /** One that was lost becomes a standby of the one that is the primary now. */
  async rejoin(primary: Postgres): Promise<void> {
    rmSync(this.#data, { recursive: true });
    const from = `host=127.0.0.1 port=${primary.port} user=postgres application_name=standby`;
    run('pg_basebackup', ['-D', this.#data, '-d', from, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']);
    await this.start();
    await primary.setSynchronous(true);
  }

  /** Whether a commit waits for the standby. */
  async setSynchronous(synchronous: boolean): Promise<void> {
    await this.ask(`alter system set synchronous_standby_names = '${synchronous ? 'standby' : ''}'`);
    await this.ask('select pg_reload_conf()');
    if (!synchronous) return;
    await eventually(10_000, 'the synchronous standby', async () => {
      const rows = await this.ask("select 1 from pg_stat_replication where sync_state = 'sync'");
      return rows.length === 1;
    });
  }

  static async #make(scope: Scope, { durable = false }: PostgresOptions): Promise<Postgres> {
    const folder = mkdtempSync(join(tmpdir(), 'iotlab-broker-pg-'));
    chmodSync(folder, 0o777);
    const it = new Postgres(folder, await freePort(), durable ? [] : ['fsync=off']);
    scope.after(async () => {
      await it.kill('SIGQUIT');
      rmSync(folder, { recursive: true, force: true });
    });
    return it;
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  /** For the broker. */
  get url(): string {
    return Postgres.urlOf(this);
  }

  static urlOf(...hosts: readonly Postgres[]): string {
    return `postgres://postgres@${hosts.map(({ port }) => `127.0.0.1:${port}`).join(',')}/postgres`;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const settings = [
      ...[`port=${this.port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${this.#folder}`],
      // How soon a standby that lost its primary looks for it again: until then no commit comes to its end.
      ...['max_locks_per_transaction=256', 'wal_retrieve_retry_interval=200ms', ...this.#settings],
    ];
    const args = ['-D', this.#data, ...settings.flatMap((it) => ['-c', it])];
    const [command = '', ...rest] = [...asItsUser, join(programs(), 'postgres'), ...args];
    let said = '';
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    this.#process = child;
    await eventually(15_000, 'PostgreSQL', () => {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended:\n${said}`);
      return this.ask('select 1').then(
        () => true,
        () => false,
      );
    });
  }

  /** SIGINT: as a restart does; SIGQUIT: as a crash does. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** A standby becomes the primary. */
  async promote(): Promise<void> {
    await this.ask('select pg_promote(true)');
    await this.setSynchronous(false);
  }

  /** Over its Unix socket. */
  async ask(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ host: this.#folder, port: this.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.query(text, [...values])).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }
}

/**
 * An empty cluster, made once for all tests and kept beside what they are compiled to: a copy costs a fifth of what
 * `initdb` does.
 */
function template(): string {
  const path = fileURLToPath(new URL(`../../postgres-${basename(dirname(programs()))}`, import.meta.url));
  if (existsSync(path)) return path;
  const folder = mkdtempSync(join(tmpdir(), 'iotlab-broker-pg-'));
  chmodSync(folder, 0o777);
  const made = join(folder, 'data');
  const access = ['-U', 'postgres', '-A', 'trust'];
  // The smallest segments there are: a new cluster has a whole one, which each copy would have, too.
  const size = ['--no-sync', '--wal-segsize=1'];
  run('initdb', ['-D', made, ...access, ...size, '-E', 'UTF8', '--locale=C']);
  const ours = `${path}-${process.pid}`;
  copy(made, ours);
  try {
    renameSync(ours, path);
  } catch (error) {
    // Another process of the tests was first.
    if (!existsSync(path)) throw error;
    rmSync(ours, { recursive: true });
  }
  rmSync(folder, { recursive: true });
  return path;
}

function copy(from: string, to: string): void {
  const { status, stderr, error } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cp: ${error?.message ?? stderr}`);
}

function run(program: string, args: readonly string[]): void {
  const [command = '', ...rest] = [...asItsUser, join(programs(), program), ...args];
  const { status, stderr, error } = spawnSync(command, rest, { encoding: 'utf8', cwd: '/' });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr}`);
}
