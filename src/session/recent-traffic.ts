import type { Clock } from '../clock.js';
import type { Traffic } from '../mqtt/traffic.js';

/** Longer than whoever shows rates looks back. */
const KEPT_MS = 70_000;
/** Those who left last, when more have left. */
const MOST = 10_000;
/** What one takes besides the login. */
const BYTES = 250;

interface Left {
  readonly traffic: Traffic;
  readonly leftAtMs: number;
}

/**
 * What went over the connections of users who have nothing here any more, for a while: whoever connects anew for each
 * message is here for moments alone, and uses the broker all the same.
 */
export class RecentTraffic {
  readonly #clock: Clock;
  readonly #balance: { add(bytes: number): void };
  /** Who left first stands first. */
  readonly #left = new Map<string, Left>();

  /** `balance` is told what is kept. */
  constructor(clock: Clock, balance: { add(bytes: number): void }) {
    this.#clock = clock;
    this.#balance = balance;
  }

  get(login: string): Traffic | undefined {
    return this.#left.get(login)?.traffic;
  }

  *[Symbol.iterator](): Generator<readonly [login: string, traffic: Traffic]> {
    for (const [login, { traffic }] of this.#left) yield [login, traffic];
  }

  /** The user has nothing here any more. */
  keep(login: string, traffic: Traffic): void {
    this.#left.set(login, { traffic, leftAtMs: this.#clock.monotonicMs() });
    this.#balance.add(bytesOf(login));
    if (this.#left.size > MOST) this.take(this.#left.keys().next().value!);
  }

  /** The user is here again, and goes on counting; or is to be forgotten. */
  take(login: string): Traffic | undefined {
    const left = this.#left.get(login);
    if (left === undefined) return undefined;
    this.#left.delete(login);
    this.#balance.add(-bytesOf(login));
    return left.traffic;
  }

  /** Forgets those who left long ago. */
  tick(): void {
    const untilMs = this.#clock.monotonicMs() - KEPT_MS;
    for (const [login, { leftAtMs }] of this.#left) {
      if (leftAtMs > untilMs) return;
      this.take(login);
    }
  }
}

const bytesOf = (login: string): number => BYTES + 2 * login.length;
