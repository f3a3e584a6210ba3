import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { useTimedBroker } from '../support/timed-broker.js';

const broker = useTestBroker();
const timed = useTimedBroker();

let topics = 0;
const freshTopic = () => `iotlab/alice/session/${++topics}`;

/** A stored session with one subscription, whose client has gone. */
async function storedSession(topic: string, qos: number): Promise<string> {
  const client = await RawClient.connect(broker, { clean: false });
  await client.subscribe([topic, qos]);
  await client.disconnect();
  return client.clientId;
}

const resume = (clientId: string) => RawClient.connect(broker, { clientId, clean: false });

test('[MQTT-3.1.2-4] [MQTT-4.1.0-1] a session that is resumed still has its subscriptions', async () => {
  const topic = freshTopic();
  await using client = await resume(await storedSession(topic, 1));
  await client.publish(topic, 'x', { qos: 1 });
  const message = await client.receive();
  assert.deepEqual([message.payload, message.qos], ['x', 1]);
});

for (const qos of [1, 2]) {
  test(`[MQTT-3.1.2-5] [MQTT-4.5.0-1] messages of QoS ${qos} wait for their session, in order`, async () => {
    const topic = freshTopic();
    const clientId = await storedSession(topic, qos);
    await using publisher = await RawClient.connect(broker);
    for (let count = 0; count < 50; count += 1) await publisher.publish(topic, `${count}`, { qos });
    await using client = await resume(clientId);
    for (let count = 0; count < 50; count += 1) {
      const message = await client.receive();
      assert.deepEqual([message.payload, message.qos], [`${count}`, qos]);
    }
    await client.expectNothing();
  });
}

test('[MQTT-3.1.2-5] the QoS of what waits is the lower of the published and the granted one', async () => {
  const topic = freshTopic();
  const clientId = await storedSession(topic, 1);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'at 2', { qos: 2 });
  await using client = await resume(clientId);
  assert.equal((await client.receive()).qos, 1);
});

test('what waits for a session waits in spite of overlapping filters, and comes once', async () => {
  const topic = freshTopic();
  const first = await RawClient.connect(broker, { clean: false });
  await first.subscribe([`${topic}/#`, 1]);
  await first.subscribe([`${topic}/a`, 1]);
  await first.disconnect();
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(`${topic}/a`, 'both', { qos: 1 });
  await publisher.publish(`${topic}/b`, 'one', { qos: 1 });
  const second = await resume(first.clientId);
  assert.equal((await second.receive()).payload, 'both');
  assert.equal((await second.receive()).payload, 'one');
  await second.expectNothing();
  await second.unsubscribe(`${topic}/a`);
  await second.disconnect();
  await publisher.publish(`${topic}/a`, 'still', { qos: 1 });
  await using third = await resume(first.clientId);
  assert.equal((await third.receive()).payload, 'still');
  await third.expectNothing();
});

test('[MQTT-3.1.2-6] a clean session throws the old one away, messages and subscriptions', async () => {
  const topic = freshTopic();
  const clientId = await storedSession(topic, 1);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'waiting', { qos: 1 });
  const clean = await RawClient.connect(broker, { clientId });
  await publisher.publish(topic, 'live', { qos: 1 });
  await clean.expectNothing();
  await clean.disconnect();
  await publisher.publish(topic, 'later', { qos: 1 });
  await using client = await resume(clientId);
  await client.expectNothing();
});

test('[MQTT-3.1.2-6] a clean session ends with its connection', async () => {
  const topic = freshTopic();
  const first = await RawClient.connect(broker);
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1 });
  await using second = await RawClient.connect(broker, { clientId: first.clientId, clean: false });
  await second.expectNothing();
});

test('[MQTT-3.1.2-7] retained messages outlive the session that published them', async () => {
  const topic = freshTopic();
  const publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'kept', { qos: 1, retain: true });
  await publisher.disconnect();
  await (await RawClient.connect(broker, { clientId: publisher.clientId })).disconnect();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 0]);
  assert.equal((await client.message()).payload, 'kept');
});

