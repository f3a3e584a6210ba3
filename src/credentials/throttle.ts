import type { Clock } from '../clock.js';

interface Guesses {
  /** Refused passwords of the window, by the guard's key of login and password, and when. */
  readonly wrong: Map<string, number>;
  /** Passwords being asked about now, and by how many connections. */
  readonly pending: Map<string, number>;
}

interface AddressCount {
  windowStartMs: number;
  thisWindow: number;
  lastWindow: number;
}

/** `trickle`: may be asked, but only one of such an address at a time. */
export type Admission = 'admitted' | 'trickle' | 'throttled';

/** How many times `maxFailures` an address may fail over all its logins before it is suspected of guessing. */
const suspicionFactor = 20;
const provenForMs = 86_400_000;

/**
 * Slows down guessing, without a way to lock somebody else out. Three rules:
 *
 * 1. Guesses are counted, not attempts: a fleet that repeats one wrong password has guessed once, so it can't block the
 *    right password of the same user from the same address.
 * 2. `maxFailures` wrong guesses at one login from one address within `windowMs`, and that login is refused unasked
 *    from that address only. The same login from elsewhere, and other logins from there, go on.
 * 3. An address that fails on very many logins (`maxFailures` × 20 guesses) is suspected. It may well be an SSH frontend
 *    that hundreds of users share, so nobody is shut out: logins that were accepted from it within a day notice nothing;
 *    each other login still has a quarter of the guesses, asked one at a time.
 *
 * The guard lets passwords that were right lately pass without asking here. Every map is bounded; what was used least
 * recently is forgotten first.
 */
export class LoginThrottle {
  readonly #maxFailures: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #guesses = new Map<string, Guesses>();
  readonly #addresses = new Map<string, AddressCount>();
  readonly #proven = new Map<string, number>();

  constructor(config: { maxFailures: number; windowMs: number }, clock: Clock, maxEntries = 20_000) {
    this.#maxFailures = config.maxFailures;
    this.#windowMs = Math.max(1, config.windowMs);
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  /** How much is remembered now, in all maps. */
  get entries(): number {
    return this.#guesses.size + this.#addresses.size + this.#proven.size;
  }

  /** May this guess be made? Unless throttled, `settled` has to follow. */
  admit(address: string, login: string, key: string): Admission {
    const suspected = this.#failuresOf(address) >= this.#maxFailures * suspicionFactor;
    const cautious = suspected && !this.#isProven(address, login);
    const allowance = cautious ? Math.max(1, Math.floor(this.#maxFailures / 4)) : this.#maxFailures;
    const guesses = this.#guessesOf(address, login);
    const mine = guesses.pending.get(key);
    // Guesses that are being asked about count too, or a thousand made at once would all be admitted.
    if (mine === undefined && guesses.wrong.size + guesses.pending.size >= allowance) return 'throttled';
    guesses.pending.set(key, (mine ?? 0) + 1);
    return cautious ? 'trickle' : 'admitted';
  }

  /** What came of an admitted guess; `unknown` when nobody answered. */
  settled(address: string, login: string, key: string, outcome: 'right' | 'wrong' | 'unknown'): void {
    const guesses = this.#guessesOf(address, login);
    const pending = guesses.pending.get(key) ?? 0;
    if (pending > 1) guesses.pending.set(key, pending - 1);
    else guesses.pending.delete(key);
    if (outcome === 'right') this.proven(address, login);
    if (outcome === 'wrong') {
      if (!guesses.wrong.has(key)) this.#countFailure(address);
      guesses.wrong.set(key, this.#clock.monotonicMs());
    } else if (guesses.wrong.size === 0 && guesses.pending.size === 0) {
      this.#guesses.delete(pair(address, login));
    }
  }

  /** The login was accepted from there. Earlier wrong guesses stay counted: they may be somebody else's. */
  proven(address: string, login: string): void {
    touch(this.#proven, pair(address, login), this.#clock.monotonicMs(), this.#maxEntries);
  }

  #isProven(address: string, login: string): boolean {
    const atMs = this.#proven.get(pair(address, login));
    return atMs !== undefined && this.#clock.monotonicMs() - atMs < provenForMs;
  }

  #guessesOf(address: string, login: string): Guesses {
    const name = pair(address, login);
    const guesses = this.#guesses.get(name) ?? { wrong: new Map(), pending: new Map() };
    const now = this.#clock.monotonicMs();
    // Times to come are those of a clock that was set back since.
    for (const [key, atMs] of guesses.wrong) {
      if (atMs <= now - this.#windowMs || atMs > now) guesses.wrong.delete(key);
    }
    touch(this.#guesses, name, guesses, this.#maxEntries);
    return guesses;
  }

  /** Over a sliding window, from the counts of two fixed ones. */
  #failuresOf(address: string): number {
    const count = this.#addresses.get(address);
    if (count === undefined) return 0;
    this.#roll(count);
    const passed = (this.#clock.monotonicMs() - count.windowStartMs) / this.#windowMs;
    return count.thisWindow + count.lastWindow * (1 - passed);
  }

  #countFailure(address: string): void {
    const count = this.#addresses.get(address) ?? {
      windowStartMs: this.#clock.monotonicMs(),
      thisWindow: 0,
      lastWindow: 0,
    };
    this.#roll(count);
    count.thisWindow += 1;
    touch(this.#addresses, address, count, this.#maxEntries);
  }

  #roll(count: AddressCount): void {
    const windows = Math.floor((this.#clock.monotonicMs() - count.windowStartMs) / this.#windowMs);
    if (windows === 0) return;
    count.lastWindow = windows === 1 ? count.thisWindow : 0;
    count.thisWindow = 0;
    count.windowStartMs += windows * this.#windowMs;
  }
}

const pair = (address: string, login: string): string => `${address} ${login.toLowerCase()}`;

function touch<V>(map: Map<string, V>, key: string, value: V, maxEntries: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > maxEntries) map.delete(map.keys().next().value!);
}
