import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt5 from '../support/packets5.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapters 3.3.1.3 and 3.8.3.1: what is retained, and who gets it when.
const { p } = mqtt5;
const broker = useTestBroker();
let trees = 0;
const freshTree = () => `iotlab/alice/retained/${++trees}`;
const RETAIN_AS_PUBLISHED = 0x08;
const handling = (value: number) => value << 4;

/** What a new subscriber gets: payloads in the order of their topics. */
async function kept(filter: string): Promise<string[]> {
  await using client = await Client5.connect(broker);
  await client.subscribe([filter, 0], ['iotlab/alice/mark', 0]);
  await client.publish('iotlab/alice/mark', 'mark');
  const payloads: [string, string][] = [];
  for (;;) {
    const { topic, payload, retain } = await client.message();
    if (payload === 'mark') return payloads.sort().map(([, last]) => last);
    assert.equal(retain, true);
    payloads.push([topic, payload]);
  }
}

test('[MQTT-3.3.1-5] a retained message takes the place of the one before, properties too', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/x`, 'first', {
    qos: 1,
    retain: true,
    properties: [p.contentType('a'), p.messageExpiry(99)],
  });
  await client.publish(`${tree}/x`, 'second', { qos: 2, retain: true, properties: [p.userProperty('b', 'c')] });
  await client.subscribe([`${tree}/#`, 2]);
  const { payload, qos, retain, properties } = await client.receive();
  assert.deepEqual([payload, qos, retain, properties], ['second', 2, true, { user: [['b', 'c']] }]);
  await client.expectNothing();
});

test('[MQTT-3.3.1-6] [MQTT-3.3.1-7] an empty payload deletes what is kept, is delivered, and not kept', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/x`, 'kept', { qos: 1, retain: true });
  await client.subscribe([`${tree}/#`, 1 | handling(2)]);
  await client.publish(`${tree}/x`, '', { qos: 1, retain: true, properties: [p.contentType('empty')] });
  const { payload, properties } = await client.receive();
  assert.deepEqual([payload, properties], ['', { contentType: 'empty' }]);
  assert.deepEqual(await kept(`${tree}/#`), []);
});

test('[MQTT-3.3.1-8] without RETAIN nothing is kept, replaced or deleted', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/x`, 'kept', { qos: 1, retain: true });
  await client.publish(`${tree}/x`, 'passing', { qos: 1 });
  await client.publish(`${tree}/x`, '', { qos: 1 });
  await client.publish(`${tree}/y`, 'passing', { qos: 1 });
  assert.deepEqual(await kept(`${tree}/#`), ['kept']);
});

test('[MQTT-3.3.1-9] Retain Handling 0: they come, each time', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  for (const leaf of ['a', 'b']) await client.publish(`${tree}/${leaf}`, leaf, { qos: 1, retain: true });
  for (let count = 0; count < 2; count++) {
    await client.subscribe([`${tree}/+`, 1]);
    const messages = [await client.receive(), await client.receive()];
    assert.deepEqual(messages.map(({ payload }) => payload).sort(), ['a', 'b']);
    assert.ok(messages.every(({ retain, qos }) => retain && qos === 1));
    await client.expectNothing();
  }
});

test('[MQTT-3.3.1-10] Retain Handling 1: they come when the subscription is new', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/a`, 'a', { qos: 1, retain: true });
  await client.subscribe([`${tree}/+`, 1 | handling(1)]);
  assert.equal((await client.receive()).payload, 'a');
  await client.subscribe([`${tree}/+`, 0 | handling(1)]);
  await client.expectNothing('the subscription was there');
  await client.subscribeWith([[`${tree}/+`, 0 | handling(1)]], [p.subscriptionIdentifier(3)]);
  await client.expectNothing('a new identifier does not make it new');
  await client.unsubscribe(`${tree}/+`);
  await client.subscribe([`${tree}/+`, 0 | handling(1)]);
  assert.equal((await client.receive()).payload, 'a');
  await client.subscribe([`${tree}/a`, 0 | handling(1)]);
  assert.equal((await client.receive()).payload, 'a', 'another filter is another subscription');
});

test('[MQTT-3.3.1-10] in one SUBSCRIBE the second of the same filter is not new', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/a`, 'a', { qos: 1, retain: true });
  await client.subscribe([`${tree}/+`, 0 | handling(1)], [`${tree}/+`, 0 | handling(1)]);
  assert.equal((await client.receive()).payload, 'a');
  await client.expectNothing();
});

