import { readdirSync, readFileSync } from 'node:fs';
import { runDelayMs } from '../../support/run-delay.js';
import type { Span } from './lane.js';

/** For how long, since their start, threads could have run and had no processor. */
interface Sample {
  readonly atMs: number;
  /** The broker's main thread. */
  readonly brokerMs: number;
  /** Its others, by id: they write to the disk, hash passwords and collect garbage. */
  readonly othersMs: ReadonlyMap<string, number>;
  readonly watcherMs: number;
}

const everyMs = 10;

/**
 * Tells what the machine took from what the broker did: the kernel says for how long a thread was ready to run and
 * had no processor. That time is nobody's fault here and is counted out: over the whole of a span the broker's main
 * thread's and that of the one it may have waited for, and the watcher's own just before it saw the end of it. (While
 * the broker works, the watcher waits in vain, but for nothing.)
 */
export class Stalls {
  readonly #brokerPid: number;
  readonly #samples: Sample[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(brokerPid: number) {
    this.#brokerPid = brokerPid;
  }

  start(): void {
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), everyMs);
  }

  stop(): void {
    this.#sample();
    clearInterval(this.#timer);
  }

  /** How long a span took by the broker's own doing. */
  ownMs({ fromMs, toMs }: Span): number {
    const start = this.#around(fromMs);
    const end = this.#around(toMs);
    if (start === null || end === null) return toMs - fromMs;
    const broker = end.after.brokerMs - start.before.brokerMs;
    const others = [...end.after.othersMs].map(([id, ms]) => ms - (start.before.othersMs.get(id) ?? ms));
    const watcher = end.after.watcherMs - end.before.watcherMs;
    return Math.max(0, toMs - fromMs - broker - Math.max(0, ...others) - watcher);
  }

  /** Share of the time for which the broker had to wait. */
  get share(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return (last.brokerMs - first.brokerMs) / (last.atMs - first.atMs);
  }

  #sample(): void {
    try {
      const pid = `${this.#brokerPid}`;
      const others = readdirSync(`/proc/${pid}/task`).filter((id) => id !== pid);
      this.#samples.push({
        atMs: performance.now(),
        brokerMs: runDelayMs(`${pid}/task/${pid}`),
        othersMs: new Map(others.map((id) => [id, runDelayMs(`${pid}/task/${id}`)])),
        watcherMs: runDelayMs(),
      });
    } catch {
      // The broker is gone; the others say so.
    }
  }

  /** The last sample before this time, and the first one after it. */
  #around(atMs: number): { before: Sample; after: Sample } | null {
    const next = this.#firstAfter(atMs);
    const before = this.#samples[Math.max(0, next - 1)];
    const after = this.#samples[Math.min(this.#samples.length - 1, next)];
    return before && after ? { before, after } : null;
  }

  #firstAfter(atMs: number): number {
    let [low, high] = [0, this.#samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#samples[middle]!.atMs > atMs) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The most memory that a process ever had in use, in megabytes; 0 when there is no such process. */
export function peakMegabytes(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
