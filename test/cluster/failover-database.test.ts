// Long, runs alone: who owns a shard has less than a second to be at the database again before its standby.
import { test } from 'node:test';
import { judge, startScene } from '../support/failover-scene.js';
import { faults } from '../support/faults.js';

const logins = ['user0', 'user1', 'user2', 'user3'];

test('a database that restarts, dies or changes hands makes acknowledgements wait, and disconnects nobody', async (t) => {
  const scene = await startScene(t, { shards: 2, logins, databases: 2 });
  await judge(t, scene, [faults.databaseRestarted(), faults.databaseKilled(), faults.primaryLost()]);
});