for (const qos of [0, 1, 2]) {
  for (const [way, leave] of [
    ['a cut connection', (client: RawClient) => client.cut()],
    ['a connection closed without DISCONNECT', (client: RawClient) => client.socket.end()],
    ['a protocol error', (client: RawClient) => client.send(mqtt.packet(0xf0))],
  ] as const) {
    test(`[MQTT-3.1.2-8] [MQTT-3.1.2-9] ${way} publishes the Will at QoS ${qos}`, async () => {
      const topic = freshTopic();
      await using watcher = await RawClient.connect(broker);
      await watcher.subscribe([topic, 2]);
      const client = await RawClient.connect(broker, { will: { topic, payload: 'gone', qos } });
      leave(client);
      const message = await watcher.receive();
      assert.deepEqual([message.payload, message.qos, message.retain], ['gone', qos, false]);
      await client.closed();
    });
  }
}

test('[MQTT-3.1.2-8] [MQTT-3.1.2-24] silence beyond the keepalive publishes the Will', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(timed.broker, { keepaliveSeconds: 0 });
  await watcher.subscribe([topic, 0]);
  const will = { topic, payload: 'silent' };
  await using client = await RawClient.connect(timed.broker, { keepaliveSeconds: 1, will });
  await watcher.expectNothing();
  await timed.pass(5_000);
  assert.equal((await watcher.message()).payload, 'silent');
  await client.closed();
});

test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT throws the Will away', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 0]);
  const client = await RawClient.connect(broker, { will: { topic, payload: 'gone', retain: true } });
  await client.disconnect();
  await watcher.expectNothing();
  await using late = await RawClient.connect(broker);
  await late.subscribe([topic, 0]);
  await late.expectNothing();
});

test('[MQTT-3.1.2-10] a Will is published once', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 1]);
  const client = await RawClient.connect(broker, { will: { topic, payload: 'gone', qos: 1 }, clean: false });
  client.cut();
  assert.equal((await watcher.receive()).payload, 'gone');
  const again = await resume(client.clientId);
  again.cut();
  await again.closed();
  await using marker = await RawClient.connect(broker);
  await marker.publish(topic, 'marker', { qos: 1 });
  assert.equal((await watcher.receive()).payload, 'marker');
});

test('[MQTT-3.1.2-12] without a Will nothing is published', async () => {
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe(['iotlab/alice/#', 0]);
  const client = await RawClient.connect(broker);
  while (watcher.waiting.length > 0) await watcher.next();
  client.cut();
  await client.closed();
  await watcher.expectNothing();
});

test('[MQTT-3.1.2-16] [MQTT-3.1.2-17] a Will is retained when it says so, and only then', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([`${topic}/+`, 1]);
  for (const retain of [true, false]) {
    const will = { topic: `${topic}/${retain}`, payload: 'gone', qos: 1, retain };
    (await RawClient.connect(broker, { will })).cut();
    const message = await watcher.receive();
    assert.deepEqual([message.topic, message.retain], [`${topic}/${retain}`, false]);
  }
  await using late = await RawClient.connect(broker);
  await late.subscribe([`${topic}/+`, 1]);
  const kept = await late.receive();
  assert.deepEqual([kept.topic, kept.payload, kept.retain, kept.qos], [`${topic}/true`, 'gone', true, 1]);
  await late.expectNothing();
});

test('an empty retained Will removes the retained message', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(broker);
  await watcher.publish(topic, 'kept', { qos: 1, retain: true });
  await watcher.subscribe([topic, 0]);
  assert.equal((await watcher.message()).payload, 'kept');
  (await RawClient.connect(broker, { will: { topic, payload: '', retain: true } })).cut();
  assert.equal((await watcher.message()).payload, '');
  await using late = await RawClient.connect(broker);
  await late.subscribe([topic, 0]);
  await late.expectNothing();
});

test('[MQTT-4.5.0-1] a Will waits for the stored sessions that ask for it', async () => {
  const topic = freshTopic();
  const clientId = await storedSession(topic, 1);
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 0]);
  (await RawClient.connect(broker, { will: { topic, payload: 'gone', qos: 1 } })).cut();
  await watcher.message();
  await using client = await resume(clientId);
  assert.equal((await client.receive()).payload, 'gone');
});

test('[MQTT-4.1.0-2] a session that is connected keeps its state when another connection takes it over', async () => {
  const topic = freshTopic();
  await using old = await RawClient.connect(broker, { clean: false });
  await old.subscribe([topic, 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1 });
  const { id } = await old.message();
  const { client, sessionPresent } = await RawClient.attempt(broker, { clientId: old.clientId, clean: false });
  await using young = client;
  assert.equal(sessionPresent, true);
  const again = await young.receive();
  assert.deepEqual([again.payload, again.id, again.dup], ['x', id, true]);
  await young.expectNothing();
});

