// Another connection with the same client id, while what the older one has sent waits for its user's rate: it waits, as
// one of its user's connections.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { CONNECTION_BYTES } from '../../src/connection/connection.js';
import { limitUse } from '../../src/session/limit-use.js';
import { askAdmin } from '../support/admin.js';
import { eventually } from '../support/deadline.js';
import { collecting, numbers, type World, worldWith } from '../support/paced-world.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, RawClient, type RawConnectOptions } from '../support/raw-client.js';

const slow = { userLimits: [{ users: ['alice'], messagesInPerSecond: 10, burstMs: 1_000, connectionsPerUser: 3 }] };
const peersOf = (world: World) => [...world.parts().connections].filter(({ peer }) => peer !== null);
const waitingOf = (world: World) => peersOf(world).filter(({ client }) => client === null);

/** One whose messages take two seconds more. */
async function backlogged(world: World, clientId: string, options: RawConnectOptions = {}): Promise<RawClient> {
  const client = await world.client({ clientId, ...options });
  client.send(...numbers(30).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => world.parts().accounts.known('alice')?.incoming?.closed === true, 0);
  return client;
}

/** Comes with the same client id; the broker knows who it is when this returns. */
async function knock(t: TestContext, world: World, clientId: string, options: RawConnectOptions = {}) {
  const client = await RawClient.open(world, {}, clientId);
  t.after(() => client.cut());
  const before = Math.max(0, ...peersOf(world).map(({ n }) => n));
  client.send(connectPacket({ keepaliveSeconds: 0, ...options, clientId }));
  await world.passUntil(
    () => client.isOver || client.waiting.length > 0 || peersOf(world).some(({ n }) => n > before),
    0,
  );
  return client;
}

test('at most one waits for a client id, the newest, and it is let in when the older one has made way', async (t) => {
  const world = await worldWith(t, slow);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const first = await backlogged(world, 'same');
  const knocks: RawClient[] = [];
  for (let i = 0; i < 20; i++) knocks.push(await knock(t, world, 'same'));
  await world.passUntil(() => knocks.slice(0, -1).every(({ isOver }) => isOver), 0);
  const last = knocks.at(-1)!;
  assert.equal(last.waiting.length, 0, 'no CONNACK yet');
  const account = world.parts().accounts.known('alice')!;
  const { used } = limitUse(account, world.parts().ledger).find(({ limit }) => limit === 'connectionsPerUser')!;
  assert.equal(used, 3);
  await world.passUntil(() => account.balances.connections.bytes === 3 * CONNECTION_BYTES, 0);
  await world.passUntil(() => last.waiting.length > 0, 2_500);
  assert.deepEqual([...(await last.next()).body], [0, 0]);
  await first.closed();
  assert.deepEqual(payloads, numbers(30));
  assert.equal(account.connections.size, 2);
});

test('who waits counts: at the limit one more may wait, and a further one is refused', async (t) => {
  const world = await worldWith(t, slow);
  for (const id of ['a', 'b', 'c']) await backlogged(world, id);
  await knock(t, world, 'a');
  const refused = await knock(t, world, 'b');
  assert.equal((await refused.next()).body[1], 3);
  await knock(t, world, 'a');
  assert.equal(waitingOf(world).length, 1, 'the newer one takes the place of the one that waits');
  assert.equal(world.parts().accounts.known('alice')!.connections.size, 4);
});

test('one that waits ends when its peer goes, and the older one makes way all the same', async (t) => {
  const world = await worldWith(t, slow);
  const first = await backlogged(world, 'same');
  const second = await knock(t, world, 'same');
  assert.equal(waitingOf(world).length, 1);
  second.cut();
  await world.passUntil(() => waitingOf(world).length === 0, 0);
  assert.equal(world.parts().accounts.known('alice')!.connections.size, 1);
  await world.passUntil(() => first.isOver, 2_500);
  const third = await world.client({ clientId: 'same' });
  await third.expectNothing();
});

