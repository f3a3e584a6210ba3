import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../support/deadline.js';
import type { AttackReport } from './attacker.js';
import { attackerLogin, attackerPassword, type Broker, modestLogin, passwordOf, quietLogin } from './ground.js';
import { isCalm } from './harm.js';
import type { Group, Program, Tally } from './program.js';
import type { WatchReport } from './watcher.js';
import { startAttacker, startWatcher } from './worker.js';

export interface TrialOptions {
  /** The same, done modestly: it has to work. */
  readonly modest?: Program | null;
  /** How long the quiet user is watched alone, first. */
  readonly controlSeconds: number;
  /** How long, after an attack, her messages may take to arrive before they count as lost. */
  readonly settleMs?: number;
  /** Number of the attacker, where several trials share a broker. */
  readonly as?: number;
}

/** What happened; what is to be thought of it is the verdict's business. */
export interface Trial {
  readonly program: Program;
  readonly control: WatchReport;
  readonly watch: WatchReport;
  readonly attack: AttackReport;
  readonly modest: { readonly expects: Partial<Tally>; readonly tally: Tally } | null;
  /** How the broker ended during the attack; null if it did not. */
  readonly ending: string | null;
  readonly restart: { readonly startMs: number; readonly peakMb: number } | null;
}

const controlAttempts = 3;
/** Beyond the time that a program gives itself: setting up, and coming to an end. */
const attackTimeoutMs = 150_000;
/** How long the end of the attacker's connections is watched, too. */
const aftermathMs = 700;
const watchingTimeoutMs = 30_000;

/** One program against one broker. */
export async function trial(broker: Broker, program: Program, options: TrialOptions): Promise<Trial> {
  const { modest = null, controlSeconds, settleMs = 30_000, as } = options;
  const control = await controlled(broker, settleMs, controlSeconds);
  const before = modest === null ? null : await run(broker, modest, modest.groups, modestLogin, 0);
  const attacked = await watched(broker, settleMs, () =>
    run(broker, program, program.groups, `${attackerLogin}${as ?? ''}`, aftermathMs),
  );
  const ending = await broker.ending();
  let restart = null;
  let after = null;
  if (program.afterRestart !== undefined && ending === null) {
    await broker.stop();
    await broker.start();
    if (modest?.afterRestart) after = await run(broker, modest, modest.afterRestart, modestLogin, 0);
    restart = { startMs: broker.startMs, peakMb: broker.peakMb };
  }
  return {
    program,
    control,
    watch: attacked.report,
    attack: attacked.result,
    modest: before && { expects: modest?.expects ?? {}, tally: after ? sum(before.tally, after.tally) : before.tally },
    ending,
    restart,
  };
}

/** The quiet user alone; once more where the machine had something else to do. */
async function controlled(broker: Broker, settleMs: number, seconds: number): Promise<WatchReport> {
  for (let attempt = 1; ; attempt += 1) {
    const { report } = await watched(broker, settleMs, () => sleep(seconds * 1_000));
    if (isCalm(report) || attempt === controlAttempts) return report;
  }
}

/** What `act` does, and how the quiet user fares meanwhile. */
async function watched<T>(
  broker: Broker,
  settleMs: number,
  act: () => Promise<T>,
): Promise<{ report: WatchReport; result: T }> {
  await using watcher = startWatcher({
    target: broker.target,
    brokerPid: broker.pid,
    login: quietLogin,
    password: passwordOf(quietLogin),
    settleMs,
  });
  await watcher.said('watching', watchingTimeoutMs);
  const result = await act();
  watcher.tell('stop');
  const report = await within(4 * settleMs + 60_000, 'the report of the watcher', watcher.report);
  return { report, result };
}

async function run(broker: Broker, { seconds }: Program, groups: readonly Group[], user: string, aftermathMs: number) {
  const { target } = broker;
  const report = await (async () => {
    await using attacker = startAttacker({ target, groups, seconds, user, password: attackerPassword });
    return await within(seconds * 1_000 + attackTimeoutMs, 'the report of the attacker', attacker.report);
  })();
  await sleep(aftermathMs);
  return report;
}

const sum = (a: Tally, b: Tally): Tally =>
  Object.fromEntries(
    Object.entries(a).map(([name, count]) => [name, count + b[name as keyof Tally]]),
  ) as unknown as Tally;
