// docker/cluster: the cluster of docs/cluster.md on one machine, and what its users notice when the machine of the
// database that leads is lost.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../../scripts/ensure.mjs';
import { cluster, clusterPage, clusterPort, eventually, root, succeeds } from './lab.mjs';

/** Each in a shard of its own. */
const logins = ['alice', 'carol'];
const ttlSeconds = Number(/ttl: (\d+)/.exec(readFileSync(join(root, 'docker', 'cluster', 'patroni.yaml'), 'utf8'))[1]);

const documented = (line) => {
  const prefix = 'docker compose -f docker/cluster/compose.yaml ';
  return clusterPage.take(line).replace(prefix, `${cluster} `).replace(' exec ', ' exec -T ');
};
const status = documented('docker compose -f docker/cluster/compose.yaml exec broker-a iotlab-broker cluster status');

/** The database that leads, once the other one has what it commits; null before. */
async function leader() {
  const listed = await succeeds(`${cluster} exec -T db-a patronictl -c /etc/patroni.yaml list -f json`);
  const members = JSON.parse(listed);
  if (!members.some(({ Role }) => Role === 'Sync Standby')) return null;
  return members.find(({ Role }) => Role === 'Leader').Member;
}

export const clusterSteps = {
  'starts a whole cluster with one command': async () => {
    await succeeds(`${cluster} build`, { timeoutMs: 600_000 });
    await succeeds(documented('docker compose -f docker/cluster/compose.yaml up -d'), { timeoutMs: 120_000 });
    await eventually(
      async () => (await succeeds(status).catch(() => '')).match(/serves|stands by/g)?.length === 2,
      'all shards are served',
      60_000,
    );
    await eventually(async () => (await leader().catch(() => null)) !== null, 'a synchronous standby', 60_000);
  },
  'loses no message with the machine of the database that leads, and serves again a second after its ttl': async () => {
    build(root, 'tsconfig.test.json');
    const { acknowledgedBy, broken, LoadedUser } = await import(
      join(root, 'build', 'test', 'support', 'failover-load.js')
    );
    const secret = (name) => succeeds(`${cluster} exec -T broker-a cat /secrets/${name}`);
    const front = { host: '127.0.0.1', port: clusterPort, ca: await secret('iot-lab-ca.pem') };
    const users = await Promise.all(
      logins.map(async (login) => new LoadedUser(login, front, await secret(`password-${login}`))),
    );
    try {
      await Promise.all(users.map((user) => user.begin()));
      const lost = await leader();
      for (const user of users) user.newRound();
      await succeeds(documented('docker compose -f docker/cluster/compose.yaml kill db-a').replace('db-a', lost));
      // Somewhere within the ttl; longer than anything else makes them wait.
      const waited = (user) => user.longestAckGapMs > (ttlSeconds / 2) * 1_000;
      await eventually(() => users.every(waited), 'acknowledgements from the other database', 60_000);
      const seconds = Math.max(...users.map((user) => user.longestAckGapMs)) / 1_000;
      await Promise.all(users.map((user) => user.finish()));
      const wrong = broken(users);
      console.log(
        `  ${lost} lost: acknowledgements waited ${seconds.toFixed(1)} s; ` +
          `${acknowledgedBy(users)} acknowledged, ${JSON.stringify(wrong)}`,
      );
      for (const [what, count] of Object.entries(wrong)) assert.equal(count, 0, what);
      for (const user of users) assert.deepEqual(user.outagesMs, [], `${user.login} was disconnected`);
      assert.ok(seconds <= ttlSeconds + 1, `${seconds} s, with a ttl of ${ttlSeconds} s`);
    } finally {
      for (const user of users) await user[Symbol.asyncDispose]();
    }
  },
  'forgets the cluster': async () => {
    await succeeds(`${cluster} down -v --timeout 5`, { timeoutMs: 60_000 });
  },
};
