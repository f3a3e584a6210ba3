import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { packageVersion } from '../config/package-folder.js';
import type { Family } from '../observe/exposition.js';
import { byWords, counter, gauge, plain } from '../observe/families.js';
import type { AdminContext } from './context.js';
import { healthOf } from './health.js';

/** How often the event loop is looked at. */
const RESOLUTION_MS = 20;
/** The worst of so many spans of this length is told. */
const SPAN_MS = 10_000;
const SPANS = 6;
const QUANTILES = ['0.5', '0.9', '0.99'];

/** How long the event loop keeps work waiting. */
export class EventLoopLag {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #spans: number[][] = [];
  readonly #stop: () => void;

  constructor({ clock }: Pick<AdminContext, 'clock'>) {
    this.#delay.enable();
    this.#stop = clock.every(SPAN_MS, () => {
      this.#spans.push(this.#now());
      if (this.#spans.length > SPANS) this.#spans.shift();
      this.#delay.reset();
    });
  }

  /** Seconds by quantile, of the worst ten seconds in the last minute. */
  get seconds(): readonly number[] {
    const spans = [...this.#spans, this.#now()];
    return QUANTILES.map((_, i) => Math.max(...spans.map((span) => span[i]!)));
  }

  close(): void {
    this.#stop();
    this.#delay.disable();
  }

  /** What is measured is the time between two looks. */
  #now(): number[] {
    // To look for it in an empty histogram takes as long as in a full one.
    if (this.#delay.count === 0) return QUANTILES.map(() => 0);
    return QUANTILES.map((quantile) => {
      const seconds = this.#delay.percentile(Number(quantile) * 100) / 1e9 - RESOLUTION_MS / 1e3;
      return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
    });
  }
}

export function processFamilies(context: AdminContext, lag: EventLoopLag | null): Family[] {
  const { user, system } = process.cpuUsage();
  const { status, store, credentials } = healthOf(context);
  const { configReloads, configLoadedAt } = context.parts.counters;
  return [
    gauge('build_info', 'Always 1; the labels say what runs.', [
      [{ version: packageVersion(), node: process.versions.node }, 1],
    ]),
    plain('gauge', 'process_start_time_seconds', 'When the process began, since 1970.', startSeconds),
    plain('counter', 'process_cpu_seconds_total', 'Processor time, of all threads.', (user + system) / 1e6),
    plain('gauge', 'process_resident_memory_bytes', 'Memory of the process.', process.memoryUsage.rss()),
    plain(
      'summary',
      'nodejs_eventloop_lag_seconds',
      'How long the event loop kept work waiting, in the worst ten seconds of the last minute.',
      (lag?.seconds ?? [0, 0, 0]).map((seconds, i) => [{ quantile: QUANTILES[i]! }, seconds] as const),
    ),
    gauge('up', 'Whether the part does its work.', [
      [{ part: 'store' }, store === 'ok' ? 1 : 0],
      [{ part: 'credentials' }, credentials === 'ok' ? 1 : 0],
      [{ part: 'listener' }, status === 'stopping' ? 0 : 1],
    ]),
    counter('config_reloads_total', 'Times that the configuration was read again.', byWords(['result'], configReloads)),
    gauge(
      'config_last_reload_success_timestamp_seconds',
      'When the configuration in use was read, since 1970.',
      configLoadedAt / 1e3,
    ),
  ];
}

const startSeconds = Math.round(Date.now() - process.uptime() * 1e3) / 1e3;
