import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

let topics = 0;
/** A topic of its own for every test, so that no retained message of one meets another. */
const freshTopic = () => `iotlab/alice/publish/${++topics}`;

async function closes(...bytes: Uint8Array[]): Promise<void> {
  await using client = await RawClient.connect(broker);
  client.send(...bytes);
  await client.expectClose();
}

test('[MQTT-3.3.1-1] [MQTT-4.4.0-1] an unacknowledged message comes again with DUP and its packet id', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1 });
  const message = await first.message();
  assert.equal(message.dup, false);
  first.cut();
  await using second = await RawClient.connect(broker, { clientId, clean: false });
  const again = await second.message();
  assert.deepEqual([again.payload, again.dup, again.id], ['x', true, message.id]);
  second.send(mqtt.puback(again.id));
  await second.expectNothing();
});

test('[MQTT-3.3.1-3] DUP of the publisher is not handed on', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 2]);
  for (const qos of [1, 2]) {
    await using publisher = await RawClient.connect(broker);
    await publisher.publish(topic, 'x', { qos, dup: true });
    const message = await client.receive();
    assert.deepEqual([message.dup, message.qos], [false, qos]);
  }
});

for (const head of [0x36, 0x37, 0x3e]) {
  test(`[MQTT-3.3.1-4] a PUBLISH of QoS 3 (${head.toString(16)}) closes the connection`, () =>
    closes(mqtt.packet(head, mqtt.field('iotlab/alice/three'), mqtt.u16(1), Buffer.from('x'))));
}
test('[MQTT-3.3.1-2] DUP at QoS 0 is not handed on', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 2]);
  await using publisher = await RawClient.connect(broker);
  publisher.send(mqtt.publish(topic, 'x', { dup: true }));
  await using other = await RawClient.connect(broker);
  await other.publish(topic, 'end', { qos: 1 });
  // The specification forbids the sender to do so and leaves open what the receiver does: either is fine, DUP is not.
  for (;;) {
    const message = await client.receive();
    assert.equal(message.dup, false);
    if (message.payload === 'end') break;
  }
});

for (const qos of [0, 1, 2]) {
  test(`[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] a retained message of QoS ${qos} comes with a new subscription`, async () => {
    const topic = freshTopic();
    await using publisher = await RawClient.connect(broker);
    await publisher.publish(topic, 'older', { qos, retain: true });
    await publisher.publish(topic, 'newer', { qos, retain: true });
    await using client = await RawClient.connect(broker);
    const id = client.nextId();
    client.send(mqtt.subscribe(id, [topic, 2]));
    assert.equal((await client.next()).type, mqtt.SUBACK, 'SUBACK comes before the retained messages');
    const message = await client.receive();
    assert.deepEqual([message.payload, message.retain, message.qos], ['newer', true, qos]);
    await client.expectNothing();
  });
}

test('[MQTT-3.3.1-6] wildcards bring every retained message that they match, once', async () => {
  const topic = freshTopic();
  await using publisher = await RawClient.connect(broker);
  for (const leaf of ['a', 'b', 'a/c']) await publisher.publish(`${topic}/${leaf}`, leaf, { retain: true });
  await using client = await RawClient.connect(broker);
  await client.subscribe([`${topic}/#`, 0]);
  const payloads = [await client.message(), await client.message(), await client.message()].map(
    ({ payload }) => payload,
  );
  assert.deepEqual(payloads.sort(), ['a', 'a/c', 'b']);
  await client.expectNothing();
  await client.subscribe([`${topic}/+`, 0]);
  assert.deepEqual([await client.message(), await client.message()].map(({ payload }) => payload).sort(), ['a', 'b']);
  await client.expectNothing();
});

test('[MQTT-3.3.1-7] a retained message of QoS 0 takes the place of an earlier one', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.publish(topic, 'at 1', { qos: 1, retain: true });
  await client.publish(topic, 'at 0', { qos: 0, retain: true });
  await client.subscribe([topic, 2]);
  const message = await client.message();
  assert.deepEqual([message.payload, message.qos], ['at 0', 0]);
  await client.expectNothing();
});

