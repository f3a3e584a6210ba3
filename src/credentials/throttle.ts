import type { Clock } from '../clock.js';
import { ExpiringMap } from './expiring-map.js';
import { Lottery } from './lottery.js';

interface Guesses {
  /** Refused passwords of the window, by the guard's key of login and password, and when. */
  readonly wrong: Map<string, number>;
  /** Passwords being asked about now, and by how many connections. */
  readonly pending: Map<string, number>;
}

interface NetworkCount {
  windowStartMs: number;
  thisWindow: number;
  lastWindow: number;
}

/** How many times `maxFailures` a network may fail over all its logins before it is suspected of guessing. */
const suspicionFactor = 20;
const dayMs = 86_400_000;
/** Once a login has used up its guesses, one more from there each so often. */
const drawEveryMs = 1_000;
/** Wrong guesses remembered of a login, beyond `maxFailures`. */
const mostRemembered = 100;

/**
 * Slows down guessing, without a way to lock somebody else out. Five rules:
 *
 * 1. A password that was right within a day is no guess: its owner notices nothing of what follows.
 * 2. Guesses are counted, not attempts: a fleet that repeats one wrong password has guessed once.
 * 3. After `maxFailures` wrong guesses at one login from one network within `windowMs`, one further guess a second goes
 *    through, drawn by lot from those that wait. So whoever knows the password is not shut out by who guesses it from
 *    the same address, and has the better chances the fewer guesses there are at a time. The others, and wrong ones that
 *    are repeated, are refused unasked. The same login from elsewhere, and other logins from there, go on.
 * 4. A network that fails on very many logins (`maxFailures` × 20 guesses) is suspected. It may well be an SSH frontend
 *    that hundreds of users share, so nobody is shut out: logins that were accepted from it within a day notice nothing;
 *    each other login still has a quarter of the guesses.
 * 5. Every map is bounded; what was used least recently is forgotten first.
 */
export class LoginThrottle {
  #maxFailures = 0;
  #windowMs = 0;
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #guesses = new Map<string, Guesses>();
  readonly #networks = new Map<string, NetworkCount>();
  /** Logins that were accepted, by network. */
  readonly #proven: ExpiringMap<true>;
  /** Passwords that were right, by the guard's key. */
  readonly #right: ExpiringMap<true>;
  readonly #lottery: Lottery;

  constructor(config: { maxFailures: number; windowMs: number }, clock: Clock, maxEntries = 20_000) {
    this.configure(config);
    this.#clock = clock;
    this.#maxEntries = maxEntries;
    this.#proven = new ExpiringMap({ ttlMs: dayMs, maxEntries }, clock);
    this.#right = new ExpiringMap({ ttlMs: dayMs, maxEntries }, clock);
    this.#lottery = new Lottery(drawEveryMs, clock);
  }

  /** What was counted so far stays counted. */
  configure({ maxFailures, windowMs }: { maxFailures: number; windowMs: number }): void {
    this.#maxFailures = maxFailures;
    this.#windowMs = Math.max(1, windowMs);
  }

  /** How much is remembered now, in all maps. */
  get entries(): number {
    return this.#guesses.size + this.#networks.size + this.#proven.size + this.#right.size + this.#lottery.size;
  }

  /** Was this very password right lately, so that it is no guess? */
  wasRight(key: string): boolean {
    return this.#right.get(key) !== undefined;
  }

  /** May this guess be made? Resolves within `timeoutMs`. If so, `settled` has to follow. */
  async admit(network: string, login: string, key: string, timeoutMs: number): Promise<boolean> {
    const suspected = this.#failuresOf(network) >= this.#maxFailures * suspicionFactor;
    const cautious = suspected && this.#proven.get(pair(network, login)) === undefined;
    const allowance = cautious ? Math.max(1, Math.floor(this.#maxFailures / 4)) : this.#maxFailures;
    const guesses = this.#guessesOf(network, login);
    // Guesses that are being asked about count too, or a thousand made at once would all be admitted.
    if (!guesses.pending.has(key) && guesses.wrong.size + guesses.pending.size >= allowance) {
      if (guesses.wrong.has(key)) return false;
      if (!(await this.#lottery.wait(pair(network, login), key, timeoutMs))) return false;
    }
    const { pending } = this.#guessesOf(network, login);
    pending.set(key, (pending.get(key) ?? 0) + 1);
    return true;
  }

  /** What came of an admitted guess; `unknown` when nobody answered. */
  settled(network: string, login: string, key: string, outcome: 'right' | 'wrong' | 'unknown'): void {
    const guesses = this.#guessesOf(network, login);
    const pending = guesses.pending.get(key) ?? 0;
    if (pending > 1) guesses.pending.set(key, pending - 1);
    else guesses.pending.delete(key);
    if (outcome === 'right') this.right(network, login, key);
    if (outcome === 'wrong') {
      this.#right.delete(key);
      if (!guesses.wrong.has(key)) this.#countFailure(network);
      touch(guesses.wrong, key, this.#clock.monotonicMs(), this.#maxFailures + mostRemembered);
    } else if (guesses.wrong.size === 0 && guesses.pending.size === 0) {
      this.#guesses.delete(pair(network, login));
    }
  }

  /** The password was right, from there. Earlier wrong guesses stay counted: they may be somebody else's. */
  right(network: string, login: string, key: string): void {
    this.#proven.set(pair(network, login), true);
    this.#right.set(key, true);
  }

  /** Whoever waits may go. */
  close(): void {
    this.#lottery.close();
  }

  #guessesOf(network: string, login: string): Guesses {
    const name = pair(network, login);
    const guesses = this.#guesses.get(name) ?? { wrong: new Map(), pending: new Map() };
    const oldMs = this.#clock.monotonicMs() - this.#windowMs;
    for (const [key, atMs] of guesses.wrong) if (atMs <= oldMs) guesses.wrong.delete(key);
    touch(this.#guesses, name, guesses, this.#maxEntries);
    return guesses;
  }

  /** Over a sliding window, from the counts of two fixed ones. */
  #failuresOf(network: string): number {
    const count = this.#networks.get(network);
    if (count === undefined) return 0;
    this.#roll(count);
    const passed = (this.#clock.monotonicMs() - count.windowStartMs) / this.#windowMs;
    return count.thisWindow + count.lastWindow * (1 - passed);
  }

  #countFailure(network: string): void {
    const count = this.#networks.get(network) ?? {
      windowStartMs: this.#clock.monotonicMs(),
      thisWindow: 0,
      lastWindow: 0,
    };
    this.#roll(count);
    count.thisWindow += 1;
    touch(this.#networks, network, count, this.#maxEntries);
  }

  #roll(count: NetworkCount): void {
    const windows = Math.floor((this.#clock.monotonicMs() - count.windowStartMs) / this.#windowMs);
    if (windows === 0) return;
    count.lastWindow = windows === 1 ? count.thisWindow : 0;
    count.thisWindow = 0;
    count.windowStartMs += windows * this.#windowMs;
  }
}

const pair = (network: string, login: string): string => `${network} ${login.toLowerCase()}`;

function touch<V>(map: Map<string, V>, key: string, value: V, maxEntries: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > maxEntries) map.delete(map.keys().next().value!);
}
