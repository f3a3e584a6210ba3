import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// MQTT 3.1 (`MQIsdp`, level 3): what mosquitto_pub 1.4.15 and Contiki-NG speak.
const broker = useTestBroker();

let topics = 0;
const freshTopic = () => `iotlab/alice/mqtt31/${++topics}`;

test('MQTT 3.1: CONNECT is answered with 20 02 00 00', async () => {
  const { client, bytes } = await RawClient.attempt(broker, { level: 3 });
  await using _ = client;
  assert.deepEqual([...bytes], [0, 0]);
});

test('MQTT 3.1: CONNACK has no session present flag, also when there is a session', async () => {
  const first = await RawClient.connect(broker, { level: 3, clean: false });
  await first.subscribe([freshTopic(), 1]);
  await first.disconnect();
  const { client, bytes } = await RawClient.attempt(broker, { level: 3, clean: false, clientId: first.clientId });
  await using _ = client;
  assert.deepEqual([...bytes], [0, 0]);
});

for (const clean of [true, false]) {
  test(`MQTT 3.1: an empty client id is answered with CONNACK 2 (clean ${clean})`, async () => {
    const { client, bytes } = await RawClient.attempt(broker, { level: 3, clientId: '', clean });
    assert.deepEqual([...bytes], [0, 2]);
    await client.expectClose();
  });
}

test('MQTT 3.1: level 4 under the name MQIsdp is answered with CONNACK 1', async () => {
  const { client, bytes } = await RawClient.attempt(broker, { level: 3, levelByte: 4 });
  assert.deepEqual([...bytes], [0, 1]);
  await client.expectClose();
});

test('MQTT 3.1: a client id of 23 characters passes', async () => {
  await using client = await RawClient.connect(broker, { level: 3, clientId: freshId('x').padEnd(23, 'y') });
  await client.expectNothing();
});

test('MQTT 3.1: a denied filter gets 0x80 in the SUBACK', async () => {
  await using client = await RawClient.connect(broker, { level: 3 });
  assert.deepEqual(await client.subscribe([freshTopic(), 2], ['iotlab/bob/#', 1]), [2, 0x80]);
});

for (const qos of [0, 1, 2]) {
  test(`MQTT 3.1: QoS ${qos} from 3.1 to 3.1.1 and back`, async () => {
    const topic = freshTopic();
    await using old = await RawClient.connect(broker, { level: 3 });
    await using young = await RawClient.connect(broker, { level: 4 });
    for (const client of [old, young]) await client.subscribe([topic, qos]);
    for (const publisher of [old, young]) {
      const payload = `from ${publisher.clientId}`;
      await publisher.publish(topic, payload, { qos });
      for (const client of [old, young]) {
        const message = await client.receive();
        assert.deepEqual([message.payload, message.qos], [payload, qos]);
      }
    }
    for (const client of [old, young]) await client.expectNothing();
  });
}

test('MQTT 3.1: DUP on SUBSCRIBE, UNSUBSCRIBE and PUBREL is allowed there, as 3.1 says in 3.8, 3.10 and 3.6', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker, { level: 3 });
  client.send(mqtt.packet(0x8a, mqtt.u16(1), mqtt.field(topic), Buffer.from([0])));
  assert.equal((await client.next()).type, mqtt.SUBACK);
  client.send(mqtt.publish(topic, 'x', { qos: 2, id: 2 }));
  await client.take(mqtt.PUBREC);
  client.send(mqtt.packet(0x6a, mqtt.u16(2)));
  await client.take(mqtt.PUBCOMP);
  assert.equal((await client.message()).payload, 'x');
  client.send(mqtt.packet(0xaa, mqtt.u16(3), mqtt.field(topic)));
  assert.equal((await client.next()).type, mqtt.UNSUBACK);
});

test('MQTT 3.1: retained message, Will and stored session work as in 3.1.1', async () => {
  const topic = freshTopic();
  const watcher = await RawClient.connect(broker, { level: 3, clean: false });
  await watcher.subscribe([topic, 1]);
  await watcher.disconnect();
  const will = { topic, payload: 'gone', qos: 1, retain: true };
  const client = await RawClient.connect(broker, { level: 3, will });
  client.cut();
  await using again = await RawClient.connect(broker, { level: 3, clean: false, clientId: watcher.clientId });
  const waiting = await again.receive();
  assert.deepEqual([waiting.payload, waiting.qos, waiting.retain], ['gone', 1, false]);
  await again.subscribe([topic, 1]);
  const kept = await again.receive();
  assert.deepEqual([kept.payload, kept.qos, kept.retain], ['gone', 1, true]);
});

test('MQTT 3.1: a session goes on in 3.1.1', async () => {
  const topic = freshTopic();
  const old = await RawClient.connect(broker, { level: 3, clean: false });
  await old.subscribe([topic, 1]);
  await old.disconnect();
  await using publisher = await RawClient.connect(broker, { level: 3 });
  await publisher.publish(topic, 'x', { qos: 1 });
  const { client, sessionPresent } = await RawClient.attempt(broker, { clean: false, clientId: old.clientId });
  await using young = client;
  assert.equal(sessionPresent, true);
  assert.equal((await young.receive()).payload, 'x');
});

test('MQTT 3.1: a second CONNECT, and a packet of QoS 3, close the connection', async () => {
  for (const bytes of [
    mqtt.connect({ level: 3, clientId: 'x' }),
    mqtt.packet(0x36, mqtt.field('iotlab/alice/a'), mqtt.u16(1)),
    mqtt.subscribe(0, ['iotlab/alice/a', 0]),
    mqtt.publish('iotlab/alice/#', 'x'),
  ]) {
    await using client = await RawClient.connect(broker, { level: 3 });
    client.send(bytes);
    await client.expectClose();
  }
});
