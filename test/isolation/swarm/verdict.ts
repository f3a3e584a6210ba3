import type { Tally } from './program.js';
import type { Trial } from './trial.js';
import type { Timing, WatchReport } from './watcher.js';

/** What the product promises, with default limits. */
export const promises = {
  p99Ms: 50,
  maxMs: 250,
  /** From another address than the attacker's. One login is a handshake and a question to a backend. */
  loginMs: 300,
  memoryMb: 400,
  startMs: 3_000,
} as const;

export type Kind =
  | 'died'
  | 'lost'
  | 'reordered'
  | 'disconnected'
  | 'delivery'
  | 'puback'
  | 'login'
  | 'memory'
  | 'modest'
  | 'start'
  | 'start memory';

export interface Finding {
  readonly kind: Kind;
  readonly text: string;
}

export interface Verdict {
  /** `unclear`: the machine was not fit to judge, as the control shows in which nobody attacked. */
  readonly outcome: 'held' | 'broken' | 'unclear';
  readonly findings: readonly Finding[];
  /** What the machine took, where the figures would not hold without counting it out; empty otherwise. */
  readonly remark: string;
}

export function verdict(trial: Trial): Verdict {
  const { control, watch, ending, restart, modest } = trial;
  const alone = harmDone(control);
  // A control that loses messages, or comes late for all that is counted out, says that nothing can be said.
  if (alone.length > 0) {
    const findings = alone.map(({ kind, text }) => ({ kind, text: `without any attack: ${text}` }));
    return { outcome: 'unclear', findings, remark: stalled(control) };
  }
  const findings: Finding[] = ending === null ? [] : [{ kind: 'died', text: `the broker ${ending}` }];
  findings.push(...harmDone(watch));
  if (watch.peakMb > promises.memoryMb) {
    findings.push({ kind: 'memory', text: `${whole(watch.peakMb)} MB of memory, ${promises.memoryMb} are allowed` });
  }
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
  const remark = findings.length === 0 && late(watch, 'raw').length > 0 ? stalled(watch) : '';
  return { outcome: findings.length > 0 ? 'broken' : 'held', findings, remark };
}

function harmDone(watch: WatchReport): Finding[] {
  const { lost, reordered, closed } = watch;
  const findings = late(watch, 'own');
  if (lost > 0) findings.push({ kind: 'lost', text: `${lost} of the quiet user's messages are lost` });
  if (reordered > 0)
    findings.push({ kind: 'reordered', text: `${reordered} of the quiet user's messages are reordered` });
  if (closed > 0) findings.push({ kind: 'disconnected', text: `${closed} connections of the quiet user failed` });
  return findings;
}

/** `own`: by the broker's own doing; `raw`: whoever it was. */
function late(watch: WatchReport, which: 'own' | 'raw'): Finding[] {
  const figures = ({ p99Ms, maxMs, rawP99Ms, rawMaxMs }: Timing) =>
    which === 'own' ? { p99: p99Ms, max: maxMs } : { p99: rawP99Ms, max: rawMaxMs };
  const findings: Finding[] = [];
  for (const kind of ['delivery', 'puback'] as const) {
    const { p99, max } = figures(watch[kind]);
    if (p99 > promises.p99Ms || max > promises.maxMs) {
      findings.push({ kind, text: `${kind} took ${whole(p99)} ms at p99 and ${whole(max)} ms at most` });
    }
  }
  const { max } = figures(watch.login);
  if (max > promises.loginMs) findings.push({ kind: 'login', text: `a login took ${whole(max)} ms` });
  return findings;
}

const stalled = ({ stalledShare, delivery }: WatchReport): string =>
  `the machine gave the broker or the watcher no processor for ${whole(stalledShare * 100)} % of the time ` +
  `(delivery with that: ${whole(delivery.rawP99Ms)} ms at p99, ${whole(delivery.rawMaxMs)} ms at most)`;

const whole = (figure: number): string => figure.toFixed(0);
