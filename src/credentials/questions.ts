import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { type Begun, FairQueue, type Job } from './fair-queue.js';

export type Answer<T> = { readonly value: T } | { readonly fault: Fault };

export interface Question<T> {
  /** Comes `timeoutMs` after the backend was asked at the latest. Never rejects. */
  readonly answer: Promise<Answer<T>>;
  /** When the backend was asked; null while the question waits for its turn. */
  readonly askedAtMs: number | null;
  /** Nobody waits for the answer any more. One that the backend has already goes on; its answer may be of use. */
  withdraw(): void;
}

export type Asker = Pick<Job, 'network' | 'login' | 'known'>;

/** Those that wait beyond this are told at once that the server is unavailable; clients try again. */
const maxQueued = 4_096;

/** Not an address, so no connection's. */
const liveSessions = 'live sessions';

/**
 * Puts questions to the backend: a bounded number at a time, in fair turns. Knows whether the backend is out, judged by
 * nothing but what became of questions that it had, each for `timeoutMs`; and logs when that begins and ends.
 */
export class Questions {
  readonly #backend: string;
  #timeoutMs: number;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #queue: FairQueue;
  readonly #open = new Set<(fault: Fault) => void>();
  #outSinceMs: number | null = null;
  #closed = false;

  constructor(options: { backend: string; timeoutMs: number; width: number; log: Log; clock: Clock }) {
    this.#backend = options.backend;
    this.#timeoutMs = options.timeoutMs;
    this.#log = options.log;
    this.#clock = options.clock;
    const { width } = options;
    this.#queue = new FairQueue({ width, maxQueued, widthOf: widthsOf(width) });
  }

  /** For questions from now on. */
  configure({ timeoutMs, width }: { timeoutMs: number; width: number }): void {
    this.#timeoutMs = timeoutMs;
    this.#queue.resize(width, widthsOf(width));
  }

  get outage(): boolean {
    return this.#outSinceMs !== null;
  }

  /** `laterMs`: how much later to give an answer than the backend did. The place is free meanwhile. */
  ask<T>(asker: Asker, put: (signal: AbortSignal) => Promise<T>, laterMs: (value: T) => number = () => 0): Question<T> {
    if (this.#closed) return { answer: Promise.resolve({ fault: closedFault() }), askedAtMs: null, withdraw() {} };
    const controller = new AbortController();
    let askedAtMs: number | null = null;
    let settle: (answer: Answer<T>) => void = () => {};
    const answer = new Promise<Answer<T>>((resolve) => {
      settle = resolve;
    });
    const callOff = (fault: Fault): void => {
      settle({ fault });
      controller.abort(fault);
    };
    this.#open.add(callOff);
    void answer.then(() => this.#open.delete(callOff));
    const begin = (): Begun => {
      askedAtMs = this.#clock.monotonicMs();
      const place = Promise.race([this.#put(put, controller), answer]);
      void place.then((heard) => {
        const delayMs = 'value' in heard ? laterMs(heard.value) : 0;
        if (delayMs > 0) this.#clock.after(delayMs, () => settle(heard));
        else settle(heard);
      });
      return { place, answer };
    };
    const takeOut = this.#queue.add({ ...asker, begin, giveUp: () => callOff(busyFault()) });
    return {
      answer,
      get askedAtMs() {
        return askedAtMs;
      },
      withdraw: () => {
        if (askedAtMs !== null) return;
        takeOut();
        callOff(busyFault());
      },
    };
  }

  /** For somebody who has waited in vain since then: is it the backend that takes so long, or the row before it? */
  lateFault({ askedAtMs }: Question<unknown>, sinceMs: number): Fault {
    return askedAtMs !== null && askedAtMs <= sinceMs ? this.#timedOut() : busyFault();
  }

  /** About somebody who is in: for thousands of questions at a time that nobody is waiting for. */
  askAboutSession<T>(login: string, put: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    return this.ask({ network: liveSessions, login, known: true }, put).answer;
  }

  /** Every question that is still open hears of a fault, and every later one. */
  close(): void {
    this.#closed = true;
    for (const callOff of [...this.#open]) callOff(closedFault());
  }

  async #put<T>(put: (signal: AbortSignal) => Promise<T>, controller: AbortController): Promise<Answer<T>> {
    let cancelDeadline = (): void => {};
    const deadline = new Promise<Answer<T>>((resolve) => {
      cancelDeadline = this.#clock.after(this.#timeoutMs, () => {
        const fault = this.#timedOut();
        resolve({ fault });
        controller.abort(fault);
      });
    });
    const heard = await Promise.race([deadline, this.#hear(put, controller.signal)]);
    cancelDeadline();
    if (!this.#closed) {
      if ('value' in heard) this.#answered();
      else this.#failed(heard.fault);
    }
    return heard;
  }

  async #hear<T>(put: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<Answer<T>> {
    try {
      return { value: await put(signal) };
    } catch (error) {
      if (error instanceof Fault) return { fault: error };
      // An error that the backend did not mean to hand out may quote anything, a password too: only its kind is kept.
      const message = `the ${this.#backend} backend failed: ${kindOf(error)}`;
      return { fault: new Fault('E_CREDENTIALS_BACKEND', message) };
    }
  }

  #timedOut(): Fault {
    const message = `the ${this.#backend} backend did not answer within ${this.#timeoutMs} ms`;
    return new Fault('E_CREDENTIALS_TIMEOUT', message);
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
}

/**
 * How much of the width each network has: one place is always left for another than the busiest, and whoever is in
 * already can wait. With two or less, a place is free again soon enough.
 */
function widthsOf(width: number): (network: string) => number {
  const most = width > 2 ? width - 1 : width;
  return (network) => (network === liveSessions ? Math.min(2, most) : most);
}

/** It waits for its turn, or it had too little time left when that came. Says nothing about the backend. */
function busyFault(): Fault {
  return new Fault('E_CREDENTIALS_BUSY', 'too many logins wait for the credential backend');
}

function closedFault(): Fault {
  return new Fault('E_CREDENTIALS_CLOSED', 'the credential guard is closed');
}

function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' && /^E[A-Z0-9_]+$/.test(code) ? `${error.name} ${code}` : error.name;
}
