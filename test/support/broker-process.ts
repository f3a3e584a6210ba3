import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../src/listener/certificates.js';
import type { Address } from './exact-clients.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** A broker in a process of its own, that can be killed and started again on the same folder. */
export class BrokerProcess {
  readonly #folder: string;
  readonly #ca: string;
  #child: ChildProcess | null = null;
  /** Lines of level warn and above, of all runs. */
  readonly complaints: string[] = [];

  private constructor(folder: string, ca: string) {
    this.#folder = folder;
    this.#ca = ca;
  }

  /** `users` by login, with their passwords; `limits` as in the configuration file. */
  static async prepare(folder: string, users: Record<string, string>, limits: Record<string, number>) {
    const authority = makeAuthority();
    const { cert, key } = authority.issue();
    const config = {
      listener: { host: '127.0.0.1', port: 0, cert: 'server.pem', key: 'server.key', ca: 'ca.pem' },
      credentials: { file: { path: 'users' } },
      storage: { path: 'store' },
      log: { level: 'info', format: 'json' },
      admin: { port: 0 },
      limits,
    };
    const hashes = Object.entries(users).map(([login, password]) => `${login}:${quickHash(password)}\n`);
    await writeFile(join(folder, 'server.pem'), cert);
    await writeFile(join(folder, 'server.key'), key, { mode: 0o600 });
    await writeFile(join(folder, 'ca.pem'), authority.cert);
    await writeFile(join(folder, 'users'), hashes.join(''), { mode: 0o600 });
    // JSON is YAML.
    await writeFile(join(folder, 'broker.yaml'), JSON.stringify(config));
    return new BrokerProcess(folder, authority.cert);
  }

  /** Resolves when clients can connect. `flags` are for Node.js. */
  async start(flags: readonly string[] = []): Promise<Address> {
    // With the signal ignored, writing beyond the limit of `limitFiles` is an error like that of a full disk.
    const script = 'trap "" XFSZ; exec "$0" "$@"';
    const serve = [process.execPath, ...flags, main, 'serve', '--config', join(this.#folder, 'broker.yaml')];
    const child = spawn('/bin/sh', ['-c', script, ...serve], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (text) => this.complaints.push(String(text)));
    return await new Promise((resolve, reject) => {
      child.once('exit', () => reject(new Error(`the broker ended before it was ready: ${this.complaints.join('')}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.startsWith('{')) return;
        const { level, msg, port } = JSON.parse(line);
        if (msg === 'broker started') resolve({ port, ca: this.#ca });
        if (level === 'warn' || level === 'error' || level === 'fatal') this.complaints.push(line);
      });
    });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** From now on no file of the broker's can grow beyond that; null: without limit. */
  limitFiles(bytes: number | null): void {
    execFileSync('prlimit', ['--pid', `${this.pid}`, `--fsize=${bytes ?? 'unlimited'}:unlimited`]);
  }

  /** CPU time that it has used so far, in seconds. Of Linux, in ticks of 10 ms. */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8');
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
    return (user! + system!) / 100;
  }

  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}

/** mosquitto's former hash, one round of SHA-512: logins after each of many restarts should cost nothing. */
function quickHash(password: string): string {
  const salt = Buffer.from('salt for tests');
  const digest = createHash('sha512').update(password).update(salt).digest('base64');
  return `$6$${salt.toString('base64')}$${digest}`;
}
