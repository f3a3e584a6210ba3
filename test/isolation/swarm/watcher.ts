import tls from 'node:tls';
import { healthLane } from './health-lane.js';
import type { Harm, Lane, Span } from './lane.js';
import { deliveryLane, loginLane, pubackLane } from './lanes.js';
import type { Target } from './link.js';
import { peakMegabytes, readingOf, Stalls } from './stalls.js';

// A process of its own: a quiet user's day, timed. From the first message to it until the word `stop`. Ends with its
// parent.

export interface WatchJob {
  readonly target: Target;
  readonly brokerPid: number;
  readonly login: string;
  readonly password: string;
  /** How long, at the end, what is still on its way may take. */
  readonly settleMs: number;
}

export interface Timing {
  readonly count: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The same with the time in which the machine gave nobody a processor. */
  readonly rawP99Ms: number;
  readonly rawMaxMs: number;
}

export interface WatchReport extends Harm {
  readonly delivery: Timing;
  readonly puback: Timing;
  readonly login: Timing;
  readonly health: Timing;
  readonly peakMb: number;
  /** Share of the time for which the broker waited for a processor. */
  readonly stalledShare: number;
}

async function watch(job: WatchJob, stopped: Promise<void>): Promise<WatchReport> {
  const { target, brokerPid, login, password, settleMs } = job;
  const resident = { target, context: tls.createSecureContext({ ca: target.ca }), login, password };
  const run = `w${process.pid}`;
  const messages = [deliveryLane(resident, run), pubackLane(resident, run)] as const;
  const lanes = [...messages, loginLane(resident, run), healthLane(target)] as const;
  const stalls = new Stalls(readingOf(brokerPid));
  let peakMb = 0;
  const look = () => {
    peakMb = Math.max(peakMb, peakMegabytes(brokerPid));
  };
  for (const lane of lanes) await lane.start();
  stalls.start();
  const looking = setInterval(look, 100);
  process.send?.('watching');
  await stopped;
  await Promise.all(lanes.map((lane) => lane.stop(settleMs)));
  clearInterval(looking);
  look();
  stalls.stop();
  const timings = lanes.map((lane) => timing(lane, stalls)) as [Timing, Timing, Timing, Timing];
  const [delivery, puback, logins, health] = timings;
  const sum = (name: keyof Harm) => lanes.reduce((total, { harm }) => total + harm[name], 0);
  return {
    ...{ delivery, puback, login: logins, health, peakMb, stalledShare: stalls.share },
    ...{ lost: sum('lost'), reordered: sum('reordered'), closed: sum('closed') },
  };
}

function timing({ spans, stores }: Lane, stalls: Stalls): Timing {
  const sorted = (msOf: (span: Span) => number) => spans.map(msOf).sort((a, b) => a - b);
  const least = sorted((span) => stalls.leastMs(span));
  // What stops the broker's main thread shows in the largest; what waits for the disk does not wait for that one alone.
  const own = stores ? least : sorted((span) => stalls.ownMs(span));
  const raw = sorted(({ fromMs, toMs }) => toMs - fromMs);
  // One is passed over where there are fewer than a hundred, too: that one is judged by the largest of all.
  const p99 = (all: readonly number[]) =>
    all[Math.max(0, Math.min(Math.ceil(all.length * 0.99) - 1, all.length - 2))] ?? 0;
  return {
    count: spans.length,
    p99Ms: p99(least),
    maxMs: own.at(-1) ?? 0,
    rawP99Ms: p99(raw),
    rawMaxMs: raw.at(-1) ?? 0,
  };
}

process.once('message', (job) => {
  const stopped = new Promise<void>((resolve) => process.once('message', () => resolve()));
  watch(job as WatchJob, stopped).then(
    (report) => process.send?.({ report }),
    (error) => process.send?.({ error: String(error) }),
  );
});
process.once('disconnect', () => process.exit());
