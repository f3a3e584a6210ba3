import { type Finding, harmDone, late, promises, whole } from './harm.js';
import type { Tally } from './program.js';
import type { Trial } from './trial.js';
import type { WatchReport } from './watcher.js';

export interface Verdict {
  /** `unclear`: the machine was not fit to judge, as the control shows in which nobody attacked. */
  readonly outcome: 'held' | 'broken' | 'unclear';
  readonly findings: readonly Finding[];
  /** What the machine took, where the figures would not hold without counting it out; empty otherwise. */
  readonly remark: string;
}

export function verdict(trial: Trial): Verdict {
  const { control, watch, ending, restart, modest, operator } = trial;
  const findings: Finding[] = ending === null ? [] : [{ kind: 'died', text: `the broker ${ending}` }];
  findings.push(...harmDone(watch));
  if (watch.peakMb > promises.memoryMb) {
    findings.push({ kind: 'memory', text: `${whole(watch.peakMb)} MB of memory; ${promises.memoryMb} are allowed` });
  }
  for (const text of operator?.failed.slice(0, 3) ?? []) findings.push({ kind: 'operator', text });
  for (const [name, expected] of Object.entries(modest?.expects ?? {})) {
    const found = modest?.tally[name as keyof Tally];
    if (found === expected) continue;
    findings.push({
      kind: 'modest',
      text: `done modestly, it had to come to ${expected} ${name} and came to ${found}`,
    });
  }
  if (restart !== null && restart.startMs > promises.startMs) {
    findings.push({ kind: 'start', text: `the start took ${whole(restart.startMs)} ms` });
  }
  if (restart !== null && restart.peakMb > promises.memoryMb) {
    findings.push({ kind: 'start memory', text: `the start took ${whole(restart.peakMb)} MB of memory` });
  }
  const alone = harmDone(control);
  const certain = findings.filter(({ kind }) => !needsCalm.has(kind));
  if (alone.length > 0 && certain.length < findings.length) {
    const unfit = alone.map(({ kind, text }) => ({ kind, text: `without any attack: ${text}` }));
    const outcome = certain.length > 0 ? 'broken' : 'unclear';
    return { outcome, findings: [...certain, ...unfit], remark: stalled(control) };
  }
  const remark = findings.length === 0 && late(watch, 'raw').length > 0 ? stalled(watch) : '';
  return { outcome: findings.length > 0 ? 'broken' : 'held', findings, remark };
}

/** What a machine that is too busy can bring about by itself. */
const needsCalm: ReadonlySet<Finding['kind']> = new Set([
  'delivery',
  'puback',
  'login',
  'health',
  'lost',
  'disconnected',
  'start',
]);

const stalled = ({ stalledShare, delivery }: WatchReport): string =>
  `the machine gave the broker no processor for ${whole(stalledShare * 100)} % of the time ` +
  `(delivery with that: ${whole(delivery.rawP99Ms)} ms at p99, ${whole(delivery.rawMaxMs)} ms at most)`;
