import type { Clock } from '../clock.js';
import type { Traffic } from '../mqtt/traffic.js';
import type { Accounts } from '../session/accounts.js';

/** How often is looked. */
const PERIOD_MS = 5_000;
/** Looks that are remembered: a minute, and the one before it. */
const LOOKS = 13;
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

  constructor(accounts: Accounts, clock: Clock, balance: { add(bytes: number): void }) {
    this.#accounts = accounts;
    this.#clock = clock;
    this.#balance = balance;
    this.#stop = clock.every(PERIOD_MS, () => this.#look());
  }

  of(login: string): Rate {
    const account = this.#accounts.known(login);
    if (account === undefined) return NO_RATE;
    const before = this.#looks.get(login)?.[0];
    if (before === undefined) return NO_RATE;
    const seconds = (this.#clock.monotonicMs() - before.atMs) / 1_000;
    if (seconds <= 0) return NO_RATE;
    const now = account.traffic;
    const perSecond = (name: keyof Traffic & keyof Rate) => Math.max(0, now[name] - before[name]) / seconds;
    return {
      publishesReceived: perSecond('publishesReceived'),
      publishesSent: perSecond('publishesSent'),
      bytesReceived: perSecond('bytesReceived'),
      bytesSent: perSecond('bytesSent'),
    };
  }

  close(): void {
    this.#stop();
    this.#balance.add(-this.#looks.size * BYTES_PER_USER);
    this.#looks.clear();
  }

  /** One look takes a tenth of a microsecond a user. */
  #look(): void {
    const atMs = this.#clock.monotonicMs();
    const known = this.#looks.size;
    for (const { login, traffic } of this.#accounts.values()) {
      const { publishesReceived, publishesSent, bytesReceived, bytesSent } = traffic;
      const looks = this.#looks.get(login) ?? [];
      looks.push({ atMs, publishesReceived, publishesSent, bytesReceived, bytesSent });
      if (looks.length > LOOKS) looks.shift();
      this.#looks.set(login, looks);
    }
    for (const login of this.#looks.keys()) if (this.#accounts.known(login) === undefined) this.#looks.delete(login);
    this.#balance.add((this.#looks.size - known) * BYTES_PER_USER);
  }
}
