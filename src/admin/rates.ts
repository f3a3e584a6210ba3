import type { Clock } from '../clock.js';
import type { Traffic } from '../mqtt/traffic.js';
import type { Accounts } from '../session/accounts.js';

/** How often is looked. */
const PERIOD_MS = 5_000;
/** Looks that are remembered: a minute, and the one before it. */
const LOOKS = 13;
/** What came within less is not taken for what would come in a second. */
const SHORTEST_SECONDS = 1;
/** What is remembered of one user. */
const BYTES_PER_USER = LOOKS * 5 * 8 + 200;

interface Look {
  readonly atMs: number;
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** Per second, over the last minute, or for as long as there is something to look back at. */
export interface Rate {
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export const NO_RATE: Rate = { publishesReceived: 0, publishesSent: 0, bytesReceived: 0, bytesSent: 0 };

/** How much each user sends and gets, from looking at the totals every few seconds. */
export class Rates {
  readonly #accounts: Accounts;
  readonly #clock: Clock;
  readonly #balance: { add(bytes: number): void };
  readonly #looks = new Map<string, Look[]>();
  readonly #stop: () => void;
  #lookedAtMs: number;

  constructor(accounts: Accounts, clock: Clock, balance: { add(bytes: number): void }) {
    this.#accounts = accounts;
    this.#clock = clock;
    this.#balance = balance;
    this.#lookedAtMs = clock.monotonicMs();
    this.#stop = clock.every(PERIOD_MS, () => this.#look());
  }

  of(login: string): Rate {
    const now = this.#accounts.trafficOf(login);
    if (now === undefined) return NO_RATE;
    // Whoever is new since the last look had nothing then.
    const before = this.#looks.get(login)?.[0] ?? nothingAt(this.#lookedAtMs);
    const seconds = Math.max(SHORTEST_SECONDS, (this.#clock.monotonicMs() - before.atMs) / 1_000);
    const perSecond = (name: keyof Traffic & keyof Rate) => Math.max(0, now[name] - before[name]) / seconds;
    return {
      publishesReceived: perSecond('publishesReceived'),
      publishesSent: perSecond('publishesSent'),
      bytesReceived: perSecond('bytesReceived'),
      bytesSent: perSecond('bytesSent'),
    };
  }

  /** What was before counts for nothing. */
  forget(login: string): void {
    if (this.#looks.delete(login)) this.#balance.add(-BYTES_PER_USER);
  }

  close(): void {
    this.#stop();
    this.#balance.add(-this.#looks.size * BYTES_PER_USER);
    this.#looks.clear();
  }

  /** One look takes a tenth of a microsecond a user. */
  #look(): void {
    const formerMs = this.#lookedAtMs;
    const atMs = this.#clock.monotonicMs();
    this.#lookedAtMs = atMs;
    const known = this.#looks.size;
    for (const [login, traffic] of this.#accounts.traffic()) {
      const { publishesReceived, publishesSent, bytesReceived, bytesSent } = traffic;
      const looks = this.#looks.get(login) ?? [nothingAt(formerMs)];
      looks.push({ atMs, publishesReceived, publishesSent, bytesReceived, bytesSent });
      if (looks.length > LOOKS) looks.shift();
      this.#looks.set(login, looks);
    }
    for (const login of this.#looks.keys()) {
      if (this.#accounts.trafficOf(login) === undefined) this.#looks.delete(login);
    }
    this.#balance.add((this.#looks.size - known) * BYTES_PER_USER);
  }
}

function nothingAt(atMs: number): Look {
  return { atMs, ...NO_RATE };
}
