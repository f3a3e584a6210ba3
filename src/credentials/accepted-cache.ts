import type { Clock } from '../clock.js';

/** What the backend said of one login and password. */
export interface Accepted {
  readonly login: string;
  readonly proof: unknown;
  readonly groups: readonly string[];
  /** When the backend said it. */
  readonly atMs: number;
}

interface CacheConfig {
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly maxEntries: number;
}

/**
 * Accepted logins, by a key that the guard makes of login and password (an HMAC; never the password). An entry is
 * believed for `ttlMs`; after that, and up to `staleMs`, it only says that this password was right lately. The least
 * recently used one goes when there are more than `maxEntries`.
 */
export class AcceptedCache {
  #config: CacheConfig;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Accepted>();
  readonly #keysOf = new Map<string, Set<string>>();

  constructor(config: CacheConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  configure(config: CacheConfig): void {
    this.#config = config;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** An entry within `ttlMs`. */
  fresh(key: string): Accepted | undefined {
    const entry = this.#use(key);
    return entry !== undefined && this.#clock.monotonicMs() - entry.atMs < this.#config.ttlMs ? entry : undefined;
  }

  /** An entry within `staleMs`: for an outage only, and as a sign of good standing. */
  stale(key: string): Accepted | undefined {
    const entry = this.#use(key);
    return entry !== undefined && this.#clock.monotonicMs() - entry.atMs < this.#config.staleMs ? entry : undefined;
  }

  put(key: string, entry: Accepted): void {
    if (this.#config.ttlMs === 0 || this.#config.maxEntries < 1) return;
    this.drop(key);
    while (this.#entries.size >= this.#config.maxEntries) this.drop(this.#entries.keys().next().value!);
    this.#entries.set(key, entry);
    const keys = this.#keysOf.get(entry.login);
    if (keys === undefined) this.#keysOf.set(entry.login, new Set([key]));
    else keys.add(key);
  }

  drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    const keys = this.#keysOf.get(entry.login);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(entry.login);
  }

  dropLogin(login: string): void {
    for (const key of [...(this.#keysOf.get(login) ?? [])]) this.drop(key);
  }

  /** What the backend says of the login's groups by now. */
  regroup(login: string, groups: readonly string[]): void {
    for (const key of this.#keysOf.get(login) ?? []) this.#entries.set(key, { ...this.#entries.get(key)!, groups });
  }

  clear(): void {
    this.#entries.clear();
    this.#keysOf.clear();
  }

  #use(key: string): Accepted | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = this.#clock.monotonicMs() - entry.atMs;
    if (ageMs >= Math.max(this.#config.ttlMs, this.#config.staleMs)) {
      this.drop(key);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }
}
