import type { Clock } from '../clock.js';
import type { RefusalReason } from './backend.js';

/** Long enough for a fleet that keeps trying the same wrong password, too short for somebody who just got it set. */
const ttlMs = 2_000;
const maxEntries = 10_000;

/** Passwords that were refused a moment ago, by the guard's key: the answer would be the same, so nobody is asked. */
export class RefusedCache {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly reason: RefusalReason; readonly atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): RefusalReason | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = this.#clock.monotonicMs() - entry.atMs;
    if (ageMs >= 0 && ageMs < ttlMs) return entry.reason;
    this.#entries.delete(key);
    return undefined;
  }

  put(key: string, reason: RefusalReason): void {
    this.#entries.delete(key);
    this.#entries.set(key, { reason, atMs: this.#clock.monotonicMs() });
    if (this.#entries.size > maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
  }

  clear(): void {
    this.#entries.clear();
  }
}
