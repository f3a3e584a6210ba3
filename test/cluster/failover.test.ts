// Long, runs alone: faults under load, one after the other, of which nobody else may notice anything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOf } from '../../src/shard.js';
import { judge, startScene } from '../support/failover-scene.js';
import { faults } from '../support/faults.js';

const shards = 2;
const logins = ['user0', 'user1', 'user2', 'user3'];

test('a broker that is killed, ended or frozen costs its users seconds, one that stalls none, and none of them a message', async (t) => {
  assert.equal(new Set(logins.map((login) => shardOf(login, shards))).size, shards);
  const scene = await startScene(t, { shards, logins, databases: 1 });
  await judge(t, scene, [faults.stalled(1), faults.killed(0), faults.ended(1), faults.frozen(0)]);
  // Who serves and who stands by ends in order.
  for (const machine of scene.machines.machines) assert.equal(await machine.end('SIGTERM'), 0);
});
