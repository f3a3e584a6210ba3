// A user's rate is for all connections together, also for those that bring one message each: a loop of mosquitto_pub.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slowedUse } from '../../src/session/limit-use.js';
import { collecting, numbers, type World, worldWith } from '../support/paced-world.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';

const rate = { userLimits: [{ users: ['alice'], messagesInPerSecond: 10, burstMs: 1_000 }] };
const slowedOf = (world: World) => slowedUse(world.parts().accounts.known('alice')!)[0]!;

/** One of a loop of mosquitto_pub: it says all it has to say at once. */
async function pub(world: World, payload: string, { qos = 0, clientId = freshId() } = {}): Promise<RawClient> {
  const client = await RawClient.open(world, {}, clientId);
  client.send(
    connectPacket({ clientId, keepaliveSeconds: 0 }),
    mqtt.publish('iotlab/alice/x', payload, { qos: qos as 0 | 1, ...(qos > 0 && { id: 1 }) }),
    mqtt.disconnect(),
  );
  return client;
}

for (const { level, qos } of [
  { level: 3, qos: 0 },
  { level: 4, qos: 1 },
  { level: 4, qos: 2 },
  { level: 5, qos: 1 },
] as const) {
  test(`a connection for each message is no way around the rate, level ${level}, QoS ${qos}`, async (t) => {
    const world = await worldWith(t, rate);
    const reader = await world.client();
    await reader.subscribe(['iotlab/alice/#', 0]);
    const { payloads } = collecting(reader);
    for (const n of numbers(30)) {
      const client = await world.client({ level });
      const payload = level === 5 ? Buffer.from(`\0${n}`) : n;
      client.send(mqtt.publish('iotlab/alice/x', payload, { qos, ...(qos > 0 && { id: 1 }) }));
    }
    const ms = await world.passUntil(() => payloads.length === 30, 10_000);
    assert.ok(ms >= 1_950 && ms <= 2_150, `${ms}`);
    assert.deepEqual(
      payloads.toSorted((a, b) => Number(a) - Number(b)),
      numbers(30),
    );
    assert.equal(world.parts().counters.packetsReceived[mqtt.PUBLISH], 30);
    assert.equal(world.parts().counters.messagesDropped.total, 0);
  });
}

test('they come in the order of their coming, and each client is gone when its message is handled', async (t) => {
  const world = await worldWith(t, rate);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  for (const n of numbers(40)) {
    await pub(world, n);
    await world.passUntil(() => world.parts().accounts.known('alice')!.traffic.bytesReceived > 0, 0);
  }
  assert.equal(payloads.length, 10);
  const { connections } = world.parts();
  assert.equal(connections.size, 31);
  assert.equal(slowedOf(world).waiting, 30);
  await world.passUntil(() => payloads.length === 20, 1_050);
  await world.passUntil(() => connections.size === 21, 0);
  await world.passUntil(() => payloads.length === 40, 2_100);
  assert.deepEqual(payloads, numbers(40));
  await world.passUntil(() => connections.size === 1, 0);
});

test('nor are connections that are there already and send now and then', async (t) => {
  const world = await worldWith(t, rate);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const writers: RawClient[] = [];
  for (let i = 0; i < 20; i++) writers.push(await world.client());
  for (const round of numbers(3)) for (const writer of writers) writer.send(mqtt.publish('iotlab/alice/x', round));
  const ms = await world.passUntil(() => payloads.length === 60, 10_000);
  assert.ok(ms >= 4_950 && ms <= 5_150, `${ms}`);
});

test('nor is to be taken over: what the older connection had said keeps to the rate before it makes way', async (t) => {
  const world = await worldWith(t, rate);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const clientId = freshId();
  let ms = 0;
  for (const n of numbers(20)) {
    const client = await RawClient.open(world, {}, clientId);
    t.after(() => client.cut());
    client.send(connectPacket({ clientId, keepaliveSeconds: 0 }), mqtt.publish('iotlab/alice/x', n));
    // One that is taken over before it is let in has said nothing [MQTT-3.1.4-5].
    ms += await world.passUntil(() => client.waiting.length > 0, 1_000);
  }
  ms += await world.passUntil(() => payloads.length === 20, 5_000);
  assert.ok(ms >= 850 && ms <= 1_250, `${ms}`);
  assert.deepEqual(payloads, numbers(20));
});

test('who has a message to send does not wait for ever while others keep coming', async (t) => {
  const world = await worldWith(t, rate);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  for (const n of numbers(30)) await pub(world, n);
  await pub(world, 'the one');
  for (let i = 0; i < 25; i++) {
    await pub(world, 'later');
    await world.passUntil(() => false, 90).catch(() => {});
  }
  await world.passUntil(() => payloads.includes('the one'), 100);
  assert.ok(payloads.indexOf('the one') <= 31, `${payloads.indexOf('the one')}`);
});

test('what is no message does not wait for the rate: subscribing, acknowledging, being alive, leaving', async (t) => {
  const world = await worldWith(t, rate);
  const loop = await world.client();
  loop.send(...numbers(200).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => slowedOf(world).slowed, 0);
  const other = await world.client();
  await other.subscribe(['iotlab/alice/y', 1]);
  other.send(mqtt.pingreq());
  assert.equal((await other.next()).type, mqtt.PINGRESP);
  other.send(mqtt.disconnect());
  await world.passUntil(() => world.parts().connections.size === 1, 0);
});

