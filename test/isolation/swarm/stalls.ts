import { readdirSync, readFileSync } from 'node:fs';
import { runDelayMs, runTimes } from '../../support/run-delay.js';
import type { Span } from './lane.js';

/** Of the threads that matter, since their start, in milliseconds. */
export interface Reading {
  readonly atMs: number;
  /** The broker's main thread had a processor; and could have run and had none. */
  readonly brokerRanMs: number;
  readonly brokerDelayMs: number;
  /** The broker's others had none, by id: they write to the disk, hash passwords and collect garbage. */
  readonly othersDelayMs: ReadonlyMap<string, number>;
  /** Nor had the watcher's. */
  readonly watcherDelayMs: number;
}

/** What a span had of each. */
interface Waits {
  readonly idleMs: number;
  readonly delayMs: number;
  readonly othersMs: number;
}

const everyMs = 10;

/**
 * Tells what the machine took from what the broker did: the kernel says for how long a thread was ready to run and
 * had no processor. That time is nobody's fault here and is counted out: over the whole of a span the broker's main
 * thread's and that of the one it may have waited for, and the watcher's own just before it saw the end of it. (While
 * the broker works, the watcher waits in vain, but for nothing.)
 */
export class Stalls {
  readonly #read: () => Reading;
  readonly #readings: Reading[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(read: () => Reading) {
    this.#read = read;
  }

  start(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), everyMs);
  }

  stop(): void {
    this.look();
    clearInterval(this.#timer);
  }

  look(): void {
    try {
      this.#readings.push(this.#read());
    } catch {
      // The broker is gone; the others say so.
    }
  }

  /** How long a span took by the broker's own doing. While its main thread computes that waits for nobody else. */
  ownMs(span: Span): number {
    return this.#without(span, ({ idleMs, delayMs, othersMs }) => Math.min(idleMs, delayMs + othersMs));
  }

  /** The same in doubt for the broker: whatever its other threads waited for, the span may have waited for, too. */
  leastMs(span: Span): number {
    return this.#without(span, ({ delayMs, othersMs }) => delayMs + othersMs);
  }

  #without({ fromMs, toMs }: Span, takenMs: (waits: Waits) => number): number {
    const start = this.#around(fromMs);
    const end = this.#around(toMs);
    if (start === null || end === null) return toMs - fromMs;
    const [before, after] = [start.before, end.after];
    // Of all the time between the readings: when a thread has waited is told only once it runs again.
    const idleMs = after.atMs - before.atMs - (after.brokerRanMs - before.brokerRanMs);
    const delayMs = after.brokerDelayMs - before.brokerDelayMs;
    const others = [...after.othersDelayMs].map(([id, ms]) => ms - (before.othersDelayMs.get(id) ?? ms));
    const seenMs = end.after.watcherDelayMs - end.before.watcherDelayMs;
    return Math.max(0, toMs - fromMs - takenMs({ idleMs, delayMs, othersMs: Math.max(0, ...others) }) - seenMs);
  }

  /** Share of the time for which the broker had to wait. */
  get share(): number {
    const [first, last] = [this.#readings[0], this.#readings.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return (last.brokerDelayMs - first.brokerDelayMs) / (last.atMs - first.atMs);
  }

  /** The last reading before this time, and the first one after it. */
  #around(atMs: number): { before: Reading; after: Reading } | null {
    const next = this.#firstAfter(atMs);
    const before = this.#readings[Math.max(0, next - 1)];
    const after = this.#readings[Math.min(this.#readings.length - 1, next)];
    return before && after ? { before, after } : null;
  }

  #firstAfter(atMs: number): number {
    let [low, high] = [0, this.#readings.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#readings[middle]!.atMs > atMs) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Reads them of the process that is the broker. */
export const readingOf = (brokerPid: number) => (): Reading => {
  const threads = `${brokerPid}/task`;
  const others = readdirSync(`/proc/${threads}`).filter((id) => id !== `${brokerPid}`);
  const atMs = performance.now();
  const broker = runTimes(`${threads}/${brokerPid}`);
  return {
    ...{ atMs, brokerRanMs: broker.ranMs, brokerDelayMs: broker.delayMs },
    othersDelayMs: new Map(others.map((id) => [id, runDelayMs(`${threads}/${id}`)])),
    watcherDelayMs: runDelayMs(),
  };
};

/** The most memory that a process ever had in use, in megabytes; 0 when there is no such process. */
export function peakMegabytes(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
