import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { expectGoodbye } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapter 3.3: PUBLISH, without retained messages and topic aliases.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
/** A topic that no other test uses. */
const freshTopic = () => `iotlab/alice/publish/${++topics}`;

test('[MQTT-3.3.1-1] [MQTT-3.3.1-3] DUP says that the broker sends again, whatever the publisher said', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribe([topic, 1]);
  await using publisher = await Client5.connect(broker);
  publisher.send(mqtt5.publish(topic, 'sent again', { qos: 1, id: 1, dup: true }));
  await publisher.raw.take(mqtt.PUBACK);
  const { dup, id } = await first.message();
  assert.equal(dup, false);
  first.cut();
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  const repeated = await again.receive();
  assert.deepEqual([repeated.dup, repeated.id, repeated.payload], [true, id, 'sent again']);
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.1-2] [MQTT-4.3.1-1] DUP at QoS 0 is malformed, and never sent', async () => {
  await expectGoodbye(broker, 0x81, [mqtt5.publish(freshTopic(), '', { dup: true })]);
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  client.send(mqtt5.publish(topic, '', { qos: 1, id: 1, dup: true }));
  const { qos, dup } = await client.message();
  assert.deepEqual([qos, dup], [0, false]);
});

test('[MQTT-3.3.1-4] QoS 3 is malformed', () =>
  expectGoodbye(broker, 0x81, [mqtt5.publish(freshTopic(), '', { qos: 3, id: 1 })]));

const topicErrors: readonly (readonly [string, string])[] = [
  ['+', 'iotlab/alice/+'],
  ['#', 'iotlab/alice/#'],
  ['a + within a level', 'iotlab/alice/a+'],
  ['nothing but #', '#'],
];
for (const [name, topic] of topicErrors) {
  test(`[MQTT-3.3.2-2] [MQTT-4.7.0-1] ${name} in a topic is 0x90`, () =>
    expectGoodbye(broker, 0x90, [mqtt5.publish(topic, '', { qos: 1, id: 1 })]));
}

test('[MQTT-3.3.2-8] an empty topic without an alias is a protocol error', async () => {
  for (const qos of [0, 1, 2]) {
    await expectGoodbye(broker, 0x82, [mqtt5.publish('', 'x', qos > 0 ? { qos, id: 1 } : {})]);
  }
});

test('[MQTT-3.3.2-14] a Response Topic with a wildcard, or an empty one, is a protocol error', async () => {
  for (const response of ['iotlab/alice/+', 'iotlab/alice/#', '#', '']) {
    await expectGoodbye(broker, 0x82, [mqtt5.publish(freshTopic(), '', { properties: [p.responseTopic(response)] })]);
  }
});

test('[MQTT-3.3.2-3] [MQTT-4.7.3-4] the topic comes as it was published, whatever filter it matched', async () => {
  await using client = await Client5.connect(broker);
  await client.subscribe(['iotlab/alice/as/it/#', 0]);
  for (const topic of [
    'iotlab/alice/as/it/',
    'iotlab/alice/as/it//x',
    'iotlab/alice/as/it/\u00e4',
    'iotlab/alice/as/it/a\u0308',
  ]) {
    await client.publish(topic, topic);
    assert.deepEqual((await client.message()).topic, topic);
  }
});

/** Everything that a message can have. */
const properties = [
  p.userProperty('z', 'last'),
  p.payloadFormat(1),
  p.userProperty('a', 'first'),
  p.contentType('text/plain'),
  p.userProperty('z', 'again'),
  p.responseTopic('iotlab/alice/answers'),
  p.correlationData(Buffer.from([0, 255, 128])),
  p.userProperty('', ''),
];
const asRead = {
  payloadFormat: 1,
  contentType: 'text/plain',
  responseTopic: 'iotlab/alice/answers',
  correlationData: '\u0000\u00ff\u0080',
  user: [
    ['z', 'last'],
    ['a', 'first'],
    ['z', 'again'],
    ['', ''],
  ],
};

for (const qos of [0, 1, 2]) {
  for (const granted of [0, 1, 2]) {
    test(`[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] properties come unaltered and in order, QoS ${qos} to ${granted}`, async () => {
      const topic = freshTopic();
      await using client = await Client5.connect(broker);
      await client.subscribe([topic, granted]);
      await client.publish(topic, 'payload', { qos, properties });
      const message = await client.receive();
      assert.deepEqual(message.properties, asRead);
      assert.deepEqual([message.qos, message.payload], [Math.min(qos, granted), 'payload']);
    });
  }
}

test('[MQTT-3.3.2-17] many User Properties, and large ones, come whole', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 1]);
  const many = Array.from({ length: 300 }, (_, i) => p.userProperty(`name ${i % 7}`, 'v'.repeat(i)));
  const large = [p.userProperty('n'.repeat(65_535), 'v'.repeat(65_535)), p.correlationData('c'.repeat(65_535))];
  for (const list of [many, large]) {
    for (const qos of [0, 1]) {
      await client.publish(topic, 'p', { qos, properties: list });
      const packet = await client.raw.take(mqtt.PUBLISH);
      const written = mqtt5.properties(list);
      assert.ok(packet.body.includes(written), 'the very bytes');
      if (qos === 1) client.send(mqtt5.puback(mqtt5.readMessage(packet).id));
    }
  }
});

