import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Authority, makeAuthority } from '../../src/listener/certificates.js';
import { within } from './deadline.js';
import { freePort } from './ports.js';
import { passwordOf, type Target } from './raw-client.js';
import type { Scope } from './sockets.js';
import { cheapHash } from './test-broker.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export type Line = Readonly<Record<string, unknown>>;

/** `serve --shards N` in processes of its own, with the real HAProxy: a machine. */
export class ShardedProcess {
  readonly folder: string;
  readonly front: Target;
  readonly caFile: string;
  readonly config: string;
  readonly adminPort: number;
  readonly lines: Line[] = [];
  #child: ChildProcess | null = null;
  #wakers: (() => void)[] = [];

  private constructor(folder: string, front: Target, adminPort: number) {
    this.folder = folder;
    this.front = front;
    this.caFile = join(folder, 'ca.pem');
    this.config = join(folder, 'broker.yaml');
    this.adminPort = adminPort;
  }

  /** `more` is put over each part of the configuration. */
  static async prepare(
    scope: Scope,
    folder: string,
    users: readonly string[],
    more: Readonly<Record<string, object>> = {},
    authority: Authority = makeAuthority(),
  ): Promise<ShardedProcess> {
    const { cert, key } = authority.issue();
    const port = await freePort();
    const adminPort = await freePort();
    await writeFile(join(folder, 'server.pem'), cert);
    await writeFile(join(folder, 'server.key'), key, { mode: 0o600 });
    await writeFile(join(folder, 'ca.pem'), authority.cert);
    const hashes = users.map((login) => `${login}:${cheapHash(passwordOf(login))}\n`);
    await writeFile(join(folder, 'users'), hashes.join(''), { mode: 0o600 });
    const config = {
      listener: { host: '127.0.0.1', port, cert: 'server.pem', key: 'server.key', ca: 'ca.pem' },
      credentials: { file: { path: 'users' } },
      storage: { path: 'store' },
      cluster: { proxy: { folder: 'run', threads: 1 } },
      admin: { port: adminPort, socket: 'admin.sock', tokenFile: 'token', auditFile: 'audit.jsonl' },
      log: { format: 'json' },
    };
    for (const [part, keys] of Object.entries(more))
      Object.assign(config, { [part]: { ...(config[part as never] as object), ...keys } });
    const { host } = config.listener;
    const it = new ShardedProcess(folder, { host, port, ca: authority.cert }, adminPort);
    // JSON is YAML.
    await writeFile(it.config, JSON.stringify(config));
    scope.after(() => it.end('SIGKILL'));
    return it;
  }

  /** Resolves when clients can connect; rejects with what was said when it ends before. */
  async start(...args: string[]): Promise<void> {
    const from = this.lines.length;
    const child = spawn(process.execPath, [main, 'serve', ...args, '--config', this.config], { stdio: 'pipe' });
    this.#child = child;
    let complaints = '';
    child.stderr.on('data', (text) => (complaints += String(text)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Line);
      for (const wake of this.#wakers.splice(0)) wake();
    });
    const ended = once(child, 'close').then(([code]) => {
      throw new Error(`it ended with ${code}: ${complaints}`);
    });
    ended.catch(() => {});
    const serve = this.#next(({ msg }) => /^all shards serve/.test(String(msg)), from);
    // No timer stays when it has ended: that would keep the process of the tests for as long.
    await within(60_000, 'all shards to serve', Promise.race([serve, ended]));
  }

  /** Of the admin port; made at the first start. */
  async token(): Promise<string> {
    return (await readFile(join(this.folder, 'token'), 'utf8').catch(() => '')).trim();
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** The first line from `from` on, past or future, for which that holds. */
  async line(wanted: (line: Line) => boolean, timeoutMs = 10_000, from = 0): Promise<Line> {
    return within(timeoutMs, 'a line of the log', this.#next(wanted, from));
  }

  async #next(wanted: (line: Line) => boolean, from: number): Promise<Line> {
    for (;;) {
      const found = this.lines.slice(from).find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
    // The shards have the same standard output: it ends when they have.
    if (!child.stdout!.closed) await within(10_000, 'the end of all processes', once(child.stdout!, 'close'));
    return child.exitCode;
  }
}
