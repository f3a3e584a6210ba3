import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { FairQueue } from './fair-queue.js';

export type Answer<T> = { readonly value: T } | { readonly fault: Fault };

/** Those that wait beyond this are told at once that the server is unavailable; clients try again. */
const maxQueued = 4_096;

/** Not an address, so no connection's. */
const patientLane = 'live sessions';

/**
 * Puts questions to the backend: a bounded number at a time, in fair turns, each answered within the deadline. Knows whether the backend is out, and logs when that begins and ends.
 */
export class Questions {
  readonly #backend: string;
  readonly #timeoutMs: number;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #queue: FairQueue;
  readonly #open = new Set<(fault: Fault) => void>();
  #outSinceMs: number | null = null;
  #closed = false;

  constructor(options: {
    backend: string;
    config: { readonly timeoutMs: number; readonly concurrency: number };
    log: Log;
    clock: Clock;
  }) {
    this.#backend = options.backend;
    this.#timeoutMs = options.config.timeoutMs;
    this.#log = options.log;
    this.#clock = options.clock;
    const width = options.config.concurrency;
    this.#queue = new FairQueue({
      width,
      maxQueued,
      widthOf: (lane) => {
        if (lane.endsWith(' trickle')) return 1;
        // One place is always left for another address than the busiest; and whoever is in already can wait.
        return Math.max(1, lane === patientLane ? Math.min(2, width - 1) : width - 1);
      },
    });
  }

  get outage(): boolean {
    return this.#outSinceMs !== null;
  }

  /** The deadline counts from now, waiting included. Never rejects; nobody waits for `put` once its signal aborts. */
  ask<T>(lane: string, login: string, put: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    return this.#ask(lane, login, put, false);
  }

  /** The deadline counts from when the turn comes: for thousands of questions that nobody is waiting for. */
  askPatiently<T>(login: string, put: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    return this.#ask(patientLane, login, put, true);
  }

  #ask<T>(lane: string, login: string, put: (signal: AbortSignal) => Promise<T>, patient: boolean): Promise<Answer<T>> {
    if (this.#closed) return Promise.resolve({ fault: closedFault() });
    return new Promise((resolve) => {
      const controller = new AbortController();
      let started = false;
      let settled = false;
      let release = (): void => {};
      let takeOut = (): void => {};

      const settle = (answer: Answer<T>): void => {
        if (settled) return;
        settled = true;
        cancelDeadline();
        this.#open.delete(callOff);
        takeOut();
        release();
        resolve(answer);
      };
      const callOff = (fault: Fault): void => {
        settle({ fault });
        controller.abort(fault);
      };
      const onDeadline = (): void => {
        const fault = started ? this.#timedOut() : this.#busy();
        if (started) this.#failed(fault);
        callOff(fault);
      };
      let cancelDeadline = patient ? (): void => {} : this.#clock.after(this.#timeoutMs, onDeadline);
      this.#open.add(callOff);

      takeOut = this.#queue.add({
        address: lane,
        login,
        start: () => {
          started = true;
          if (patient) cancelDeadline = this.#clock.after(this.#timeoutMs, onDeadline);
          void this.#put(put, controller.signal, () => settled).then(settle);
          return new Promise<void>((done) => {
            release = done;
            if (settled) done();
          });
        },
        giveUp: () => callOff(this.#busy()),
      });
    });
  }

  /** Every question that is still open hears of a fault, and every later one. */
  close(): void {
    this.#closed = true;
    for (const callOff of [...this.#open]) callOff(closedFault());
  }

  async #put<T>(
    put: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
    tooLate: () => boolean,
  ): Promise<Answer<T>> {
    try {
      const value = await put(signal);
      if (!tooLate()) this.#answered();
      return { value };
    } catch (error) {
      // An error that the backend did not mean to hand out may quote anything, a password too: only its kind is kept.
      const fault =
        error instanceof Fault
          ? error
          : new Fault('E_CREDENTIALS_BACKEND', `the ${this.#backend} backend failed: ${kindOf(error)}`);
      if (!tooLate()) this.#failed(fault);
      return { fault };
    }
  }

  #answered(): void {
    if (this.#outSinceMs === null) return;
    const outageMs = this.#clock.monotonicMs() - this.#outSinceMs;
    this.#outSinceMs = null;
    this.#log.info({ backend: this.#backend, outageMs }, 'the credential backend answers again');
  }

  #failed(fault: Fault): void {
    if (this.#outSinceMs !== null) return;
    this.#outSinceMs = this.#clock.monotonicMs();
    this.#log.error(
      { backend: this.#backend, code: fault.code, reason: fault.message },
      'the credential backend does not answer: logins hear "server unavailable" until it does, but for those in memory',
    );
  }

  #timedOut(): Fault {
    const message = `the ${this.#backend} backend did not answer within ${this.#timeoutMs} ms`;
    return new Fault('E_CREDENTIALS_TIMEOUT', message);
  }

  #busy(): Fault {
    return new Fault('E_CREDENTIALS_BUSY', 'too many logins wait for the credential backend');
  }
}

function closedFault(): Fault {
  return new Fault('E_CREDENTIALS_CLOSED', 'the credential guard is closed');
}

function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' && /^E[A-Z0-9_]+$/.test(code) ? `${error.name} ${code}` : error.name;
}