test('what came behind a CONNECT that waits is handled, also if its peer has gone', async (t) => {
  const world = await worldWith(t, slow);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  await backlogged(world, 'same');
  const second = await RawClient.open(world, {}, 'same');
  second.send(connectPacket({ keepaliveSeconds: 0, clientId: 'same' }), mqtt.publish('iotlab/alice/x', 'last'));
  await world.passUntil(() => waitingOf(world).length === 1, 0);
  second.cut();
  await world.passUntil(() => payloads.length === 31, 3_000);
  assert.equal(payloads.at(-1), 'last');
});

test('nobody waits for longer than limits.connectTimeoutMs, and is told why', async (t) => {
  const world = await worldWith(t, { ...slow, limits: { connectTimeoutMs: 500 } });
  await backlogged(world, 'same');
  const second = await knock(t, world, 'same');
  const ms = await world.passUntil(() => second.waiting.length > 0, 2_000);
  assert.ok(ms >= 500, `${ms}`);
  assert.equal((await second.next()).body[1], 3);
  await second.closed();
  const line = await world.logs.waitFor(/^connection refused/);
  assert.deepEqual([line.reason, line.login, line.client], ['older-connection-waits', 'alice', 'same']);
  assert.equal(waitingOf(world).length, 0);
});

test('the list of connections says whose they are that wait', async (t) => {
  const world = await worldWith(t, slow);
  await backlogged(world, 'same');
  await knock(t, world, 'same');
  const { body } = await askAdmin(`${world.folder}/admin.sock`, '/v1/connections?login=alice');
  const { connections } = body as { connections: { login: string; client: string; protocol: string | null }[] };
  assert.deepEqual(
    connections.map(({ login, client }) => [login, client]),
    [
      ['alice', 'same'],
      ['alice', 'same'],
    ],
  );
});

for (const how of [
  'a ban',
  'a ban of the address',
  'a kick',
  'a kick of the client',
  'removal',
  'forgetting',
] as const) {
  test(`${how} ends who waits, too, and lets nobody in`, async (t) => {
    const world = await worldWith(t, slow);
    const first = await backlogged(world, 'same');
    const second = await knock(t, world, 'same');
    const ask = async (method: string, path: string, body?: object) => {
      const { status } = await askAdmin(`${world.folder}/admin.sock`, path, { method, ...(body && { body }) });
      assert.equal(status, 200);
    };
    if (how === 'a ban') await ask('POST', '/v1/bans', { login: 'alice', seconds: 60 });
    if (how === 'a ban of the address') await ask('POST', '/v1/bans', { address: '127.0.0.1', seconds: 60 });
    if (how === 'a kick') await ask('DELETE', '/v1/users/alice/connections');
    if (how === 'a kick of the client') await ask('DELETE', '/v1/users/alice/connections?client=same');
    if (how === 'forgetting') await ask('DELETE', '/v1/users/alice/data');
    if (how === 'removal') {
      const lines = (await readFile(world.usersFile, 'utf8')).split('\n');
      await writeFile(world.usersFile, lines.filter((line) => !line.startsWith('alice:')).join('\n'));
      await world.reload({});
    }
    await eventually(5_000, 'both to be out', () => first.isOver && second.isOver);
    assert.equal(second.waiting.length, 0, 'no CONNACK');
    await world.passUntil(() => world.parts().connections.size === 0, 3_000);
    assert.equal(world.parts().accounts.known('alice')?.connections.size ?? 0, 0);
  });
}

test('a ban that is said while its connections are still there keeps out who waits', async (t) => {
  const world = await worldWith(t, slow);
  await backlogged(world, 'same');
  const second = await knock(t, world, 'same');
  await world.parts().bans.add('login', 'alice', world.clock.epochMs() + 60_000, '');
  await world.passUntil(() => second.waiting.length > 0, 2_500);
  assert.equal((await second.next()).body[1], 5);
});