test('[MQTT-3.3.2-4] a payload that is not what its Payload Format says is forwarded as it is', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  await client.publish(topic, Buffer.from([0xff, 0xfe]), { qos: 1, properties: [p.payloadFormat(1)] });
  const message = await client.message();
  assert.deepEqual([message.properties, message.payloadBytes], [{ payloadFormat: 1 }, Buffer.from([0xff, 0xfe])]);
});

test('[MQTT-3.3.4-1] each QoS has its answer', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  client.send(
    mqtt5.publish(topic),
    mqtt5.publish(topic, '', { qos: 1, id: 1 }),
    mqtt5.publish(topic, '', { qos: 2, id: 2 }),
  );
  client.send(mqtt5.pubrel(2), mqtt.pingreq());
  const answers = [await client.raw.next(), await client.raw.next(), await client.raw.next(), await client.raw.next()];
  assert.deepEqual(
    answers.map(({ type, body }) => [type, body[1]]),
    [
      [mqtt.PUBACK, 1],
      [mqtt.PUBREC, 2],
      [mqtt.PUBCOMP, 2],
      [mqtt.PINGRESP, undefined],
    ],
  );
});

test('[MQTT-3.3.4-6] a subscription identifier in a PUBLISH is a protocol error', () =>
  expectGoodbye(broker, 0x82, [mqtt5.publish(freshTopic(), '', { properties: [p.subscriptionIdentifier(1)] })]));

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] 0x10 says that nobody gets the message, and nothing that somebody does', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  for (const qos of [1, 2]) {
    assert.equal(await client.publish(topic, '', { qos }), 0x10);
    assert.equal(await client.publish(topic, 'kept', { qos, retain: true }), 0x10);
  }
  await using other = await RawClient.connect(broker);
  await other.subscribe([topic, 0]);
  for (const qos of [1, 2]) assert.equal(await client.publish(topic, '', { qos, retain: true }), 0);
  await other.unsubscribe(topic);
  assert.equal(await client.publish(topic, '', { qos: 1 }), 0x10);
  // What another user has subscribed is of no concern.
  await using bob = await Client5.connect(broker, { as: 'bob' });
  await bob.subscribe(['iotlab/bob/#', 0]);
  assert.equal(await client.publish(topic, '', { qos: 2 }), 0x10);
});

test('[MQTT-3.4.2-1] an absent client of a session that is kept is somebody', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const sleeper = await Client5.connect(broker, { clientId, properties: [p.sessionExpiry(60)] });
  await sleeper.subscribe([topic, 1]);
  await sleeper.disconnect();
  await using client = await Client5.connect(broker);
  assert.equal(await client.publish(topic, '', { qos: 1 }), 0);
  assert.equal(await client.publish(topic, '', { qos: 2 }), 0);
  await (await Client5.connect(broker, { clientId })).disconnect();
});

for (const [place, denied] of [
  ['another tree', 'iotlab/bob/x'],
  ['the prefix', 'iotlab'],
  ['a $ topic', '$SYS/x'],
  ['a group', '$share/g/iotlab/alice/x'],
] as const) {
  test(`[MQTT-3.4.2-1] [MQTT-3.5.2-1] a PUBLISH to ${place} is 0x87, and the connection stays`, async () => {
    await using client = await Client5.connect(broker);
    for (const retain of [false, true]) {
      const acknowledged = await client.publishWith(denied, 'x', { qos: 1, retain });
      assert.equal(acknowledged.code, 0x87);
      assert.match(acknowledged.properties.reasonString ?? '', /outside|no \$SYS/);
      assert.equal(await client.publish(denied, 'x', { qos: 2, retain }), 0x87);
      assert.equal(await client.publish(denied, 'x', { qos: 0, retain }), 0);
    }
    await client.expectNothing();
  });
}

test('a Response Topic outside of the tree is 0x87, and nobody gets the message', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 2]);
  for (const qos of [0, 1, 2]) {
    const options = { qos, properties: [p.responseTopic('iotlab/bob/answers')] };
    const { code, properties: told } = await client.publishWith(topic, 'x', options);
    assert.equal(code, qos === 0 ? 0 : 0x87);
    if (qos > 0) assert.match(told.reasonString ?? '', /^Response Topic: iotlab\/bob\/answers/);
  }
  await client.expectNothing();
});

test('the reason tells the usual mistake, and nothing of anybody else', async () => {
  await using client = await Client5.connect(broker);
  const { properties: told } = await client.publishWith('iotlab/<alice>/x', '', { qos: 1 });
  assert.match(told.reasonString ?? '', /<alice>.*meant to be replaced/);
  for (const topic of ['iotlab/bob/x', 'iotlab/nobody/x']) {
    const { properties: denied } = await client.publishWith(topic, '', { qos: 1 });
    assert.equal(denied.reasonString?.replace(topic, 'T'), 'T is outside of what alice may use');
  }
});
