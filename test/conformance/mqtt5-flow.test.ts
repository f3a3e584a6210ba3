import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import { startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId } from '../support/raw-client.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapter 4.9 and Receive Maximum: how much is on its way, in both directions.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/flow/${++topics}`;
const answer = async (client: Client5, type: number) => mqtt5.readAcknowledgement(await client.raw.take(type));

async function publishAll(topic: string, payloads: readonly string[], qos: number): Promise<void> {
  await using publisher = await Client5.connect(broker);
  for (const payload of payloads) await publisher.publish(topic, payload, { qos });
}
const numbered = (count: number, from = 1) => Array.from({ length: count }, (_, i) => `${from + i}`);

for (const maximum of [1, 2, 7, 20]) {
  for (const qos of [1, 2]) {
    test(`[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] a client that takes ${maximum} gets no more of QoS ${qos} before it acknowledges`, async () => {
      const topic = freshTopic();
      await using client = await Client5.connect(broker, { properties: [p.receiveMaximum(maximum)] });
      await client.subscribe([topic, 2]);
      await publishAll(topic, numbered(maximum + 2), qos);
      const open: number[] = [];
      for (let count = 1; count <= maximum; count++) {
        const message = await client.message();
        assert.equal(message.payload, `${count}`);
        open.push(message.id);
      }
      await client.expectNothing('the window is full');
      for (let count = maximum + 1; count <= maximum + 2; count++) {
        const id = open.shift()!;
        if (qos === 1) client.send(mqtt5.puback(id));
        else {
          client.send(mqtt5.pubrec(id));
          assert.equal((await answer(client, mqtt.PUBREL)).id, id);
          await client.expectNothing('PUBREC without an error makes no room');
          client.send(mqtt5.pubcomp(id));
        }
        const next = await client.message();
        assert.equal(next.payload, `${count}`);
        open.push(next.id);
        await client.expectNothing();
      }
    });
  }
}

test('[MQTT-3.3.4-9] a client that says nothing, or more, gets as many as the broker sends to anybody', async () => {
  for (const properties of [[], [p.receiveMaximum(65_535)]]) {
    const topic = freshTopic();
    await using client = await Client5.connect(broker, { properties });
    await client.subscribe([topic, 1]);
    await publishAll(topic, numbered(25), 1);
    for (let count = 1; count <= 20; count++) assert.equal((await client.message()).payload, `${count}`);
    await client.expectNothing();
  }
});

test('[MQTT-4.9.0-2] PUBACK and PUBREC with an error make room', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.receiveMaximum(1)] });
  await client.subscribe([topic, 2]);
  await publishAll(topic, numbered(2), 1);
  await publishAll(topic, numbered(2, 3), 2);
  client.send(mqtt5.puback((await client.message()).id, 0x80));
  client.send(mqtt5.puback((await client.message()).id, 0x97));
  client.send(mqtt5.pubrec((await client.message()).id, 0x97));
  assert.equal((await client.message()).payload, '4');
});

test('[MQTT-3.3.4-9] QoS 0 is not counted', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.receiveMaximum(1)] });
  await client.subscribe([`${topic}/0`, 0], [`${topic}/1`, 1]);
  await publishAll(`${topic}/0`, numbered(5), 0);
  for (let count = 0; count < 5; count++) await client.message();
  await publishAll(`${topic}/1`, ['one'], 1);
  await publishAll(`${topic}/0`, ['more'], 0);
  assert.deepEqual([(await client.message()).payload, (await client.message()).payload], ['one', 'more']);
});

test('[MQTT-3.3.4-10] [MQTT-4.9.0-3] with a full window everything but PUBLISH goes on', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.receiveMaximum(1)] });
  await client.subscribe([topic, 2]);
  await publishAll(topic, ['x'], 2);
  const { id } = await client.message();
  assert.deepEqual(await client.subscribe([freshTopic(), 1]), [1]);
  assert.deepEqual(await client.unsubscribe(freshTopic()), [0x11]);
  assert.equal(await client.publish(freshTopic(), '', { qos: 2 }), 0x10);
  await client.expectNothing();
  client.send(mqtt5.pubrec(id));
  assert.equal((await answer(client, mqtt.PUBREL)).id, id);
});

test('[MQTT-3.3.4-9] a client that comes back and takes fewer than are in flight gets so many, with DUP, and the rest in order', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribe([topic, 1]);
  await publishAll(topic, numbered(8), 1);
  const ids = new Map<string, number>();
  for (let count = 0; count < 8; count++) {
    const { payload, id } = await first.message();
    ids.set(payload, id);
  }
  first.cut();
  const properties = [...options.properties, p.receiveMaximum(3)];
  const again = await Client5.connect(broker, { ...options, cleanStart: false, properties });
  await publishAll(topic, ['9'], 1);
  const open: number[] = [];
  for (let count = 1; count <= 9; count++) {
    if (count > 3) {
      await again.expectNothing();
      again.send(mqtt5.puback(open.shift()!));
    }
    const message = await again.message();
    assert.deepEqual([message.payload, message.dup], [`${count}`, count <= 8]);
    if (count <= 8) assert.equal(message.id, ids.get(message.payload), 'under the same packet id');
    open.push(message.id);
  }
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.4-9] and what it has begun at QoS 2 counts until PUBCOMP', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribe([topic, 2]);
  await publishAll(topic, numbered(4), 2);
  const begun = await first.message();
  first.send(mqtt5.pubrec(begun.id));
  await answer(first, mqtt.PUBREL);
  first.cut();
  const properties = [...options.properties, p.receiveMaximum(2)];
  const again = await Client5.connect(broker, { ...options, cleanStart: false, properties });
  assert.equal((await answer(again, mqtt.PUBREL)).id, begun.id);
  const two = await again.message();
  assert.deepEqual([two.payload, two.dup], ['2', true]);
  await again.expectNothing();
  again.send(mqtt5.pubcomp(begun.id));
  const three = await again.message();
  assert.deepEqual([three.payload, three.dup], ['3', true]);
  await again.expectNothing();
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.3.4-9] what is retained keeps to it too', async () => {
  const topic = freshTopic();
  await using publisher = await Client5.connect(broker);
  for (const leaf of numbered(6)) await publisher.publish(`${topic}/${leaf}`, leaf, { qos: 1, retain: true });
  await using client = await Client5.connect(broker, { properties: [p.receiveMaximum(2)] });
  await client.subscribe([`${topic}/#`, 1]);
  const open: number[] = [];
  for (let count = 1; count <= 6; count++) {
    if (count > 2) {
      await client.expectNothing();
      client.send(mqtt5.puback(open.shift()!));
    }
    open.push((await client.message()).id);
  }
  for (const leaf of numbered(6)) await publisher.publish(`${topic}/${leaf}`, '', { retain: true });
});

