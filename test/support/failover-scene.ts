import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { broken, LoadedUser } from './failover-load.js';
import { type Fault, runRound, type Scene } from './faults.js';
import { Machines, watchWriters } from './machines.js';
import { Postgres } from './postgres.js';
import type { Scope } from './sockets.js';

/** Machines, databases and users, and at the end how often what must not be was. */
export interface FailoverScene extends Scene {
  /** What was sent is waited for; everything is counted. */
  finish(): Promise<Readonly<Record<string, number>>>;
}

/** Two machines with all shards, under load by way of the first one; with two databases, the second is the standby. */
export async function startScene(
  whole: Scope,
  options: {
    readonly shards: number;
    readonly logins: readonly string[];
    readonly databases: 1 | 2;
    readonly durable?: boolean;
  },
): Promise<FailoverScene> {
  const { shards, logins, durable = false } = options;
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-failover-'));
  const scope = endingInReverse(whole);
  scope.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const first = await Postgres.start(scope, { durable });
  const databases = [first];
  if (options.databases === 2) databases.push(await first.startStandby(scope, { durable }));
  const machines = await Machines.start(scope, folder, { shards, users: logins, url: Postgres.urlOf(...databases) });
  const intruders = await watchWriters(first);
  const users = logins.map((login) => new LoadedUser(login, machines.machines[0].front));
  scope.after(() => Promise.all(users.map((user) => user[Symbol.asyncDispose]())));
  await Promise.all(users.map((user) => user.begin()));
  return {
    ...{ machines, databases, users },
    async finish() {
      await Promise.all(users.map((user) => user.finish()));
      return { ...broken(users), foreignWrites: (await intruders(databases[0])).length };
    },
  };
}

/** Brokers end before their database does; and whatever one of the endings meets, the others follow. */
function endingInReverse(whole: Scope): Scope {
  const endings: (() => unknown)[] = [];
  whole.after(async () => {
    for (const end of endings.reverse()) {
      await (async () => end())().catch(() => {});
    }
  });
  return { after: (end) => void endings.push(end) };
}

/** However busy the machine is: users are back. */
const BACK_MS = 20_000;

/** Lets all of it happen, one after the other; nothing may be lost, and nobody be out of service for much too long. */
export async function judge(t: TestContext, scene: FailoverScene, faults: readonly Fault[]): Promise<void> {
  for (const fault of faults) {
    const { hit, outagesMs, ackGapMs, othersHit, othersAckGapMs } = await runRound(fault, scene);
    const out = outagesMs.length === 0 ? 'nobody out' : `out ${outagesMs.join(', ')}`;
    t.diagnostic(`${fault.name}: ${out}; acknowledged after ${ackGapMs}, others ${othersAckGapMs} ms`);
    // Other tests run on the same processors; `npm run failover` measures.
    assert.ok(Math.max(ackGapMs, ...outagesMs) < BACK_MS, fault.name);
    assert.equal(othersHit, 0, fault.name);
    if (fault.connected) assert.equal(hit, 0, fault.name);
  }
  for (const [what, count] of Object.entries(await scene.finish())) assert.equal(count, 0, what);
}