test('a message that came in pieces waits whole, and what came behind it stays behind', async (t) => {
  const world = await worldWith(t, rate);
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 1]);
  const { payloads } = collecting(reader);
  const loop = await world.client();
  loop.send(...numbers(10).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => payloads.length === 10 && slowedOf(world).slowed, 0);
  const writer = await world.client();
  const all = Buffer.concat([
    ...['a', 'b', 'c'].map((n, i) => mqtt.publish('iotlab/alice/x', n, { qos: 1, id: i + 1 })),
    mqtt.pingreq(),
  ]);
  for (const [from, to] of [
    [0, 5],
    [5, 30],
    [30, all.length],
  ] as const) {
    writer.send(all.subarray(from, to));
    await world.passUntil(() => false, 0).catch(() => {});
  }
  await world.passUntil(() => payloads.length === 13, 1_000);
  assert.deepEqual(payloads.slice(10), ['a', 'b', 'c']);
  for (const type of [mqtt.PUBACK, mqtt.PUBACK, mqtt.PUBACK, mqtt.PINGRESP]) {
    assert.equal((await writer.next()).type, type);
  }
});

test('an operator who lifts the rate lets all of them go on; who is kicked stands in no line', async (t) => {
  const world = await worldWith(t, rate);
  const { accounts, connections } = world.parts();
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  for (const n of numbers(60)) await pub(world, n);
  await world.passUntil(() => slowedOf(world).waiting === 50, 0);
  for (const connection of [...connections].slice(-20)) connection.close('kicked');
  assert.equal(slowedOf(world).waiting, 30);
  const limits = { messagesInPerSecond: 0 };
  accounts.setOverride('alice', { limits, since: world.clock.epochMs(), until: null, reason: '' });
  await world.passUntil(() => payloads.length === 40, 0);
  await world.passUntil(() => connections.size === 1, 3_000);
});

test("connections that wait are the user's: when there are as many as he may have, the next one is told why", async (t) => {
  const world = await worldWith(t, { limits: { connectionsPerUser: 10 }, ...rate });
  const { connections, history } = world.parts();
  for (const n of numbers(20)) await pub(world, n);
  await world.passUntil(() => connections.size === 10 && slowedOf(world).waiting === 10, 0);
  const refused = await RawClient.attempt(world, { keepaliveSeconds: 0 });
  assert.equal(refused.code, 3);
  for (let i = 0; i < 3; i++) {
    const nameless = await RawClient.open(world);
    nameless.send(connectPacket({ clientId: '', keepaliveSeconds: 0 }));
    await nameless.closed();
  }
  const counts = [...history.refusals()].map(({ clientId, count }) => [clientId === '', count]);
  assert.deepEqual(counts.toSorted(), [
    [false, 1],
    [true, 3],
  ]);
  const until = /^10 wait, at 10 messages a second, until (\S+) if no more come$/;
  const [refusal] = [...history.refusals()];
  assert.equal(refusal!.reason, 'connections-wait');
  const [, date] = until.exec(refusal!.detail!)!;
  const ms = Date.parse(date!) - world.clock.epochMs();
  assert.ok(ms >= 900 && ms <= 1_100, `${ms}`);
  const five = await RawClient.open(world);
  five.send(connectPacket({ level: 5, clientId: freshId(), keepaliveSeconds: 0 }));
  const { body } = await five.next();
  assert.equal(body[1], 0x97);
  assert.match(
    body.toString(),
    /most of them wait to have a message handled: .*; 10 wait, at 10 messages a second, until/,
  );
  const line = await world.logs.waitFor(/^connection refused/);
  assert.deepEqual([line.reason, line.limit], ['connections-wait', 10]);
  await world.passUntil(() => connections.size === 0, 1_100);
  await world.client();
});

test('who has as many connections as he may, and waits for nothing, is told that alone', async (t) => {
  const world = await worldWith(t, { limits: { connectionsPerUser: 2 }, ...rate });
  await world.client();
  await world.client();
  assert.equal((await RawClient.attempt(world, {})).code, 3);
  const why = [...world.parts().history.refusals()].map(({ reason, detail }) => [reason, detail]);
  assert.deepEqual(why, [['too-many-connections', null]]);
});

test('who has gone waits for no rate any more, that of what his user is sent neither', async (t) => {
  const world = await worldWith(t, { userLimits: [{ users: ['alice'], bytesOutPerSecond: 1_024, burstMs: 1_000 }] });
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  reader.send(mqtt.publish('iotlab/alice/x', 'x'.repeat(200_000)));
  await world.passUntil(() => payloads.length === 1, 0);
  const { accounts, connections } = world.parts();
  const { outgoing } = accounts.known('alice')!;
  // Then so many that publishers wait.
  reader.send(...numbers(100).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => outgoing?.waiting === 1, 0);
  // Once by one client that comes again and again, and once by many that are cut.
  for (const again of [true, false]) {
    for (let i = 0; i < 20; i++) {
      const client = await world.client({ clientId: again ? 'again' : `other-${i}` });
      client.send(mqtt.publish('iotlab/alice/x', 'y'));
      await world.passUntil(() => (outgoing?.waiting ?? 0) >= (again ? 2 : i + 3), 0);
    }
    assert.equal(outgoing?.waiting, again ? 2 : 22);
  }
  for (const connection of [...connections].slice(1)) connection.close('kicked');
  assert.equal(outgoing?.closed, true);
  assert.ok(outgoing.waiting <= 1, `${outgoing.waiting} wait`);
});