test('[MQTT-3.3.1-9] an established subscription gets RETAIN 0', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1, retain: true });
  const message = await client.receive();
  assert.deepEqual([message.payload, message.retain], ['x', false]);
});

test('[MQTT-3.3.1-9] a message that waited for its persistent session has RETAIN 0', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1, retain: true });
  await using second = await RawClient.connect(broker, { clientId, clean: false });
  const message = await second.receive();
  assert.deepEqual([message.payload, message.retain], ['x', false]);
});

test('[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty retained message is delivered, removes, and is not kept', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'kept', { qos: 1, retain: true });
  await client.subscribe([topic, 1]);
  assert.equal((await client.receive()).payload, 'kept');
  await publisher.publish(topic, '', { qos: 1, retain: true });
  const empty = await client.receive();
  assert.deepEqual([empty.payload, empty.retain], ['', false]);
  await using late = await RawClient.connect(broker);
  await late.subscribe([topic, 1]);
  await late.expectNothing();
});

test('[MQTT-3.3.1-12] a message without RETAIN neither replaces nor removes a retained one', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.publish(topic, 'kept', { qos: 1, retain: true });
  await client.publish(topic, 'passing', { qos: 1 });
  await client.publish(topic, '', { qos: 1 });
  await client.subscribe([topic, 0]);
  assert.equal((await client.message()).payload, 'kept');
  await client.expectNothing();
});

for (const topic of ['iotlab/alice/+', 'iotlab/alice/#', 'iotlab/alice/a+b', '#', '+', 'iotlab/alice/a#', '']) {
  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1] publishing to '${topic}' at QoS ${qos} closes the connection`, () =>
      closes(mqtt.publish(topic, 'x', qos ? { qos, id: 1 } : {})));
  }
}

test('[MQTT-3.3.2-3] the topic that arrives is the topic that was published', async () => {
  const base = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([`${base}/+/#`, 0]);
  for (const topic of [`${base}/a`, `${base}/a/`, `${base}//`, `${base}/é/ü/`, `${base}/ a /b`]) {
    client.send(mqtt.publish(topic, 'x'));
    assert.equal((await client.message()).topic, topic);
  }
});

test('payloads of any bytes and none arrive as they are', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 1]);
  const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  for (const qos of [0, 1]) {
    for (const payload of [every, Buffer.alloc(0), Buffer.from([0])]) {
      await using publisher = await RawClient.connect(broker);
      await publisher.publish(topic, payload, { qos });
      assert.deepEqual((await client.receive()).payloadBytes, payload);
    }
  }
});

test('[MQTT-3.3.4-1] [MQTT-4.3.2-2] QoS 1 is answered with PUBACK; the same id is then a new message', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 0]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'one', { qos: 1, id: 5 });
  await publisher.publish(topic, 'two', { qos: 1, id: 5, dup: true });
  assert.equal((await client.message()).payload, 'one');
  assert.equal((await client.message()).payload, 'two');
});

test('[MQTT-3.3.4-1] [MQTT-4.3.3-2] QoS 2 is delivered once however often PUBLISH and PUBREL come', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 0]);
  await using publisher = await RawClient.connect(broker);
  const send = async (bytes: Uint8Array, expected: number) => {
    publisher.send(bytes);
    assert.equal((await publisher.next()).type, expected);
  };
  await send(mqtt.publish(topic, 'once', { qos: 2, id: 9 }), mqtt.PUBREC);
  await send(mqtt.publish(topic, 'once', { qos: 2, id: 9, dup: true }), mqtt.PUBREC);
  await send(mqtt.pubrel(9), mqtt.PUBCOMP);
  await send(mqtt.pubrel(9), mqtt.PUBCOMP);
  assert.equal((await client.message()).payload, 'once');
  await client.expectNothing();
  await publisher.publish(topic, 'next', { qos: 2, id: 9 });
  assert.equal((await client.message()).payload, 'next');
  await client.expectNothing();
});

