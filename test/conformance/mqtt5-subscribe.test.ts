import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId } from '../support/raw-client.js';
import { expectGoodbye } from '../support/refusals5.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapters 3.8 to 3.12: subscriptions, without what is retained and without groups.
const { p } = mqtt5;
const broker = useTestBroker();
let trees = 0;
const freshTree = () => `iotlab/alice/subscribe/${++trees}`;
const NO_LOCAL = 0x04;

test('[MQTT-3.8.3-2] SUBSCRIBE without a filter is a protocol error', () =>
  expectGoodbye(broker, 0x82, [mqtt5.subscribe(1, [])]));

test('[MQTT-3.10.3-2] UNSUBSCRIBE without a filter is a protocol error', () =>
  expectGoodbye(broker, 0x82, [mqtt5.unsubscribe(1, [])]));

test('[MQTT-3.8.3-5] reserved bits of the subscription options are malformed', async () => {
  const tree = freshTree();
  for (const options of [0x40, 0x80, 0xc1]) await expectGoodbye(broker, 0x81, [mqtt5.subscribe(1, [[tree, options]])]);
  await expectGoodbye(broker, 0x81, [
    mqtt5.subscribe(1, [
      [tree, 0],
      [tree, 0x40],
    ]),
  ]);
});

test('[MQTT-4.13.1-1] QoS 3 and Retain Handling 3 are protocol errors', async () => {
  for (const options of [0x03, 0x30]) await expectGoodbye(broker, 0x82, [mqtt5.subscribe(1, [[freshTree(), options]])]);
});

test('[MQTT-4.13.1-1] a SUBSCRIBE that ends within a filter, or before its options, is malformed', async () => {
  const whole = mqtt5.subscribe(1, [[freshTree(), 0]]).subarray(2);
  for (const length of [2, 4, 5, 10, whole.length - 1]) {
    await expectGoodbye(broker, 0x81, [mqtt.packet(0x82, whole.subarray(0, length))]);
  }
  const unsubscribe = mqtt5.unsubscribe(1, [freshTree()]).subarray(2);
  for (const length of [2, 4, 10]) {
    await expectGoodbye(broker, 0x81, [mqtt.packet(0xa2, unsubscribe.subarray(0, length))]);
  }
});

test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] SUBACK has a reason code for each filter, in order', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  const filters = [
    [`${tree}/a`, 2],
    ['iotlab/bob/#', 2],
    [`${tree}/#/b`, 0],
    [`${tree}/b`, 0],
    ['#', 1],
    [`${tree}/c`, 1],
    ['', 0],
    ['$share/g/iotlab/bob/#', 0],
    ['$share/g', 0],
  ] as const;
  const { codes, properties } = await client.subscribeWith(filters);
  assert.deepEqual(codes, [2, 0x87, 0x8f, 0, 0x87, 1, 0x8f, 0x87, 0x8f]);
  assert.match(properties.reasonString ?? '', /iotlab\/bob\/# is outside of what alice may use/);
});

for (const filter of [
  'a/#/b',
  'a#',
  'a+',
  '+a/b',
  'a/b#',
  '##',
  '$share//x',
  '$share/g+/x',
  '$share/g#/x',
  '$share/g/',
]) {
  test(`[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] '${filter}' is no filter: 0x8F, and the connection stays`, async () => {
    await using client = await Client5.connect(broker);
    assert.deepEqual(await client.subscribe([filter, 0], [freshTree(), 1]), [0x8f, 1]);
    assert.deepEqual(await client.unsubscribe(filter), [0x8f]);
    await client.expectNothing();
  });
}

