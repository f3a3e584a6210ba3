import { shardOf } from '../../src/shard.js';
import { eventually } from './deadline.js';
import type { LoadedUser } from './failover-load.js';
import type { Machines } from './machines.js';
import type { Postgres } from './postgres.js';

export interface Scene {
  readonly machines: Machines;
  /** The primary first; a standby of it, if there is one, behind. Changed when they change their parts. */
  readonly databases: Postgres[];
  readonly users: readonly LoadedUser[];
}

/** So long Patroni takes to see that a standby is gone. */
const STANDBY_MISSED_MS = 1_500;

/** What befalls the broker of a shard, or all of them. */
export interface Fault {
  readonly name: string;
  /** Whose users may notice; null: everybody's. */
  readonly shard: number | null;
  /** The longest that they may be out of service, or wait for an acknowledgement. */
  readonly limitMs: number;
  /** Nobody may lose the connection. */
  readonly connected: boolean;
  /** Before it counts. */
  prepare?(scene: Scene): Promise<void>;
  run(scene: Scene): Promise<void>;
}

/** Longer than the database waits for a sign of life. */
const FROZEN_MS = 4_500;
/** Shorter than that, and than what HAProxy waits; longer than one who is only busy ever needs. */
const STALLED_MS = 1_500;

export const faults = {
  killed: (shard: number): Fault => ({
    ...{ name: 'broker killed (SIGKILL)', shard, limitMs: 1_000, connected: false },
    async run({ machines }) {
      const { pid } = await machines.active(shard);
      process.kill(pid, 'SIGKILL');
      await machines.takenOver(shard, pid);
    },
  }),
  ended: (shard: number): Fault => ({
    ...{ name: 'broker ended (SIGTERM)', shard, limitMs: 500, connected: false },
    async run({ machines }) {
      const { pid } = await machines.active(shard);
      process.kill(pid, 'SIGTERM');
      await machines.takenOver(shard, pid);
    },
  }),
  frozen: (shard: number): Fault => ({
    ...{ name: 'broker frozen, and woken', shard, limitMs: 4_000, connected: false },
    async run({ machines }) {
      const { pid, machine } = await machines.active(shard);
      const from = machine.lines.length;
      process.kill(pid, 'SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, FROZEN_MS));
      process.kill(pid, 'SIGCONT');
      await machine.line(({ msg }) => /another broker has served this shard/.test(String(msg)), 10_000, from);
    },
  }),
  /** It comes back before the database has taken its locks away: its users wait, and that is all. */
  stalled: (shard: number): Fault => ({
    ...{ name: 'broker stalled for 1.5 s', shard, limitMs: 2_000, connected: true },
    async run({ machines }) {
      const { pid } = await machines.active(shard);
      process.kill(pid, 'SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, STALLED_MS));
      process.kill(pid, 'SIGCONT');
    },
  }),
  databaseRestarted: (): Fault => ({
    ...{ name: 'database restarted', shard: null, limitMs: 5_000, connected: true },
    async run({ databases: [primary] }) {
      await primary!.kill('SIGINT');
      await primary!.start();
    },
  }),
  databaseKilled: (): Fault => ({
    ...{ name: 'database killed (SIGQUIT)', shard: null, limitMs: 5_000, connected: true },
    async run({ databases: [primary] }) {
      await primary!.kill('SIGQUIT');
      await primary!.start();
    },
  }),
  /** As Patroni would, once its `ttl` is over; here at once. */
  primaryLost: (): Fault => ({
    ...{ name: 'primary lost, standby promoted', shard: null, limitMs: 5_000, connected: true },
    async run({ databases }) {
      const [lost, next] = databases as [Postgres, Postgres];
      await lost.kill('SIGQUIT');
      await next.promote();
      databases.reverse();
      await lost.rejoin(next);
    },
  }),
  standbyLost: (): Fault => ({
    ...{ name: 'synchronous standby lost', shard: null, limitMs: 5_000, connected: true },
    async run({ databases }) {
      const [primary, lost] = databases as [Postgres, Postgres];
      await lost.kill('SIGQUIT');
      await new Promise((resolve) => setTimeout(resolve, STANDBY_MISSED_MS));
      await primary.setSynchronous(false);
      await lost.rejoin(primary);
    },
  }),
  /** All of the second machine at once, which serves every shard; clients come by way of the first one. */
  machineLost: (): Fault => ({
    ...{ name: 'machine lost (its brokers and HAProxy)', shard: null, limitMs: 1_000, connected: false },
    async prepare({ machines }) {
      await machines.moveToSecond();
    },
    async run({ machines }) {
      await machines.loseSecond();
    },
  }),
};

/** Each of them, in the order in which they come. */
export function allFaults(shards: number): Fault[] {
  const last = shards - 1;
  return [
    ...[faults.killed(0), faults.frozen(last), faults.ended(last), faults.primaryLost(), faults.databaseKilled()],
    ...[faults.machineLost(), faults.killed(last), faults.databaseRestarted(), faults.standbyLost(), faults.frozen(0)],
    ...[faults.ended(0), faults.stalled(0)],
  ];
}

/** What a round has shown, in milliseconds. */
export interface Outcome {
  readonly fault: Fault;
  /** Users who lost the connection. */
  readonly hit: number;
  /** How long those could not connect. */
  readonly outagesMs: readonly number[];
  /** The longest wait for an acknowledgement, of those who may notice. */
  readonly ackGapMs: number;
  /** Of the others. */
  readonly othersHit: number;
  readonly othersAckGapMs: number;
}

/** Both machines are there, and so are all users, who are served. */
async function settled({ machines, users }: Scene): Promise<void> {
  await machines.whole();
  const before = users.map(({ acknowledged }) => acknowledged[1].size);
  await eventually(20_000, 'acknowledgements', () =>
    users.every(({ acknowledged, connected }, index) => connected && acknowledged[1].size > before[index]! + 5),
  );
}

/** Lets it happen under load, and waits until everything is as before. */
export async function runRound(fault: Fault, scene: Scene, settleMs = 500): Promise<Outcome> {
  const { machines, users } = scene;
  if (fault.prepare !== undefined) {
    await fault.prepare(scene);
    await settled(scene);
  }
  const concerned = (user: LoadedUser) => fault.shard === null || shardOf(user.login, machines.shards) === fault.shard;
  for (const user of users) user.newRound();
  await fault.run(scene);
  await settled(scene);
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  await Promise.all(users.map((user) => user.fetch()));
  const [theirs, others] = [users.filter(concerned), users.filter((user) => !concerned(user))];
  const longest = (list: readonly LoadedUser[]) => Math.round(Math.max(0, ...list.map((it) => it.longestAckGapMs)));
  const hit = (list: readonly LoadedUser[]) => list.filter(({ outagesMs }) => outagesMs.length > 0).length;
  return {
    ...{ fault, hit: hit(theirs), othersHit: hit(others) },
    outagesMs: theirs.flatMap(({ outagesMs }) => outagesMs.map(Math.round)),
    ...{ ackGapMs: longest(theirs), othersAckGapMs: longest(others) },
  };
}
