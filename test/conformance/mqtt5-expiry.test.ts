import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, type Client5Options } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTimedBroker } from '../support/timed-broker.js';

// Chapter 3.3.2.3.3: messages that are not to be delivered any more after a while.
const { p } = mqtt5;
const { broker, pass } = useTimedBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/expiry/${++topics}`;
const patient = { keepaliveSeconds: 0 } as const;
const connect = (options: Client5Options = {}) => Client5.connect(broker, { ...patient, ...options });

/** A session that is kept, whose client is away. */
async function sleeper(topic: string, granted = 2): Promise<Client5Options> {
  const options = { clientId: freshId(), properties: [p.sessionExpiry(10_000)] };
  const client = await connect(options);
  await client.subscribe([topic, granted]);
  await client.disconnect();
  return { ...options, cleanStart: false };
}

async function publish(topic: string, payload: string, seconds: number | null, more: mqtt5.Publish5Options = {}) {
  await using publisher = await connect();
  const properties = [...(seconds === null ? [] : [p.messageExpiry(seconds)]), p.contentType('t')];
  return await publisher.publish(topic, payload, { qos: 1, ...more, properties });
}

for (const qos of [0, 1, 2]) {
  test(`[MQTT-3.3.2-6] a message that is delivered at once has the interval that it came with, QoS ${qos}`, async () => {
    const topic = freshTopic();
    await using client = await connect();
    await client.subscribe([topic, 2]);
    for (const seconds of [1, 60, 0xffffffff]) {
      await publish(topic, 'x', seconds, { qos });
      assert.deepEqual((await client.receive()).properties, { messageExpiry: seconds, contentType: 't' });
    }
  });
}

for (const qos of [1, 2]) {
  test(`[MQTT-3.3.2-5] [MQTT-3.3.2-6] in the queue of an absent client its time goes by, QoS ${qos}`, async () => {
    const topic = freshTopic();
    const options = await sleeper(topic);
    for (const [payload, seconds] of [
      ['a', 10],
      ['b', 20],
      ['c', null],
      ['d', 5],
      ['e', 1_000],
    ] as const) {
      await publish(topic, payload, seconds, { qos });
    }
    await pass(10_000);
    const client = await connect(options);
    const seen: (readonly [string, number | undefined])[] = [];
    for (let count = 0; count < 3; count++) {
      const { payload, properties } = await client.receive();
      seen.push([payload, properties.messageExpiry]);
    }
    assert.deepEqual(seen, [
      ['b', 10],
      ['c', undefined],
      ['e', 990],
    ]);
    await client.expectNothing();
    await client.disconnect(0, [p.sessionExpiry(0)]);
  });
}

test('[MQTT-3.3.2-6] what is left is told in whole seconds, at least 1', async () => {
  const topic = freshTopic();
  const options = await sleeper(topic);
  await publish(topic, 'x', 10);
  await pass(9_900);
  const client = await connect(options);
  assert.equal((await client.receive()).properties.messageExpiry, 1);
  await client.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.2-5] expired messages leave the queue without a reader coming, and make room', async () => {
  const topic = freshTopic();
  const options = await sleeper(topic);
  await using publisher = await connect();
  for (let id = 1; id <= 1_020; id++) {
    publisher.send(mqtt5.publish(topic, 'x', { qos: 1, id, properties: [p.messageExpiry(30)] }));
  }
  for (let id = 1; id <= 1_020; id++) await publisher.raw.take(mqtt.PUBACK);
  const session = () => [...broker.parts().sessions.values()].find(({ clientId }) => clientId === options.clientId)!;
  assert.ok(session().outgoing.backlog.queuedMessages >= 1_000);
  await pass(120_000);
  assert.equal(session().outgoing.backlog.queuedMessages, 0);
  assert.equal(session().account.queuedBytes, 0);
  await publish(topic, 'behind', null);
  const client = await connect(options);
  assert.equal((await client.receive()).payload, 'behind');
  await client.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.2-5] behind a full window their time goes by too', async () => {
  const topic = freshTopic();
  await using client = await connect({ properties: [p.receiveMaximum(1)] });
  await client.subscribe([topic, 2]);
  for (const [payload, seconds] of [
    ['first', 5],
    ['expires', 5],
    ['stays', 60],
  ] as const) {
    await publish(topic, payload, seconds);
  }
  const first = await client.message();
  await pass(6_000);
  client.send(mqtt5.puback(first.id));
  const stays = await client.receive();
  assert.deepEqual([stays.payload, stays.properties.messageExpiry], ['stays', 54]);
  await client.expectNothing();
});

for (const qos of [1, 2]) {
  test(`[MQTT-4.3.3-7] [MQTT-4.4.0-1] what was sent before its time was over is sent again behind it, QoS ${qos}`, async () => {
    const topic = freshTopic();
    const options = await sleeper(topic);
    const first = await connect(options);
    await publish(topic, 'begun', 5, { qos });
    const { id } = await first.message();
    first.cut();
    await pass(10_000);
    const again = await connect(options);
    const message = await again.receive();
    assert.deepEqual(
      [message.payload, message.id, message.dup, message.properties.messageExpiry],
      ['begun', id, true, 1],
    );
    await again.expectNothing();
    await again.disconnect(0, [p.sessionExpiry(0)]);
  });
}

test('[MQTT-4.3.3-7] [MQTT-4.3.3-13] an exchange of QoS 2 goes to its end, on both sides', async () => {
  const topic = freshTopic();
  const options = await sleeper(topic);
  const first = await connect(options);
  await using publisher = await connect();
  publisher.send(mqtt5.publish(topic, 'x', { qos: 2, id: 1, properties: [p.messageExpiry(1)] }));
  await publisher.raw.take(mqtt.PUBREC);
  const { id } = await first.message();
  first.send(mqtt5.pubrec(id));
  await first.raw.take(mqtt.PUBREL);
  first.cut();
  await pass(5_000);
  publisher.send(mqtt5.pubrel(1));
  assert.equal(mqtt5.readAcknowledgement(await publisher.raw.take(mqtt.PUBCOMP)).code, 0);
  const again = await connect(options);
  assert.equal(mqtt5.readAcknowledgement(await again.raw.next()).id, id);
  again.send(mqtt5.pubcomp(id));
  await again.expectNothing();
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.2-5] [MQTT-3.3.2-6] a retained message gets older, and is gone when its time is over', async () => {
  const topic = freshTopic();
  await publish(topic, 'kept', 20, { retain: true });
  for (const left of [20, 15, 10]) {
    await using client = await connect();
    await client.subscribe([topic, 0]);
    assert.deepEqual((await client.receive()).properties, { messageExpiry: left, contentType: 't' });
    await pass(5_000);
  }
  await pass(5_000);
  await using client = await connect();
  await client.subscribe([topic, 0]);
  await client.expectNothing();
});

test("[MQTT-3.3.2-5] it leaves what is kept without a reader coming, and its owner's quota", async () => {
  const topic = freshTopic();
  const { retained } = broker.parts().store;
  await publish(topic, 'kept', 20, { retain: true });
  await publish(`${topic}/replaced`, 'old', 20, { retain: true });
  await publish(`${topic}/replaced`, 'new', null, { retain: true });
  assert.ok(retained.get(topic));
  await pass(120_000);
  assert.equal(retained.get(topic), undefined);
  assert.ok(retained.get(`${topic}/replaced`), 'the one in its place has its own time');
});

test('[MQTT-3.3.2-5] one that waits for room in the window is not sent when its time is over', async () => {
  const topic = freshTopic();
  for (const leaf of ['a', 'b', 'c']) await publish(`${topic}/${leaf}`, leaf, 20, { retain: true });
  await using client = await connect({ properties: [p.receiveMaximum(1)] });
  await client.subscribe([`${topic}/#`, 1]);
  const first = await client.message();
  await pass(21_000);
  client.send(mqtt5.puback(first.id));
  await client.expectNothing();
});