test('[MQTT-3.3.1-10] a session that is resumed has its subscriptions', async () => {
  const tree = freshTree();
  const options = { clientId: `handling-${process.pid}`, properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.publish(`${tree}/a`, 'a', { qos: 1, retain: true });
  await first.subscribe([`${tree}/+`, 0 | handling(1)]);
  await first.receive();
  await first.disconnect();
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  await again.subscribe([`${tree}/+`, 0 | handling(1)]);
  await again.expectNothing();
  await again.disconnect();
  await using anew = await Client5.connect(broker, { clientId: options.clientId });
  await anew.subscribe([`${tree}/+`, 0 | handling(1)]);
  assert.equal((await anew.receive()).payload, 'a');
});

test('[MQTT-3.3.1-11] Retain Handling 2: they do not come', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/a`, 'a', { qos: 1, retain: true });
  await client.subscribe([`${tree}/+`, 1 | handling(2)]);
  await client.expectNothing();
  await client.subscribe([`${tree}/+`, 1 | handling(2)]);
  await client.expectNothing();
});

for (const qos of [0, 1, 2]) {
  test(`[MQTT-3.3.1-12] [MQTT-3.3.1-13] Retain As Published keeps the flag of live messages, QoS ${qos}`, async () => {
    const tree = freshTree();
    await using asPublished = await Client5.connect(broker);
    await using plain = await Client5.connect(broker);
    await asPublished.subscribe([`${tree}/#`, qos | RETAIN_AS_PUBLISHED]);
    await plain.subscribe([`${tree}/#`, qos]);
    await using publisher = await Client5.connect(broker);
    for (const retain of [true, false]) {
      for (const properties of [[], [p.contentType('x')]]) {
        await publisher.publish(`${tree}/a`, 'x', { qos, retain, properties });
        assert.equal((await asPublished.receive()).retain, retain);
        assert.equal((await plain.receive()).retain, false);
      }
    }
  });
}

test('Retain As Published of one of several filters that match is enough', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${tree}/#`, 0], [`${tree}/a`, 0 | RETAIN_AS_PUBLISHED]);
  await client.publish(`${tree}/a`, 'x', { retain: true });
  assert.equal((await client.receive()).retain, true);
  await client.expectNothing();
});

test('Retain As Published has no say in what comes for a new subscription: that has RETAIN', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/a`, 'x', { retain: true });
  for (const options of [0, RETAIN_AS_PUBLISHED]) {
    await client.subscribe([`${tree}/a`, options]);
    assert.equal((await client.receive()).retain, true);
  }
});

test('[MQTT-3.3.4-3] retained messages have the identifier of the subscription that they come for, and no other', async () => {
  const tree = freshTree();
  await using client = await Client5.connect(broker);
  await client.publish(`${tree}/a`, 'x', { retain: true, properties: [p.contentType('t')] });
  await client.subscribeWith([[`${tree}/#`, 0]], [p.subscriptionIdentifier(1)]);
  assert.deepEqual((await client.receive()).properties, { contentType: 't', subscriptionIdentifiers: [1] });
  await client.subscribeWith([[`${tree}/a`, 0]], [p.subscriptionIdentifier(2)]);
  assert.deepEqual((await client.receive()).properties.subscriptionIdentifiers, [2]);
  await client.subscribe([`${tree}/a`, 0]);
  assert.equal((await client.receive()).properties.subscriptionIdentifiers, undefined);
});

test('[MQTT-3.4.2-1] a retained message beyond the quota is 0x97, and what was kept stays', async () => {
  await using own = await startTestBroker({ config: { limits: { retainedMessagesPerUser: 1 } } });
  await using client = await Client5.connect(own);
  const topic = 'iotlab/alice/one';
  assert.equal(await client.publish(topic, 'kept', { qos: 1, retain: true }), 0x10);
  const denied = await client.publishWith('iotlab/alice/two', 'x', { qos: 1, retain: true });
  assert.equal(denied.code, 0x97);
  assert.match(denied.properties.reasonString ?? '', /retained/);
  assert.equal(await client.publish('iotlab/alice/two', 'x', { qos: 2, retain: true }), 0x97);
  assert.equal(await client.publish(topic, 'other', { qos: 2, retain: true }), 0x10, 'in its place');
  assert.equal(await client.publish('iotlab/alice/two', '', { qos: 1, retain: true }), 0x10, 'a deletion');
  await client.subscribe(['iotlab/alice/#', 0]);
  assert.equal((await client.receive()).payload, 'other');
  await client.expectNothing();
});
