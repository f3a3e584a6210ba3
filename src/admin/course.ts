import type { BrokerParts } from '../broker-parts.js';
import type { Clock } from '../clock.js';
import type { AdminContext, CourseSample } from './context.js';
import { dateOf } from './dates.js';
import { json, type Route } from './route.js';

const PERIOD_MS = 10_000;
/** A quarter of an hour. */
const SAMPLES = 90;
const BYTES_PER_SAMPLE = 120;

type Totals = Pick<CourseSample, 'received' | 'sent' | 'dropped' | 'denied'>;

/** How the last quarter of an hour went: a look at the totals every ten seconds. */
export class Course {
  readonly #parts: BrokerParts;
  readonly #clock: Clock;
  readonly #samples: CourseSample[] = [];
  readonly #stop: () => void;
  #before: Totals;
  #beforeMs: number;

  constructor(parts: BrokerParts, clock: Clock) {
    this.#parts = parts;
    this.#clock = clock;
    this.#before = totalsOf(parts);
    this.#beforeMs = clock.monotonicMs();
    parts.operators.balances.history.add(SAMPLES * BYTES_PER_SAMPLE);
    this.#stop = clock.every(PERIOD_MS, () => this.#look());
  }

  /** Oldest first; per second, but for the connections. */
  get samples(): readonly CourseSample[] {
    return this.#samples;
  }

  close(): void {
    this.#stop();
    this.#parts.operators.balances.history.add(-SAMPLES * BYTES_PER_SAMPLE);
  }

  #look(): void {
    const now = totalsOf(this.#parts);
    const nowMs = this.#clock.monotonicMs();
    const before = this.#before;
    const seconds = Math.max(0.001, (nowMs - this.#beforeMs) / 1_000);
    const perSecond = (name: keyof Totals) => Math.round(((now[name] - before[name]) / seconds) * 10) / 10;
    this.#samples.push({
      ...{ at: this.#clock.epochMs(), connections: this.#parts.connections.size },
      ...{ received: perSecond('received'), sent: perSecond('sent') },
      ...{ dropped: perSecond('dropped'), denied: perSecond('denied') },
    });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#before = now;
    this.#beforeMs = nowMs;
  }
}

function totalsOf({ counters }: BrokerParts): Totals {
  const { publishesReceived, publishesSent, messagesDropped, publishesDenied, subscriptionsDenied } = counters;
  const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);
  let dropped = 0;
  for (const [, count] of messagesDropped) dropped += count;
  return {
    ...{ received: sum(publishesReceived), sent: sum(publishesSent), dropped },
    denied: publishesDenied + subscriptionsDenied,
  };
}

export function courseRoutes({ course }: AdminContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/course',
      answer: () =>
        json({
          periodSeconds: PERIOD_MS / 1_000,
          samples: course.samples.map(({ at, ...rest }) => ({ time: dateOf(at), ...rest })),
        }),
    },
  ];
}