test('an interval of 0 is over at once: it is for those who are there', async () => {
  const topic = freshTopic();
  const options = await sleeper(topic);
  await using live = await connect();
  await live.subscribe([topic, 0]);
  await publish(topic, 'now or never', 0, { retain: true });
  assert.equal((await live.receive()).payload, 'now or never');
  const client = await connect(options);
  await client.expectNothing();
  await client.disconnect(0, [p.sessionExpiry(0)]);
  await using late = await connect();
  await late.subscribe([topic, 0]);
  await late.expectNothing();
});

test('earlier versions get what has not expired, without a word of it, and nothing behind its time', async () => {
  const topic = freshTopic();
  const options = { ...patient, clientId: freshId(), clean: false };
  const first = await RawClient.connect(broker, options);
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await publish(topic, 'expires', 5);
  await publish(topic, 'stays', 60);
  await pass(10_000);
  const again = await RawClient.connect(broker, options);
  assert.equal((await again.receive()).payload, 'stays');
  await again.expectNothing();
  await again.disconnect();
  await (await RawClient.connect(broker, { ...options, clean: true })).disconnect();
});

test("the time of a shared subscription's message goes by as well", async () => {
  const topic = freshTopic();
  const options = await sleeper(`$share/g/${topic}`);
  await publish(topic, 'expires', 5);
  await publish(topic, 'stays', 60);
  await pass(10_000);
  const client = await connect(options);
  const { payload, properties } = await client.receive();
  assert.deepEqual([payload, properties.messageExpiry], ['stays', 50]);
  await client.expectNothing();
  await client.disconnect(0, [p.sessionExpiry(0)]);
});