test('[MQTT-4.4.0-1] PUBLISH and PUBREL that are not acknowledged come again, in order, with their ids', async () => {
  const topic = freshTopic();
  const first = await RawClient.connect(broker, { clean: false });
  await first.subscribe([topic, 2]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'released', { qos: 2 });
  const released = await first.message();
  first.send(mqtt.pubrec(released.id));
  assert.equal((await first.next()).type, mqtt.PUBREL);
  await publisher.publish(topic, 'received', { qos: 2 });
  await publisher.publish(topic, 'third', { qos: 1 });
  const received = await first.message();
  const third = await first.message();
  first.cut();
  await using second = await resume(first.clientId);
  const again = [await second.next(), await second.next(), await second.next()];
  const pubrel = again.find(({ type }) => type === mqtt.PUBREL);
  assert.equal(pubrel?.body.readUInt16BE(0), released.id);
  const messages = again.filter(({ type }) => type === mqtt.PUBLISH).map(mqtt.readMessage);
  assert.deepEqual(
    messages.map(({ payload, id, dup }) => [payload, id, dup]),
    [
      ['received', received.id, true],
      ['third', third.id, true],
    ],
  );
  second.send(mqtt.pubcomp(released.id), mqtt.puback(third.id), mqtt.pubrec(received.id));
  assert.equal((await second.next()).type, mqtt.PUBREL);
  second.send(mqtt.pubcomp(received.id));
  await second.expectNothing();
});

test('20 messages are in flight, the others wait until one of them is acknowledged', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 1]);
  await using publisher = await RawClient.connect(broker);
  for (let count = 0; count < 30; count += 1) await publisher.publish(topic, `${count}`, { qos: 1 });
  const ids = [];
  for (let count = 0; count < 20; count += 1) ids.push((await client.message()).id);
  await client.expectNothing('the window is 20');
  client.send(mqtt.puback(ids[0] ?? 0));
  assert.equal((await client.message()).payload, '20');
  await client.expectNothing();
  client.send(...ids.slice(1).map(mqtt.puback));
  for (let count = 21; count < 30; count += 1) assert.equal((await client.message()).payload, `${count}`);
});

test('1000 messages wait beyond the 20 in flight; the newest are dropped, and acknowledged all the same', async () => {
  const topic = freshTopic();
  const clientId = await storedSession(topic, 1);
  await using publisher = await RawClient.connect(broker);
  const total = 1100;
  publisher.send(
    ...Array.from({ length: total }, (_, index) => mqtt.publish(topic, `${index}`, { qos: 1, id: index + 1 })),
  );
  for (let count = 0; count < total; count += 1) await publisher.take(mqtt.PUBACK);
  await using client = await resume(clientId);
  const seen: number[] = [];
  for (;;) {
    client.send(mqtt.pingreq());
    let next = await client.next();
    let progress = false;
    while (next.type !== mqtt.PINGRESP) {
      const message = mqtt.readMessage(next);
      seen.push(Number(message.payload));
      client.send(mqtt.puback(message.id));
      progress = true;
      next = await client.next();
    }
    if (!progress) break;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: seen.length }, (_, index) => index),
  );
  assert.ok(seen.length >= 1000 && seen.length <= 1020, `${seen.length} of ${total} came`);
});

test('[MQTT-4.3.3-2] the stored half of a QoS 2 flow of a publisher dies with a clean session', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 0]);
  const first = await RawClient.connect(broker, { clientId, clean: false });
  first.send(mqtt.publish(topic, 'one', { qos: 2, id: 1 }));
  assert.equal((await first.next()).type, mqtt.PUBREC);
  first.cut();
  const clean = await RawClient.connect(broker, { clientId });
  await clean.publish(topic, 'two', { qos: 2, id: 1 });
  await clean.disconnect();
  const payloads = [];
  for (const payload of ['one', 'two']) {
    const message = await watcher.message();
    payloads.push(message.payload);
    if (payload === 'one' && message.payload === 'two') break;
  }
  // The broker may hand the message on at PUBLISH or at PUBREL: 'one' may come or not, 'two' must.
  assert.equal(payloads.at(-1), 'two');
  await watcher.expectNothing();
});
