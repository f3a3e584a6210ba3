/** From when to when something took. By a clock that only goes forward. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What went wrong with a user's messages, apart from time. */
export interface Harm {
  /** Promised, and not there when everything had come to rest. */
  readonly lost: number;
  readonly reordered: number;
  /** Connections that the broker closed, and logins that it did not accept. */
  readonly closed: number;
}

/** One thing of the quiet user's that is done again and again, at times that do not depend on how long it takes. */
export interface Lane {
  readonly name: 'delivery' | 'puback' | 'login' | 'health';
  /** It waits for the broker's disk. */
  readonly stores?: boolean;
  start(): Promise<void>;
  /** No more of it. Resolves when everything has come, or at the deadline. */
  stop(timeoutMs: number): Promise<void>;
  readonly spans: readonly Span[];
  readonly harm: Harm;
}

/** Calls at this pace; what was missed while the process could not run is made up for at once. */
export function atPace(everyMs: number, act: (number: number) => void): () => void {
  const startMs = performance.now();
  let number = 0;
  const timer = setInterval(() => {
    for (const due = Math.floor((performance.now() - startMs) / everyMs); number < due; number += 1) act(number);
  }, everyMs);
  return () => clearInterval(timer);
}

/** Times of sending by number, until what was sent has come back. */
export class Pending {
  readonly #sentAtMs = new Map<number, number>();
  readonly spans: Span[] = [];
  #givenUp = false;
  #onEmpty: () => void = () => {};

  sent(number: number): void {
    this.#sentAtMs.set(number, performance.now());
  }

  came(number: number): void {
    const fromMs = this.#sentAtMs.get(number);
    if (fromMs === undefined) return;
    this.#sentAtMs.delete(number);
    this.spans.push({ fromMs, toMs: performance.now() });
    if (this.#sentAtMs.size === 0) this.#onEmpty();
  }

  /** There is nobody any more to whom they could come. */
  giveUp(): void {
    this.#givenUp = true;
    this.#onEmpty();
  }

  /** Resolves with the number of those that have not come by the deadline; they took until then, at least. */
  async settle(timeoutMs: number): Promise<number> {
    if (this.#sentAtMs.size > 0 && !this.#givenUp) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const missing = this.#sentAtMs.size;
    for (const fromMs of this.#sentAtMs.values()) this.spans.push({ fromMs, toMs: performance.now() });
    this.#sentAtMs.clear();
    return missing;
  }
}