test('[MQTT-4.7.1-1] [MQTT-4.7.1-2] wildcards match whole levels, at every place', async () => {
  const tree = freshTree();
  const topics = [tree, `${tree}/`, `${tree}/a`, `${tree}/a/b/c`, `${tree}//b/`, `${tree}a`];
  const matching: Readonly<Record<string, readonly string[]>> = {
    [`${tree}/#`]: topics.slice(0, 5),
    [`${tree}/+`]: [`${tree}/`, `${tree}/a`],
    [`${tree}/+/b/+`]: [`${tree}/a/b/c`, `${tree}//b/`],
    [`${tree}/+/#`]: topics.slice(1, 5),
    [`${tree}/#/`]: [],
  };
  for (const [filter, wanted] of Object.entries(matching)) {
    await using client = await Client5.connect(broker);
    await client.subscribe([filter, 0]);
    for (const topic of topics) client.send(mqtt5.publish(topic));
    for (const topic of wanted) assert.equal((await client.message()).topic, topic, filter);
    await client.expectNothing();
  }
});

test('[MQTT-4.7.3-4] filters and topics are compared as they are: no normalization, no folding', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${tree}/\u00e4`, 0], [`${tree}/Case`, 0]);
  for (const leaf of ['a\u0308', 'case', 'CASE', '\u00c4']) await client.publish(`${tree}/${leaf}`);
  await client.expectNothing();
  await client.publish(`${tree}/\u00e4`, 'x');
  assert.equal((await client.message()).payload, 'x');
});

test('[MQTT-4.7.2-1] a wildcard in the first level does not match what begins with $', async () => {
  await using own = await startTestBroker({
    config: {
      acl: [
        { access: 'readwrite', topic: '#' },
        { access: 'readwrite', topic: '$own/#' },
      ],
    },
  });
  await using client = await Client5.connect(own);
  assert.deepEqual(await client.subscribe(['#', 0], ['+/x', 0]), [0, 0]);
  await client.publish('$own/x');
  await client.expectNothing();
  await client.subscribe(['$own/#', 0]);
  await client.publish('$own/x', 'asked for');
  assert.equal((await client.message()).payload, 'asked for');
});

test('[MQTT-4.7.3-3] a topic of 65 535 bytes is taken, and comes', async () => {
  const topic = `iotlab/alice/${'x'.repeat(65_535 - 13)}`;
  await using client = await Client5.connect(broker);
  assert.deepEqual(await client.subscribe([topic, 1]), [1]);
  assert.equal(await client.publish(topic, 'x', { qos: 1 }), 0);
  assert.equal((await client.receive()).topic, topic);
});

test('[MQTT-3.8.4-8] [MQTT-4.8.2-3] a message comes at the lower of its QoS and the granted one', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  for (const granted of [0, 1, 2]) {
    await client.subscribe([`${tree}/${granted}`, granted]);
    for (const qos of [0, 1, 2]) {
      await client.publish(`${tree}/${granted}`, '', { qos });
      assert.equal((await client.receive()).qos, Math.min(qos, granted));
    }
  }
});

test('[MQTT-3.8.4-3] a subscription takes the place of one with the same filter: its QoS, options and identifier', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribeWith([[`${tree}/#`, 2]], [p.subscriptionIdentifier(1)]);
  await client.subscribeWith([[`${tree}/#`, 1]], [p.subscriptionIdentifier(2)]);
  await client.publish(`${tree}/x`, '', { qos: 2 });
  const replaced = await client.receive();
  assert.deepEqual([replaced.qos, replaced.properties.subscriptionIdentifiers], [1, [2]]);
  await client.subscribe([`${tree}/#`, 0]);
  await client.publish(`${tree}/x`, '', { qos: 2 });
  const without = await client.receive();
  assert.deepEqual([without.qos, without.properties.subscriptionIdentifiers], [0, undefined], 'and can take it away');
  await client.subscribe([`${tree}/#`, 0 | NO_LOCAL]);
  await client.publish(`${tree}/x`);
  await client.expectNothing();
  await client.unsubscribe(`${tree}/#`);
  await client.publish(`${tree}/x`);
  await client.expectNothing();
});

