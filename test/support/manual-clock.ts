import type { Clock } from '../../src/clock.js';

export interface ManualClock extends Clock {
  /** Moves time on by that many milliseconds, calling back on the way whatever falls due, in order. */
  advance(byMs: number): void;
}

/** Time that stands still until it is moved. */
export function manualClock(startMs = 1_700_000_000_000): ManualClock {
  let nowMs = startMs;
  const timers = new Set<{ atMs: number; callback: () => void; periodMs: number | null }>();

  function add(delayMs: number, callback: () => void, periodMs: number | null): () => void {
    const timer = { atMs: nowMs + delayMs, callback, periodMs };
    timers.add(timer);
    return () => timers.delete(timer);
  }

  return {
    now: () => nowMs,
    after: (delayMs, callback) => add(delayMs, callback, null),
    every: (periodMs, callback) => add(periodMs, callback, periodMs),
    advance(byMs) {
      const endMs = nowMs + byMs;
      for (;;) {
        const due = [...timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        nowMs = due.atMs;
        if (due.periodMs === null) timers.delete(due);
        else due.atMs += due.periodMs;
        due.callback();
      }
      nowMs = endMs;
    },
  };
}
