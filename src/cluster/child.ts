import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';

/** Who lived for so long is started again at once, and the first of those who did not is too. */
const STEADY_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Beyond its own deadline. */
const STOP_GRACE_MS = 2_000;

export interface ChildOptions {
  /** For the log: `shard 2`, `HAProxy`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly spawn: SpawnOptions;
  readonly stopTimeoutMs: number;
  /** At least so long after its end it is started again. */
  readonly leastPauseMs?: number;
  readonly log: Log;
  readonly clock: Clock;
  /** A process was started; not yet that it serves. */
  readonly onSpawned: (child: ChildProcess) => void;
  readonly onExit: () => void;
}

/** A process that is started again whenever it ends by itself, until it is stopped. */
export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | null = null;
  #wanted = false;
  /** Whether it is wanted even when it ends before it has served. */
  #insists = false;
  #startedAtMs = 0;
  #pauseMs = 0;
  #cancelPause: () => void = () => {};
  #onFirstExit: ((fault: Fault) => void) | null = null;
  #exited: Promise<void> = Promise.resolve();

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Starts it. Rejects when it ends before `serving` resolves: then there is something to mend. */
  async start(serving: Promise<void>): Promise<void> {
    this.#wanted = true;
    const failed = new Promise<never>((_, reject) => {
      this.#onFirstExit = reject;
    });
    this.#spawn();
    try {
      await Promise.race([serving, failed]);
    } finally {
      this.#onFirstExit = null;
    }
  }

  /** From now on it may end: it is not started again. */
  letGo(): void {
    this.#wanted = false;
    this.#cancelPause();
  }

  /** Ends it, gently at first. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.letGo();
    const child = this.#process;
    if (child === null) return;
    child.kill(signal);
    const { clock, stopTimeoutMs, log, name } = this.#options;
    const cancel = clock.after(stopTimeoutMs + STOP_GRACE_MS, () => {
      log.error(`${name} does not end: it is killed`);
      child.kill('SIGKILL');
    });
    await this.#exited;
    cancel();
  }

  /** Ends it, and starts it again. Rejects when it ends before it serves; it is started again and again then. */
  async restart(serving: () => Promise<void>): Promise<void> {
    await this.stop();
    const served = this.start(serving());
    this.#insists = true;
    await served.finally(() => {
      this.#insists = false;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  #spawn(): void {
    const { command, args, onSpawned, clock } = this.#options;
    const child = spawn(command, args, this.#options.spawn);
    this.#process = child;
    this.#startedAtMs = clock.monotonicMs();
    this.#exited = new Promise((resolve) => {
      const ended = (how: object, error?: Error) => {
        if (this.#process !== child) return;
        this.#process = null;
        this.#options.onExit();
        resolve();
        this.#ended(how, error);
      };
      child.once('exit', (code, signal) => ended(signal === null ? { code } : { signal }));
      child.once('error', (error) => {
        if (child.pid === undefined) ended({ err: error }, error);
      });
    });
    onSpawned(child);
  }

  #ended(how: object, error?: Error): void {
    const { name, log, clock, leastPauseMs = 0 } = this.#options;
    if (this.#onFirstExit !== null) {
      this.#wanted &&= this.#insists;
      const said =
        error === undefined ? `ended at once (${JSON.stringify(how)}); what it said is above` : error.message;
      this.#onFirstExit(new Fault('E_SHARD_START', `${name}: ${said}`));
    }
    if (!this.#wanted) return;
    const steady = clock.monotonicMs() - this.#startedAtMs > STEADY_MS;
    const pauseMs = Math.max(leastPauseMs, steady ? 0 : this.#pauseMs);
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, 2 * pauseMs));
    log.error({ ...how, pauseMs }, `${name} ended by itself: it is started again`);
    this.#cancelPause = clock.after(pauseMs, () => this.#spawn());
  }
}