test('[MQTT-3.8.4-4] nothing is lost, and nothing comes twice, while a subscription is replaced', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await using publisher = await Client5.connect(broker);
  await client.subscribe([tree, 1]);
  for (let id = 1; id <= 200; id++) publisher.send(mqtt5.publish(tree, `${id}`, { qos: 1, id }));
  for (let id = 1; id <= 20; id++)
    client.send(mqtt5.subscribe(1_000 + id, [[tree, 1]], [p.subscriptionIdentifier(id)]));
  for (let count = 1; count <= 200; count++) assert.equal((await client.receive()).payload, `${count}`);
  await client.raw.take(mqtt.SUBACK);
});

test('[MQTT-3.8.4-5] filters of one SUBSCRIBE are granted as if each had come alone, the last of the same counts', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  assert.deepEqual(await client.subscribe([tree, 0], [tree, 2], [tree, 1]), [0, 2, 1]);
  await client.publish(tree, '', { qos: 2 });
  assert.equal((await client.receive()).qos, 1);
  await client.expectNothing();
});

test('[MQTT-3.8.3-3] No Local: what the client itself publishes does not come to it', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await using other = await Client5.connect(broker);
  for (const each of [client, other]) await each.subscribe([tree, 2 | NO_LOCAL]);
  for (const qos of [0, 1, 2]) {
    assert.equal(await client.publish(tree, 'own', { qos }), 0);
    await client.expectNothing();
    assert.equal((await other.receive()).payload, 'own');
  }
});

test('[MQTT-3.8.3-3] No Local is about the client, not the user; and about its messages, not its subscriptions', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${tree}/#`, 0 | NO_LOCAL]);
  assert.equal(await client.publish(`${tree}/x`, 'x', { qos: 1 }), 0x10, 'nobody gets it');
  await client.publish(`${tree}/x`, 'kept', { retain: true });
  await client.expectNothing();
  await using again = await Client5.connect(broker);
  await again.publish(`${tree}/x`, 'other');
  assert.equal((await client.receive()).payload, 'other');
});

test("[MQTT-3.8.3-3] where another filter without No Local matches, it alone counts for what is the client's own", async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribeWith([[`${tree}/#`, 2 | NO_LOCAL]], [p.subscriptionIdentifier(1)]);
  await client.subscribeWith([[`${tree}/x`, 1]], [p.subscriptionIdentifier(2)]);
  await client.publish(`${tree}/x`, 'own', { qos: 2 });
  const own = await client.receive();
  assert.deepEqual([own.qos, own.properties.subscriptionIdentifiers], [1, [2]]);
  await using other = await Client5.connect(broker);
  await other.publish(`${tree}/x`, 'of others', { qos: 2 });
  const others = await client.receive();
  assert.deepEqual([others.qos, others.properties.subscriptionIdentifiers?.sort()], [2, [1, 2]]);
  await client.expectNothing();
});

test('[MQTT-3.8.3-3] No Local holds for a session that is resumed', async () => {
  const tree = freshTree();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribe([tree, 1 | NO_LOCAL]);
  await first.disconnect();
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  await again.publish(tree, 'own', { qos: 1 });
  await again.expectNothing();
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] filters that overlap: one copy, the highest QoS, the identifiers of all', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await using other = await Client5.connect(broker);
  await client.subscribeWith([[`${tree}/#`, 0]], [p.subscriptionIdentifier(268_435_455)]);
  await client.subscribeWith([[`${tree}/+`, 2]], [p.subscriptionIdentifier(1)]);
  await client.subscribeWith([[`${tree}/x`, 1]], [p.subscriptionIdentifier(1)]);
  await client.subscribe([`${tree}/x/#`, 0]);
  await other.subscribeWith([[`${tree}/#`, 0]], [p.subscriptionIdentifier(77)]);
  for (const qos of [0, 1, 2]) {
    await other.publish(`${tree}/x`, '', { qos });
    const message = await client.receive();
    assert.equal(message.qos, qos);
    // Two of the filters were given the same (3.3.4).
    assert.deepEqual(message.properties.subscriptionIdentifiers?.sort(), [1, 1, 268_435_455]);
    await client.expectNothing();
    assert.deepEqual((await other.receive()).properties.subscriptionIdentifiers, [77]);
  }
});

