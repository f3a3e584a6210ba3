import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOf } from '../../src/shard.js';
import { broken, LoadedUser } from '../support/failover-load.js';
import { faults, runRound } from '../support/faults.js';
import { Machines, watchWriters } from '../support/machines.js';
import { Postgres } from '../support/postgres.js';
import { tempFolder } from '../support/temp-folder.js';

const SHARDS = 2;
const logins = ['user0', 'user1', 'user2', 'user3'];

test('whoever of the cluster dies, what was acknowledged is not lost, nor given twice at QoS 2', async (t) => {
  assert.equal(new Set(logins.map((login) => shardOf(login, SHARDS))).size, SHARDS);
  const postgres = await Postgres.start(t);
  const machines = await Machines.start(t, await tempFolder(t), { shards: SHARDS, users: logins, url: postgres.url });
  const intruders = await watchWriters(postgres);
  // By way of the machine whose HAProxy goes on.
  const users = logins.map((login) => new LoadedUser(login, machines.machines[0].front));
  t.after(() => Promise.all(users.map((user) => user[Symbol.asyncDispose]())));
  await Promise.all(users.map((user) => user.begin()));
  const scene = { machines, postgres, users };
  for (const fault of [faults.killed(0), faults.ended(1), faults.databaseKilled(), faults.frozen(0)]) {
    const outcome = await runRound(fault, scene);
    const { hit, outagesMs, ackGapMs, othersHit, othersAckGapMs } = outcome;
    t.diagnostic(
      `${fault.name}: out ${outagesMs.join(', ')}; acknowledgements waited ${ackGapMs}, others ${othersAckGapMs} ms`,
    );
    // Twice as long as on a machine that has nothing else to do.
    assert.ok(Math.max(ackGapMs, ...outagesMs) < 2 * fault.limitMs + 1_000, fault.name);
    assert.equal(othersHit, 0, fault.name);
    if (fault.connected) assert.equal(hit, 0, fault.name);
  }
  await Promise.all(users.map((user) => user.finish()));
  const nothing = { lostThere: 0, lostAway: 0, twiceAtQos2: 0, disordered: 0, sessionsLost: 0 };
  assert.deepEqual(broken(users), nothing);
  assert.deepEqual(await intruders(), []);
  // Who serves and who stands by ends in order.
  for (const machine of machines.machines) assert.equal(await machine.end('SIGTERM'), 0);
});
