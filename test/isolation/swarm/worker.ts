import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../support/deadline.js';
import type { AttackJob, AttackReport } from './attacker.js';
import type { WatchJob, WatchReport } from './watcher.js';

/** Of an attacker: it would be on another machine, and may have what the broker and the watcher leave of this one. */
const attackerNice = 10;

type Message<Report> = { readonly report: Report } | { readonly error: string } | 'watching';

/**
 * A process that does one job, once it is told which, reports, and stays until it is ended: its connections are part of
 * the job.
 */
class Worker<Job, Report> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly report: Promise<Report>;

  constructor(name: string, nice: number) {
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

type Attacker = Worker<AttackJob, AttackReport>;
type Watcher = Worker<WatchJob, WatchReport>;
const newAttacker = (): Attacker => new Worker('attacker', attackerNice);
const newWatcher = (): Watcher => new Worker('watcher', 0);

/** Those who work on one broker. What a trial and its control need can start up beside the broker, and then wait. */
export class Crew implements AsyncDisposable {
  readonly #attackers: Attacker[] = [];
  readonly #watchers: Watcher[] = [];

  prepare(): void {
    while (this.#attackers.length < 2) this.#attackers.push(newAttacker());
    while (this.#watchers.length < 2) this.#watchers.push(newWatcher());
  }

  attack(job: AttackJob): Attacker {
    const attacker = this.#attackers.shift() ?? newAttacker();
    attacker.tell(job);
    return attacker;
  }

  watch(job: WatchJob): Watcher {
    const watcher = this.#watchers.shift() ?? newWatcher();
    watcher.tell(job);
    return watcher;
  }

  /** Ends those who have nothing to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    const idle = [...this.#attackers.splice(0), ...this.#watchers.splice(0)];
    await Promise.all(idle.map((worker) => worker[Symbol.asyncDispose]()));
  }
}
