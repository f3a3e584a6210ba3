import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../support/deadline.js';
import type { AttackReport } from './attacker.js';
import { attackerLogin, attackerPassword, type Broker, modestLogin, passwordOf, quietLogin } from './ground.js';
import { isCalm } from './harm.js';
import { Operator, type OperatorReport } from './operator.js';
import type { Group, Program, Tally } from './program.js';
import type { WatchReport } from './watcher.js';

/** What happened; what is to be thought of it is the verdict's business. */
export interface Trial {
  readonly program: Program;
  readonly control: WatchReport;
  readonly watch: WatchReport;
  readonly attack: AttackReport;
  readonly operator: OperatorReport | null;
  readonly modest: { readonly expects: Partial<Tally>; readonly tally: Tally } | null;
  /** How the broker ended during the attack; null if it did not. */
  readonly ending: string | null;
  readonly restart: { readonly startMs: number; readonly peakMb: number } | null;
}

/** The quiet user without any attack, beside somebody who does the same modestly. */
export interface Control {
  readonly watch: WatchReport;
  readonly modest: Program | null;
  readonly tally: Tally | null;
}

export interface TrialOptions {
  /** Number of the attacker, where several trials share a broker. */
  readonly as?: number;
  /** How long setting up may take. */
  readonly setUpSeconds?: number;
  /** How long the end of the attacker's connections is watched, too. */
  readonly aftermathMs?: number;
}

const controlAttempts = 3;
/** How long, after an attack, the quiet user's messages may take to arrive before they count as lost. */
const settleMs = 30_000;
const watchingTimeoutMs = 30_000;
/** Beyond the time that a program gives itself. */
const reportTimeoutMs = 60_000;
const defaultSetUpSeconds = 60;
/** Once a second the broker looks at those who left while something was decided about them. */
const decidedAftermathMs = 2_200;

/** Once more where the machine had something else to do. */
export async function control(broker: Broker, seconds: number, modest: Program | null = null): Promise<Control> {
  let tally: Tally | null = null;
  for (let attempt = 1; ; attempt += 1) {
    const { report } = await watched(broker, async () => {
      if (modest !== null && tally === null) tally = (await attack(broker, modest, modest.groups, modestLogin)).tally;
      await sleep(seconds * 1_000);
    });
    if (isCalm(report) || attempt === controlAttempts) return { watch: report, modest, tally };
  }
}

/** One program against one broker. */
export async function trial(
  broker: Broker,
  program: Program,
  before: Control,
  options: TrialOptions = {},
): Promise<Trial> {
  const { as, setUpSeconds = defaultSetUpSeconds, aftermathMs = 700 } = options;
  const attacked = await watched(broker, async () => {
    const user = `${attackerLogin}${as ?? ''}`;
    const operator = program.operator === undefined ? null : new Operator(broker, user, program.operator);
    const report = await attack(broker, program, program.groups, user, setUpSeconds);
    await operator?.rest();
    await sleep(operator === null ? aftermathMs : Math.max(aftermathMs, decidedAftermathMs));
    return { report, acts: operator === null ? null : await operator.takeBack() };
  });
  const ending = await broker.ending();
  let { tally } = before;
  let restart = null;
  if (program.afterRestart !== undefined && ending === null) {
    await broker.stop();
    await broker.start();
    const { modest } = before;
    if (modest?.afterRestart && tally) {
      tally = sum(tally, (await attack(broker, modest, modest.afterRestart, modestLogin)).tally);
    }
    restart = { startMs: broker.startMs, peakMb: broker.peakMb };
  }
  return {
    program,
    control: before.watch,
    watch: attacked.report,
    attack: attacked.result.report,
    operator: attacked.result.acts,
    modest: tally && { expects: before.modest?.expects ?? {}, tally },
    ending,
    restart,
  };
}

/** What `act` does, and how the quiet user fares meanwhile. */
async function watched<T>(broker: Broker, act: () => Promise<T>): Promise<{ report: WatchReport; result: T }> {
  await using watcher = broker.crew.watch({
    target: broker.target,
    brokerPid: broker.pid,
    login: quietLogin,
    password: passwordOf(quietLogin),
    settleMs,
  });
  await watcher.said('watching', watchingTimeoutMs);
  const result = await act();
  watcher.tell('stop');
  const report = await within(4 * settleMs, 'the report of the watcher', watcher.report);
  return { report, result };
}

/** Resolves when the attacker's process has ended, and its connections with it. */
async function attack(
  { target, crew }: Broker,
  { seconds }: Program,
  groups: readonly Group[],
  user: string,
  setUpSeconds = defaultSetUpSeconds,
): Promise<AttackReport> {
  await using attacker = crew.attack({ target, groups, seconds, setUpSeconds, user, password: attackerPassword });
  const timeoutMs = (setUpSeconds + seconds) * 1_000 + reportTimeoutMs;
  return await within(timeoutMs, 'the report of the attacker', attacker.report);
}

const sum = (a: Tally, b: Tally): Tally =>
  Object.fromEntries(
    Object.entries(a).map(([name, count]) => [name, count + b[name as keyof Tally]]),
  ) as unknown as Tally;
