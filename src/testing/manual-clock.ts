import type { Clock } from '../clock.js';

interface Timer {
  atMs: number;
  readonly callback: () => void;
  readonly periodMs: number | null;
}

/** Time that stands still until a test moves it on: keepalives, expiry and delays happen when the test says so. */
export class ManualClock implements Clock {
  private nowMs: number;
  private readonly timers = new Set<Timer>();

  constructor(startMs: number = Date.now()) {
    this.nowMs = startMs;
  }

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.add({ atMs: this.nowMs + delayMs, callback, periodMs: null });
  }

  every(periodMs: number, callback: () => void): () => void {
    return this.add({ atMs: this.nowMs + periodMs, callback, periodMs });
  }

  /** Moves time on by `byMs`, with everything that falls due on the way, in order. */
  advance(byMs: number): void {
    const endMs = this.nowMs + byMs;
    for (let due = this.first(endMs); due !== undefined; due = this.first(endMs)) {
      this.nowMs = due.atMs;
      if (due.periodMs === null) this.timers.delete(due);
      else due.atMs += due.periodMs;
      due.callback();
    }
    this.nowMs = endMs;
  }

  private first(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      if (timer.atMs <= untilMs && (first === undefined || timer.atMs < first.atMs)) first = timer;
    }
    return first;
  }

  private add(timer: Timer): () => void {
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }
}