test('[MQTT-4.3.3-2] QoS 2 is delivered once when the flow goes on after a reconnection', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 0]);
  const first = await RawClient.connect(broker, { clientId, clean: false });
  first.send(mqtt.publish(topic, 'once', { qos: 2, id: 3 }));
  assert.equal((await first.next()).type, mqtt.PUBREC);
  first.cut();
  await using second = await RawClient.connect(broker, { clientId, clean: false });
  second.send(mqtt.publish(topic, 'once', { qos: 2, id: 3, dup: true }));
  assert.equal((await second.next()).type, mqtt.PUBREC);
  second.send(mqtt.pubrel(3));
  assert.equal((await second.next()).type, mqtt.PUBCOMP);
  assert.equal((await client.message()).payload, 'once');
  await client.expectNothing();
});

test('[MQTT-4.3.3-2] a PUBREL of an unknown id is answered with PUBCOMP', async () => {
  await using client = await RawClient.connect(broker);
  client.send(mqtt.pubrel(77));
  const { type, body } = await client.next();
  assert.deepEqual([type, body.readUInt16BE(0)], [mqtt.PUBCOMP, 77]);
});

test('[MQTT-4.3.3-1] as sender of QoS 2 the broker sends PUBREL for PUBREC and never the message again', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 2]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 2 });
  const { id, qos, dup } = await first.message();
  assert.deepEqual([qos, dup], [2, false]);
  first.send(mqtt.pubrec(id));
  const pubrel = await first.next();
  assert.deepEqual([pubrel.type, pubrel.flags, pubrel.body.readUInt16BE(0)], [mqtt.PUBREL, 2, id]);
  first.cut();
  await using second = await RawClient.connect(broker, { clientId, clean: false });
  const again = await second.next();
  assert.deepEqual([again.type, again.flags, again.body.readUInt16BE(0)], [mqtt.PUBREL, 2, id]);
  second.send(mqtt.pubcomp(id));
  await second.expectNothing();
});

test('[MQTT-4.3.2-1] at QoS 1 a message stays unacknowledged until PUBACK: a stray PUBACK changes nothing', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1 });
  const { id } = await first.message();
  first.send(mqtt.puback((id % 65535) + 1));
  await first.expectNothing();
  first.cut();
  await using second = await RawClient.connect(broker, { clientId, clean: false });
  assert.equal((await second.receive()).id, id);
});

test('acknowledgements that belong to nothing leave the connection open', async () => {
  await using client = await RawClient.connect(broker);
  client.send(mqtt.puback(1000), mqtt.pubcomp(1000));
  await client.expectNothing();
});

test('[MQTT-3.3.5-1] overlapping filters give one copy at the highest granted QoS', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([`${topic}/#`, 0], [`${topic}/+`, 2], [`${topic}/a`, 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(`${topic}/a`, 'x', { qos: 2 });
  assert.equal((await client.receive()).qos, 2);
  await client.expectNothing();
  await client.unsubscribe(`${topic}/+`);
  await publisher.publish(`${topic}/a`, 'y', { qos: 2 });
  assert.equal((await client.receive()).qos, 1);
  await client.expectNothing();
});

for (const [qos, answers] of [
  [0, []],
  [1, [mqtt.PUBACK]],
  [2, [mqtt.PUBREC, mqtt.PUBCOMP]],
] as const) {
  test(`[MQTT-3.3.5-2] a denied PUBLISH of QoS ${qos} is acknowledged, dropped, and the connection stays`, async () => {
    await using bob = await RawClient.connect(broker, { as: 'bob' });
    await bob.subscribe(['iotlab/bob/#', 0]);
    await using client = await RawClient.connect(broker);
    client.send(mqtt.publish('iotlab/bob/x', 'x', qos ? { qos, id: 4 } : {}));
    if (qos === 2) client.send(mqtt.pubrel(4));
    for (const type of answers) {
      const answer = await client.next();
      assert.deepEqual([answer.type, ...answer.body], [type, 0, 4]);
    }
    await client.expectNothing();
    await bob.expectNothing();
  });
}

test('QoS 1 without a subscriber is acknowledged', async () => {
  await using client = await RawClient.connect(broker);
  await client.publish(freshTopic(), 'x', { qos: 1 });
});

test('a client gets what it publishes itself', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 2]);
  await client.publish(topic, 'x', { qos: 2 });
  assert.equal((await client.receive()).payload, 'x');
});
