import type { WaitOptions } from './api.js';

/** What no packet tells, such as what an acknowledgement changed, is seen this often. */
const lookAgainMs = 20;

interface Waiter {
  look(): void;
  fail(message: string): void;
}

/** Those who wait for something to have happened. `changed` makes them look again. */
export class Waiting {
  readonly #waiters = new Set<Waiter>();
  readonly #timeoutMs: number;
  /** What there is to see, for the error of whoever waited in vain. */
  readonly #describe: (about: string | null) => string;
  #scheduled = false;
  #closed = false;

  constructor(timeoutMs: number, describe: (about: string | null) => string) {
    this.#timeoutMs = timeoutMs;
    this.#describe = describe;
  }

  /**
   * Resolves with the first value of `look` that is not undefined. Rejects after the deadline with `failure`, followed
   * by what there was to see instead, above all `about` that topic filter. The error's stack is that of who waits, not
   * that of a timer: it leads to a line of the test.
   */
  until<T>(
    look: () => T | undefined,
    {
      timeoutMs = this.#timeoutMs,
      failure,
      about = null,
    }: WaitOptions & { readonly failure: () => string; readonly about?: string | null },
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const now = look();
      if (now !== undefined) return resolve(now);
      const waitingHere = new Error();
      Error.captureStackTrace(waitingHere, this.until);
      const failed = (message: string): Error => withStackOf(waitingHere, message);
      if (this.#closed) return reject(failed(`${failure()}, and the broker is stopped.`));
      const end = (): void => {
        clearTimeout(timer);
        clearInterval(again);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        look: () => {
          const value = look();
          if (value === undefined) return;
          end();
          resolve(value);
        },
        fail: (message) => {
          end();
          reject(failed(message));
        },
      };
      const timer = setTimeout(
        () => waiter.fail(`${failure()} within ${timeoutMs} ms.\n${this.#describe(about)}`),
        timeoutMs,
      );
      const again = setInterval(waiter.look, lookAgainMs);
      this.#waiters.add(waiter);
      return undefined;
    });
  }

  /** Something happened. Who waits looks once what is going on has come to its end. */
  changed(): void {
    if (this.#scheduled || this.#waiters.size === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      for (const waiter of [...this.#waiters]) waiter.look();
    });
  }

  /** Nothing more will happen. */
  close(): void {
    this.#closed = true;
    for (const waiter of [...this.#waiters]) waiter.fail('The broker was stopped while a test waited for it.');
  }
}

function withStackOf({ stack = '' }: Error, message: string): Error {
  const error = new Error(message);
  const frames = stack.indexOf('\n    at ');
  error.stack = `Error: ${message}${frames === -1 ? '' : stack.slice(frames)}`;
  return error;
}
