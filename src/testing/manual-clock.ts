import type { Clock } from '../clock.js';

interface Timer {
  atMs: number;
  readonly callback: () => void;
  readonly periodMs: number | null;
}

/** Time that stands still until a test moves it on: keepalives, expiry and delays happen when the test says so. */
export class ManualClock implements Clock {
  #passedMs = 0;
  #epochAtStartMs: number;
  readonly #timers = new Set<Timer>();

  constructor(epochMs: number = Date.now()) {
    this.#epochAtStartMs = epochMs;
  }

  monotonicMs(): number {
    return this.#passedMs;
  }

  epochMs(): number {
    return this.#epochAtStartMs + this.#passedMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#add({ atMs: this.#passedMs + delayMs, callback, periodMs: null });
  }

  every(periodMs: number, callback: () => void): () => void {
    return this.#add({ atMs: this.#passedMs + periodMs, callback, periodMs });
  }

  /** Moves time on by `byMs`, with everything that falls due on the way, in order. */
  advance(byMs: number): void {
    const endMs = this.#passedMs + byMs;
    for (let due = this.#first(endMs); due !== undefined; due = this.#first(endMs)) {
      this.#passedMs = due.atMs;
      if (due.periodMs === null) this.#timers.delete(due);
      else due.atMs += due.periodMs;
      due.callback();
    }
    this.#passedMs = endMs;
  }

  /** Sets the wall clock on (or back, if negative), as an operator or a time server does: no time passes. */
  stepDate(byMs: number): void {
    this.#epochAtStartMs += byMs;
  }

  /** How many calls are still to come; one that repeats counts as one. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  #first(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (first === undefined || timer.atMs < first.atMs)) first = timer;
    }
    return first;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
}
