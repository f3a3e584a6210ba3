// Who comes for a moment, again and again, uses the broker as much as who stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Traffic } from '../../src/mqtt/traffic.js';
import { RecentTraffic } from '../../src/session/recent-traffic.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { askAdmin } from '../support/admin.js';
import { type World, worldWith } from '../support/paced-world.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';

interface User {
  readonly login: string;
  readonly connections: number;
  readonly perSecond: { readonly publishesReceived: number; readonly bytesReceived: number };
}

async function ask<T>(world: World, path: string): Promise<T> {
  const answer = await askAdmin(`${world.folder}/admin.sock`, `/v1${path}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body as T;
}

const top = async (world: World) => (await ask<{ users: User[] }>(world, '/users?sort=publishes')).users;

/** A connection of its own, for three messages. */
async function visit(world: World): Promise<void> {
  const { accounts } = world.parts();
  const clientId = freshId();
  const client = await RawClient.open(world, {}, clientId);
  const message = mqtt.publish('iotlab/alice/x', 'y');
  client.send(connectPacket({ clientId, keepaliveSeconds: 0 }), message, message, message, mqtt.disconnect());
  await world.passUntil(() => client.isOver && accounts.known('alice') === undefined, 2_500);
}

test('a loop that connects anew for each message is the first of top, though nobody is there at the moment', async (t) => {
  const world = await worldWith(t, {}, { store: 'folder' });
  const { accounts, operators } = world.parts();
  const bob = await world.client({ as: 'bob' });
  for (let second = 0; second < 30; second++) {
    await visit(world);
    bob.send(mqtt.publish('iotlab/bob/x', 'y'));
    const before = world.clock.monotonicMs();
    await world.passUntil(() => world.clock.monotonicMs() - before >= 1_000, 1_100);
  }
  assert.equal(accounts.known('alice'), undefined);
  const [first, second, ...more] = await top(world);
  assert.deepEqual([first!.login, first!.connections, second!.login, more], ['alice', 0, 'bob', []]);
  assert.ok(first!.perSecond.publishesReceived > 2 && first!.perSecond.publishesReceived < 3.1);
  const one = await ask<{ totals: { publishesReceived: number } }>(world, '/users/alice');
  assert.equal(one.totals.publishesReceived, 90);
  const limits = await ask<{ perSecond: User['perSecond'] }>(world, '/users/alice/limits');
  assert.deepEqual(limits.perSecond, first!.perSecond);
  assert.match((await askAdmin(`${world.folder}/admin.sock`, '/v1/metrics/users')).text, /login="alice"\} [23]/);
  // And is forgotten in a while, or when an operator says so.
  const held = operators.balances.history.bytes;
  world.clock.advance(80_000);
  await world.passUntil(() => accounts.trafficOf('alice') === undefined, 10_000);
  assert.ok(operators.balances.history.bytes < held);
  assert.deepEqual(
    (await top(world)).map(({ login }) => login),
    ['bob'],
  );
  await visit(world);
  await askAdmin(`${world.folder}/admin.sock`, '/v1/users/alice/data', { method: 'DELETE' });
  assert.equal(accounts.trafficOf('alice'), undefined);
});

test('what is kept of those who left has an end, and goes back to whom it is kept for', () => {
  const clock = new ManualClock();
  let kept = 0;
  const balance = {
    add: (bytes: number) => {
      kept += bytes;
    },
  };
  const recent = new RecentTraffic(clock, balance);
  const logins = Array.from({ length: 12_000 }, (_, i) => `user${i}`);
  for (const login of logins) recent.keep(login, new Traffic());
  assert.equal([...recent].length, 10_000);
  assert.ok(kept > 0 && kept < 4 * 1024 * 1024);
  assert.equal(recent.get('user0'), undefined);
  const traffic = recent.get('user11999')!;
  assert.equal(recent.take('user11999'), traffic);
  assert.equal(recent.take('user11999'), undefined);
  clock.advance(60_000);
  recent.keep('last', traffic);
  recent.tick();
  assert.equal([...recent].length, 10_000);
  clock.advance(20_000);
  recent.tick();
  assert.deepEqual(
    [...recent].map(([login]) => login),
    ['last'],
  );
  recent.take('last');
  assert.equal(kept, 0);
});
