// Long: machines are lost under load; serve.test.ts kills a shard.
import { test } from 'node:test';
import { judge, startScene } from '../support/failover-scene.js';
import { faults } from '../support/faults.js';

const logins = ['user0', 'user1', 'user2', 'user3'];

test('of a machine that is lost with all that runs there the other one takes over everything', async (t) => {
  const scene = await startScene(t, { shards: 2, logins, databases: 1 });
  await judge(t, scene, [faults.machineLost()]);
});
