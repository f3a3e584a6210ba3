import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, type Client5Options } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTimedBroker } from '../support/timed-broker.js';

// Chapters 3.1.2.5 and 3.1.3.2: the Will, its properties and its delay.
const { p } = mqtt5;
const { broker, pass } = useTimedBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/will/${++topics}`;
const patient = { keepaliveSeconds: 0 } as const;
const connect = (options: Client5Options = {}) => Client5.connect(broker, { ...patient, ...options });

/** A client that sees the Will. */
async function watch(topic: string): Promise<Client5> {
  const watcher = await connect();
  await watcher.subscribe([topic, 2 | 0x08]);
  return watcher;
}

/** A client with a Will that waits for `delay` seconds, in a session that is kept for `expiry` seconds. */
async function mortal(topic: string, delay: number, expiry: number, more: Client5Options = {}): Promise<Client5> {
  return connect({
    clientId: freshId(),
    will: { topic, payload: 'gone', qos: 1, properties: [p.willDelay(delay)] },
    ...more,
    properties: [p.sessionExpiry(expiry)],
  });
}

const ends: readonly (readonly [string, (client: Client5) => unknown])[] = [
  ['a cut', (client) => client.cut()],
  ['an orderly end without DISCONNECT', (client) => void client.raw.socket.end()],
  ['DISCONNECT 0x04', (client) => client.disconnect(0x04)],
  ['DISCONNECT 0x80', (client) => client.disconnect(0x80)],
  ['DISCONNECT 0x98 with a reason', (client) => client.disconnect(0x98, [p.reasonString('kicked myself')])],
  ['a protocol error', (client) => client.send(mqtt.packet(0xf0))],
  ['a DISCONNECT that is malformed', (client) => client.send(mqtt.packet(0xe0, Buffer.from([0, 5])))],
  ['a DISCONNECT that asks for a session', (client) => client.send(mqtt5.disconnect(0, [p.sessionExpiry(9)]))],
];
for (const [name, end] of ends) {
  test(`[MQTT-3.1.2-7] [MQTT-3.1.2-8] ${name} publishes the Will`, async () => {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    await using client = await mortal(topic, 0, 0);
    await end(client);
    assert.equal((await watcher.receive()).payload, 'gone');
    await watcher.expectNothing();
  });
}

test('[MQTT-3.1.2-8] so does silence beyond the keepalive', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  await using client = await mortal(topic, 0, 0, { keepaliveSeconds: 2 });
  await pass(5_000);
  assert.equal((await watcher.receive()).payload, 'gone');
  await client.expectDisconnect(0x8d);
});

test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT 0x00 throws it away, with a delay or without', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  for (const delay of [0, 5]) {
    await (await mortal(topic, delay, 60)).disconnect();
    await (await mortal(topic, delay, 60)).disconnect(0x00, [p.reasonString('bye')]);
    await pass(100_000);
    await watcher.expectNothing();
  }
});

test('[MQTT-3.1.2-10] it is published once', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  const client = await mortal(topic, 0, 60);
  client.cut();
  assert.equal((await watcher.receive()).payload, 'gone');
  const again = await connect({ clientId: client.clientId, cleanStart: false });
  again.cut();
  await pass(100_000);
  await watcher.expectNothing();
});

test('[MQTT-3.1.2-14] [MQTT-3.1.2-15] it is retained when it says so, and only then', async () => {
  for (const retain of [false, true]) {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    const client = await mortal(topic, 0, 0, {
      will: { topic, payload: 'gone', retain, properties: [p.contentType('t')] },
    });
    client.cut();
    assert.equal((await watcher.receive()).retain, retain);
    await using late = await connect();
    await late.subscribe([topic, 0]);
    if (!retain) await late.expectNothing();
    else assert.deepEqual((await late.receive()).properties, { contentType: 't' });
  }
});

for (const qos of [0, 1, 2]) {
  test(`[MQTT-3.1.3-10] its properties come unaltered and in order, QoS ${qos}, but for the delay`, async () => {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    await using older = await RawClient.connect(broker, patient);
    await older.subscribe([topic, 2]);
    const properties = [
      p.userProperty('z', '1'),
      p.willDelay(3),
      p.contentType('text/plain'),
      p.userProperty('a', '2'),
      p.responseTopic('iotlab/alice/answers'),
      p.messageExpiry(50),
      p.correlationData('c'),
      p.payloadFormat(1),
      p.userProperty('z', '1'),
    ];
    const client = await mortal(topic, 0, 60, { will: { topic, payload: 'gone', qos, properties } });
    client.cut();
    await pass(5_000);
    const will = await watcher.receive();
    assert.equal(will.qos, qos);
    assert.deepEqual(will.properties, {
      contentType: 'text/plain',
      responseTopic: 'iotlab/alice/answers',
      // Of its life, which begins when it is published.
      messageExpiry: 50,
      correlationData: 'c',
      payloadFormat: 1,
      user: [
        ['z', '1'],
        ['a', '2'],
        ['z', '1'],
      ],
    });
    const plain = await older.receive();
    assert.deepEqual([plain.payload, plain.qos], ['gone', qos]);
  });
}

test('a payload that is not what its Payload Format says is refused: 0x99', async () => {
  const will = { topic: freshTopic(), payload: Buffer.from([0xff]), properties: [p.payloadFormat(1)] };
  await using client = await Client5.attempt(broker, { will });
  assert.equal(client.connack.code, 0x99);
});

test('[MQTT-3.1.2-8] a Will waits for its delay, to the second', async () => {
  for (const delay of [1, 3, 30]) {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    const client = await mortal(topic, delay, 1_000);
    client.cut();
    await client.raw.closed();
    await watcher.expectNothing();
    await pass(delay * 1_000 - 100);
    await watcher.expectNothing(`${delay} s are not over`);
    await pass(1_100);
    assert.equal((await watcher.receive()).payload, 'gone');
  }
});

test('[MQTT-3.1.2-8] [MQTT-4.1.0-2] but not for longer than the session is kept', async () => {
  for (const [delay, expiry] of [
    [60, 0],
    [60, 3],
    [0xffffffff, 5],
  ] as const) {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    const client = await mortal(topic, delay, expiry);
    client.cut();
    await client.raw.closed();
    if (expiry > 0) {
      await pass(expiry * 1_000 - 100);
      await watcher.expectNothing();
    }
    await pass(1_100);
    assert.equal((await watcher.receive()).payload, 'gone');
  }
});

test('[MQTT-3.1.2-8] nor for longer than DISCONNECT says that it is kept', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  await (await mortal(topic, 60, 60)).disconnect(0x04, [p.sessionExpiry(0)]);
  assert.equal((await watcher.receive()).payload, 'gone');
  await (await mortal(topic, 60, 60)).disconnect(0x04, [p.sessionExpiry(5)]);
  await pass(4_000);
  await watcher.expectNothing();
  await pass(2_000);
  assert.equal((await watcher.receive()).payload, 'gone');
});

test('[MQTT-3.1.3-9] a client that comes back in time, and goes on, has it not sent', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  const client = await mortal(topic, 10, 60);
  client.cut();
  await pass(8_000);
  await using again = await connect({
    clientId: client.clientId,
    cleanStart: false,
    properties: [p.sessionExpiry(60)],
  });
  assert.equal(again.connack.sessionPresent, true);
  await pass(100_000);
  await watcher.expectNothing();
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.1.3-9] one that comes back with another Will has that one sent', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  const client = await mortal(topic, 10, 60);
  client.cut();
  await pass(8_000);
  const will = { topic, payload: 'the other', properties: [p.willDelay(10)] };
  const again = await connect({
    clientId: client.clientId,
    cleanStart: false,
    will,
    properties: [p.sessionExpiry(60)],
  });
  again.cut();
  await pass(8_000);
  await watcher.expectNothing();
  await pass(3_000);
  assert.equal((await watcher.receive()).payload, 'the other');
  await watcher.expectNothing();
});

test('[MQTT-3.1.2-8] one that comes back with Clean Start ends the session, and the Will is due', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  const client = await mortal(topic, 10, 60);
  client.cut();
  await client.raw.closed();
  await using again = await connect({ clientId: client.clientId });
  assert.equal((await watcher.receive()).payload, 'gone');
  await again.expectNothing();
  await pass(100_000);
  await watcher.expectNothing();
});

const takeovers = [
  ['delay 0, session goes on', 0, 60, false, true],
  ['delay 0, Clean Start', 0, 60, true, true],
  ['delay, session goes on', 10, 60, false, false],
  ['delay, Clean Start', 10, 60, true, true],
  ['delay, session ends with its connection', 10, 0, false, true],
] as const;
for (const [name, delay, expiry, cleanStart, published] of takeovers) {
  test(`[MQTT-3.1.2-8] [MQTT-3.1.3-9] taken over with ${name}: the Will is ${published ? '' : 'not '}published`, async () => {
    const topic = freshTopic();
    await using watcher = await watch(topic);
    await using client = await mortal(topic, delay, expiry);
    const { clientId } = client;
    await using again = await connect({ clientId, cleanStart, properties: [p.sessionExpiry(60)] });
    await client.expectDisconnect(0x8e);
    if (published) assert.equal((await watcher.receive()).payload, 'gone');
    await pass(100_000);
    await watcher.expectNothing();
    await again.disconnect(0, [p.sessionExpiry(0)]);
  });
}

test('taken over by a client of an earlier version: as by one of this', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  for (const clean of [false, true]) {
    await using client = await mortal(topic, 10, 60);
    await using again = await RawClient.connect(broker, { ...patient, clientId: client.clientId, clean });
    await client.expectDisconnect(0x8e);
    if (clean) assert.equal((await watcher.receive()).payload, 'gone');
    await pass(20_000);
    await watcher.expectNothing();
    await again.disconnect();
  }
});

test('a Will to a denied topic lets its client in, and is dropped', async () => {
  for (const topic of ['iotlab/bob/x', '$SYS/x', 'iotlab/<alice>/x']) {
    await using bob = await connect({ as: 'bob' });
    await bob.subscribe(['iotlab/bob/#', 0]);
    const client = await connect({ will: { topic, payload: 'attack' } });
    client.cut();
    await client.raw.closed();
    await connect({ clientId: client.clientId }).then((next) => next.disconnect());
    await bob.expectNothing();
  }
});

test('so is one whose Response Topic is denied', async () => {
  const topic = freshTopic();
  await using watcher = await watch(topic);
  const properties = [p.contentType('t'), p.responseTopic('iotlab/bob/answers'), p.userProperty('a', 'b')];
  const client = await connect({ will: { topic, payload: 'attack', properties } });
  client.cut();
  await client.raw.closed();
  await broker.logs.waitFor(/Will denied/);
  await watcher.expectNothing();
});