test('[MQTT-3.3.4-3] identifiers come with messages that were queued for an absent client, as they were then', async () => {
  const tree = freshTree();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribeWith([[`${tree}/#`, 1]], [p.subscriptionIdentifier(1)]);
  await first.subscribeWith([[`${tree}/x`, 2]], [p.subscriptionIdentifier(2)]);
  await first.disconnect();
  await using publisher = await Client5.connect(broker);
  await publisher.publish(`${tree}/x`, '', { qos: 1, properties: [p.contentType('t')] });
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  const { properties } = await again.receive();
  assert.deepEqual([properties.subscriptionIdentifiers?.sort(), properties.contentType], [[1, 2], 't']);
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.10.4-1] UNSUBSCRIBE takes filters away that are the same character by character, and no other', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${tree}/#`, 0], [`${tree}/+`, 0]);
  assert.deepEqual(
    await client.unsubscribe(`${tree}/x`, `${tree}/`, tree, `${tree}/#/`, '#'),
    [0x11, 0x11, 0x11, 0x8f, 0x11],
  );
  await client.publish(`${tree}/x`, 'still');
  assert.equal((await client.message()).payload, 'still');
  assert.deepEqual(await client.unsubscribe(`${tree}/#`), [0]);
  await client.publish(`${tree}/x`, 'by +');
  assert.equal((await client.message()).payload, 'by +');
});

test('[MQTT-3.10.4-2] [MQTT-3.10.4-3] what was sent before UNSUBSCRIBE is brought to its end, and nothing is sent behind it', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([tree, 2]);
  await client.publish(tree, 'before', { qos: 2 });
  const { id } = await client.message();
  assert.deepEqual(await client.unsubscribe(tree), [0]);
  await client.publish(tree, 'behind', { qos: 2 });
  client.send(mqtt5.pubrec(id));
  assert.equal(mqtt5.readAcknowledgement(await client.raw.take(mqtt.PUBREL)).id, id);
  client.send(mqtt5.pubcomp(id));
  await client.expectNothing();
});

test('[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] UNSUBACK has a reason code for each filter, in order', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${tree}/a`, 0], [`${tree}/b`, 0]);
  const filters = [`${tree}/b`, `${tree}/c`, `${tree}/a`, `${tree}/b`, 'iotlab/bob/#', 'a/#/b'];
  assert.deepEqual(await client.unsubscribe(...filters), [0, 0x11, 0, 0x11, 0x11, 0x8f]);
});

test('[MQTT-3.9.3-2] as many subscriptions as allowed are granted, and the next are 0x97; others stay', async () => {
  await using own = await startTestBroker({ config: { limits: { subscriptionsPerSession: 2 } } });
  const tree = freshTree();
  await using client = await Client5.connect(own);
  assert.deepEqual(await client.subscribe([`${tree}/a`, 1], [`${tree}/b`, 1]), [1, 1]);
  const { codes, properties } = await client.subscribeWith([
    [`${tree}/c`, 1],
    [`${tree}/a`, 2],
  ]);
  assert.deepEqual(codes, [0x97, 2]);
  assert.match(properties.reasonString ?? '', /subscriptionsPerSession/);
  await expectGoodbye(own, 0x97, [
    mqtt5.subscribe(1, [
      [tree, 0],
      [tree, 1],
      [tree, 2],
    ]),
  ]);
});

test('[MQTT-3.12.4-1] PINGREQ is answered', async () => {
  await using client = await Client5.connect(broker);
  client.send(mqtt.pingreq());
  assert.deepEqual(await client.raw.next(), { type: mqtt.PINGRESP, flags: 0, body: Buffer.alloc(0) });
  await expectGoodbye(broker, 0x81, [mqtt.packet(0xc0, Buffer.from([0]))]);
});
