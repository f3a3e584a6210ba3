import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { expectGoodbye } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapter 4.8.2: shared subscriptions.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/shared/${++topics}`;

test('[MQTT-4.8.2-1] [MQTT-4.8.2-2] a group needs a name without wildcards, and a filter', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  const bad = [
    '$share/',
    '$share//',
    `$share//${topic}`,
    '$share/g',
    '$share/g/',
    `$share/+/${topic}`,
    `$share/#/${topic}`,
  ];
  for (const filter of bad) {
    const { codes, properties } = await client.subscribeWith([[filter, 0]]);
    assert.deepEqual(codes, [0x8f], filter);
    assert.match(properties.reasonString ?? '', /in \$share\/NAME\/FILTER the name has neither/);
  }
  assert.deepEqual(await client.subscribe([`$share/g/${topic}`, 2], [`$share/\u00e4 !/${topic}/#`, 1]), [2, 1]);
});

test('[MQTT-3.8.3-4] No Local with a group is a protocol error', () =>
  expectGoodbye(broker, 0x82, [mqtt5.subscribe(1, [[`$share/g/${freshTopic()}`, 0x04]])]));

test('[MQTT-4.8.2-3] each message goes to one member, at the lower of its QoS and what that one was granted', async () => {
  const topic = freshTopic();
  await using one = await Client5.connect(broker);
  await using other = await Client5.connect(broker);
  await one.subscribe([`$share/g/${topic}`, 0]);
  await other.subscribe([`$share/g/${topic}`, 2]);
  await using publisher = await Client5.connect(broker);
  const got: number[][] = [[], []];
  for (let count = 0; count < 10; count++) await publisher.publish(topic, `${count}`, { qos: 2 });
  for (const [index, client] of [one, other].entries()) {
    for (let count = 0; count < 5; count++) got[index]!.push((await client.receive()).qos);
    await client.expectNothing();
  }
  assert.deepEqual(got, [Array(5).fill(0), Array(5).fill(2)]);
});

test('[MQTT-3.3.4-5] a copy for the group and one for a filter of its own: each with its own identifier', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribeWith([[`$share/g/${topic}`, 1]], [p.subscriptionIdentifier(1)]);
  await client.subscribeWith([[topic, 2]], [p.subscriptionIdentifier(2)]);
  await client.publish(topic, 'x', { qos: 2 });
  const copies = [await client.receive(), await client.receive()];
  const seen = copies.map(({ qos, properties }) => [qos, properties.subscriptionIdentifiers]);
  assert.deepEqual(seen.sort(), [
    [1, [1]],
    [2, [2]],
  ]);
  await client.expectNothing();
});

test('two groups get a copy each, and so do the groups of two users', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([`$share/a/${topic}`, 0], [`$share/b/${topic}`, 0]);
  await client.publish(topic, 'x');
  for (let count = 0; count < 2; count++) assert.equal((await client.receive()).payload, 'x');
  await client.expectNothing();
});

test('what is retained does not come to a group, whatever Retain Handling says', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.publish(topic, 'kept', { retain: true });
  for (const handling of [0x00, 0x10, 0x20])
    assert.deepEqual(await client.subscribe([`$share/g/${topic}`, handling]), [0]);
  await client.expectNothing();
  await client.publish(topic, '', { retain: true });
});

test('Retain As Published holds for a group too', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([`$share/g/${topic}`, 0x08]);
  await client.publish(topic, '', { retain: true });
  assert.equal((await client.receive()).retain, true);
  await client.subscribe([`$share/g/${topic}`, 0]);
  await client.publish(topic, '', { retain: true });
  assert.equal((await client.receive()).retain, false);
});

test('[MQTT-3.10.4-1] one member leaves, and the others get what it would have got', async () => {
  const topic = freshTopic();
  await using one = await Client5.connect(broker);
  await using other = await Client5.connect(broker);
  for (const client of [one, other]) await client.subscribe([`$share/g/${topic}`, 1]);
  assert.deepEqual(await one.unsubscribe(`$share/h/${topic}`, topic, `$share/g/${topic}`), [0x11, 0x11, 0]);
  for (let count = 0; count < 4; count++) {
    await one.publish(topic, `${count}`, { qos: 1 });
    assert.equal((await other.receive()).payload, `${count}`);
  }
  await one.expectNothing();
});

test('[MQTT-4.8.2-4] a QoS 2 message that was begun with one member is brought to its end with it', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await using other = await Client5.connect(broker);
  await first.subscribe([`$share/g/${topic}`, 2]);
  await other.publish(topic, 'begun', { qos: 2 });
  const begun = await first.message();
  await other.subscribe([`$share/g/${topic}`, 2]);
  first.cut();
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  const repeated = await again.receive();
  assert.deepEqual([repeated.id, repeated.payload, repeated.dup], [begun.id, 'begun', true]);
  await other.expectNothing();
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-4.8.2-5] when the session of that member ends before, nobody else gets the message', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await using other = await Client5.connect(broker);
  await first.subscribe([`$share/g/${topic}`, 2]);
  await other.publish(topic, 'begun', { qos: 2 });
  await first.message();
  await other.subscribe([`$share/g/${topic}`, 2]);
  first.cut();
  await (await Client5.connect(broker, { clientId: options.clientId })).disconnect();
  await other.expectNothing();
});

for (const [name, qos, refuse] of [
  ['PUBACK', 1, mqtt5.puback],
  ['PUBREC', 2, mqtt5.pubrec],
] as const) {
  test(`[MQTT-4.8.2-6] a message that one member refuses in ${name} goes to nobody else`, async () => {
    const topic = freshTopic();
    await using one = await Client5.connect(broker);
    await using publisher = await Client5.connect(broker);
    await one.subscribe([`$share/g/${topic}`, 2]);
    await publisher.publish(topic, 'refused', { qos });
    const { id } = await one.message();
    await using other = await Client5.connect(broker);
    await other.subscribe([`$share/g/${topic}`, 2]);
    one.send(refuse(id, 0x97));
    await one.expectNothing();
    await other.expectNothing();
  });
}

test('members of different versions share: the older one gets no properties', async () => {
  const topic = freshTopic();
  await using newer = await Client5.connect(broker);
  await using older = await RawClient.connect(broker);
  await newer.subscribeWith([[`$share/g/${topic}`, 1]], [p.subscriptionIdentifier(3)]);
  await older.subscribe([`$share/g/${topic}`, 1]);
  for (let count = 0; count < 4; count++) {
    await newer.publish(topic, 'x', { qos: 1, properties: [p.contentType('t')] });
  }
  for (let count = 0; count < 2; count++) {
    assert.deepEqual((await newer.receive()).properties, { contentType: 't', subscriptionIdentifiers: [3] });
    assert.equal((await older.receive()).payload, 'x');
  }
  for (const client of [newer.raw, older]) await client.expectNothing();
  void mqtt;
});
