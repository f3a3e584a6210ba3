import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../support/deadline.js';
import type { AttackJob, AttackReport } from './attacker.js';
import type { WatchJob, WatchReport } from './watcher.js';

/** Of an attacker: it would be on another machine, and may have what the broker and the watcher leave of this one. */
const attackerNice = 10;

type Message<Report> = { readonly report: Report } | { readonly error: string } | 'watching';

/** A process that does one job, reports, and stays until it is ended: its connections are part of the job. */
class Worker<Job, Report> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly report: Promise<Report>;

  constructor(name: string, nice: number, job: Job) {
    this.#name = name;
    const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    this.#child = spawn('nice', ['-n', `${nice}`, process.execPath, file], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.report = new Promise((resolve, reject) => {
      this.#child.on('message', (message: Message<Report>) => {
        if (typeof message === 'string') return;
        if ('report' in message) resolve(message.report);
        else reject(new Error(`The ${name}: ${message.error}`));
      });
      this.#child.once('exit', (code, signal) => reject(new Error(`The ${name} ended with ${signal ?? code}`)));
      this.#child.once('error', reject);
    });
    // Whoever waits for it hears of it.
    this.report.catch(() => {});
    this.tell(job);
  }

  tell(what: Job | 'stop'): void {
    if (this.#child.connected) this.#child.send(what as object);
  }

  async said(word: 'watching', timeoutMs: number): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      this.#child.on('message', (message) => message === word && resolve());
    });
    await within(
      timeoutMs,
      `the word "${word}" of the ${this.#name}`,
      Promise.race([heard, this.report.then(() => {})]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

export const startAttacker = (job: AttackJob) => new Worker<AttackJob, AttackReport>('attacker', attackerNice, job);
export const startWatcher = (job: WatchJob) => new Worker<WatchJob, WatchReport>('watcher', 0, job);
