import { Fault } from '../errors.js';

/**
 * Runs at most `width` pieces of work at a time and the others in the order they came. Hashing happens on libuv's four
 * threads, which the store's writes need too: two threads full of hashes leave two. The credential guard bounds how
 * many wait here.
 */
export class HashingLanes {
  readonly #width: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** Rejects with a `Fault` as soon as `signal` aborts; work that has not begun is then never begun. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) throw calledOff();
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(calledOff());
    });
    // Nobody may be listening any more when it aborts.
    aborted.catch(() => {});
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (this.#running >= this.#width) await Promise.race([this.#turn(signal), aborted]);
      else this.#running += 1;
      const working = work().finally(() => this.#next());
      return await Promise.race([working, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Whoever is woken has the place of the one that ended: `#running` stays as it is. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener('abort', () => this.#waiting.delete(resolve), { once: true });
    });
  }

  #next(): void {
    const [wake] = this.#waiting;
    if (wake === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(wake);
    wake();
  }
}

function calledOff(): Fault {
  return new Fault('E_CREDENTIALS_CALLED_OFF', 'the question to the credential backend was called off');
}