test('[MQTT-3.3.4-7] a client that sends more of QoS 2 than CONNACK allowed, without releasing, is told 0x93', async () => {
  await using own = await startTestBroker({ config: { limits: { receiveMaximum: 5 } } });
  await using client = await Client5.connect(own);
  assert.equal(client.connack.properties.receiveMaximum, 5);
  for (let id = 1; id <= 5; id++) {
    client.send(mqtt5.publish(freshTopic(), '', { qos: 2, id }));
    assert.equal((await answer(client, mqtt.PUBREC)).id, id);
  }
  client.send(mqtt5.publish(freshTopic(), '', { qos: 2, id: 6 }));
  assert.match((await client.expectDisconnect(0x93)).reasonString ?? '', /5 messages/);
});

test('[MQTT-3.3.4-7] what is released, denied or sent again does not count', async () => {
  await using own = await startTestBroker({ config: { limits: { receiveMaximum: 2 } } });
  await using client = await Client5.connect(own);
  const topic = freshTopic();
  for (let count = 0; count < 10; count++) {
    await client.publish(topic, '', { qos: 2 });
    await client.publish(topic, '', { qos: 1 });
    assert.equal(await client.publish('iotlab/bob/x', '', { qos: 2 }), 0x87);
  }
  for (const id of [101, 102]) {
    for (const dup of [false, true, true]) {
      client.send(mqtt5.publish(topic, '', { qos: 2, id, dup }));
      assert.equal((await answer(client, mqtt.PUBREC)).id, id);
    }
  }
  // PUBREL for what is not known makes no room.
  for (const id of [1, 2, 3]) {
    client.send(mqtt5.pubrel(id));
    assert.equal((await answer(client, mqtt.PUBCOMP)).code, 0x92);
  }
  client.send(mqtt5.pubrel(101));
  assert.equal((await answer(client, mqtt.PUBCOMP)).code, 0);
  client.send(mqtt5.publish(topic, '', { qos: 2, id: 103 }));
  assert.equal((await answer(client, mqtt.PUBREC)).id, 103);
  client.send(mqtt5.publish(topic, '', { qos: 2, id: 104 }));
  await client.expectDisconnect(0x93);
});

test('[MQTT-3.3.4-7] a new connection begins anew, whatever its session has received and not seen released', async () => {
  await using own = await startTestBroker({ config: { limits: { receiveMaximum: 2 } } });
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const topic = freshTopic();
  const first = await Client5.connect(own, options);
  for (const id of [1, 2]) {
    first.send(mqtt5.publish(topic, '', { qos: 2, id }));
    await answer(first, mqtt.PUBREC);
  }
  first.cut();
  await using again = await Client5.connect(own, { ...options, cleanStart: false });
  for (const id of [1, 2]) {
    again.send(mqtt5.pubrel(id));
    assert.equal((await answer(again, mqtt.PUBCOMP)).code, 0);
  }
  for (const id of [3, 4]) {
    again.send(mqtt5.publish(topic, '', { qos: 2, id }));
    assert.equal((await answer(again, mqtt.PUBREC)).id, id);
  }
  again.send(mqtt5.publish(topic, '', { qos: 2, id: 5 }));
  await again.expectDisconnect(0x93);
});

test('[MQTT-3.3.4-7] QoS 1 counts until it is answered, which is when it is on disk', async () => {
  await using own = await startDiskBroker({ limits: { receiveMaximum: 3 } });
  const topic = freshTopic();
  const sleeper = await Client5.connect(own, { clientId: freshId(), properties: [p.sessionExpiry(60)] });
  await sleeper.subscribe([topic, 1]);
  await sleeper.disconnect();
  await using client = await Client5.connect(own);
  for (let id = 1; id <= 10; id++) assert.equal(await client.publish(topic, '', { qos: 1 }), 0);
  const held = own.holdWrites();
  for (let id = 21; id <= 23; id++) client.send(mqtt5.publish(topic, '', { qos: 1, id }));
  await client.expectNothing('three are allowed');
  client.send(mqtt5.publish(topic, '', { qos: 1, id: 24 }));
  await client.expectDisconnect(0x93);
  held.release();
});

test('where nothing is said, as many as there are packet ids may be open', async () => {
  await using client = await Client5.connect(broker);
  assert.equal(client.connack.properties.receiveMaximum, undefined);
  const topic = freshTopic();
  for (let id = 1; id <= 5_000; id++) client.send(mqtt5.publish(topic, '', { qos: 2, id }));
  for (let id = 1; id <= 5_000; id++) assert.equal((await answer(client, mqtt.PUBREC)).id, id);
});
