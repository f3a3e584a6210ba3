import type { Timing, WatchReport } from './watcher.js';

/** What the product promises, with default limits. */
export const promises = {
  p99Ms: 50,
  maxMs: 250,
  /** From another address than the attacker's: a TLS handshake and a question to the backend. */
  loginMs: 300,
  /** A supervisor that asks how the broker is waits no longer than this. */
  healthMs: 1_000,
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
  | 'health'
  | 'operator'
  | 'memory'
  | 'modest'
  | 'start'
  | 'start memory';

export interface Finding {
  readonly kind: Kind;
  readonly text: string;
}

/** What the quiet user had to bear. */
export function harmDone(watch: WatchReport): Finding[] {
  const { lost, reordered, closed } = watch;
  const findings = late(watch, 'own');
  if (lost > 0) findings.push({ kind: 'lost', text: `${lost} of the quiet user's messages did not come` });
  if (reordered > 0)
    findings.push({ kind: 'reordered', text: `${reordered} of the quiet user's messages were reordered` });
  if (closed > 0) findings.push({ kind: 'disconnected', text: `${closed} connections of the quiet user failed` });
  return findings;
}

/** Whether the machine was fit to judge: in a control run nobody attacks, and what comes late comes late by itself. */
export const isCalm = (control: WatchReport): boolean => harmDone(control).length === 0;

/** `own`: by the broker's own doing; `raw`: whoever it was. */
export function late(watch: WatchReport, which: 'own' | 'raw'): Finding[] {
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
  const health = figures(watch.health).max;
  if (health > promises.healthMs) findings.push({ kind: 'health', text: `/health took ${whole(health)} ms` });
  return findings;
}

export const whole = (figure: number): string => figure.toFixed(figure < 10 ? 1 : 0);
