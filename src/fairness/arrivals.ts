/** Rounds are put off for so long while connections come in. */
const ARRIVING_MS = 2;

/**
 * What newcomers have before work has its round. The system hands out one connection in a turn of the event loop (libuv
 * accepts no more), in the order of their coming, whoever they are from: when fifty come back together and every turn
 * does ten milliseconds of work, another user's would stand half a second behind them before anything here could be
 * fair. So while they come, turns are short: the round is put off for a moment, and each connection is soon in the line
 * of its own network.
 */
export class Arrivals {
  readonly #touch: () => void;
  readonly #now: () => number;
  #came = false;
  /** The round is put off since then; 0: it is not. */
  #sinceMs = 0;
  #due: (() => void)[] = [];

  /** `touch` makes sure that this turn of the event loop has an end at which `comeFirst` is asked. */
  constructor({ touch, now }: { touch: () => void; now: () => number }) {
    this.#touch = touch;
    this.#now = now;
  }

  /** A connection was accepted. */
  came(): void {
    this.#came = true;
    this.#touch();
  }

  /** Calls back when the next round begins. */
  whenRound(callback: () => void): void {
    this.#due.push(callback);
    this.#touch();
  }

  /** Asked once in a turn of the event loop: is the round to wait for the next one? */
  comeFirst(): boolean {
    if (!this.#came) return false;
    this.#came = false;
    const nowMs = this.#now();
    if (this.#sinceMs === 0) this.#sinceMs = nowMs;
    return nowMs - this.#sinceMs < ARRIVING_MS;
  }

  /** The round begins. */
  begin(): void {
    this.#sinceMs = 0;
    if (this.#due.length === 0) return;
    const due = this.#due;
    this.#due = [];
    for (const callback of due) callback();
  }
}
