import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

let topics = 0;
const freshTopic = () => `iotlab/alice/subscribe/${++topics}`;

async function closes(...bytes: Uint8Array[]): Promise<void> {
  await using client = await RawClient.connect(broker);
  client.send(...bytes);
  await client.expectClose();
}

test('[MQTT-3.8.3-3] a SUBSCRIBE without a filter closes the connection', () => closes(mqtt.subscribe(1)));
test('[MQTT-3.8.3-3] a SUBSCRIBE whose filter has no QoS closes the connection', () =>
  closes(mqtt.packet(0x82, mqtt.u16(1), mqtt.field('iotlab/alice/a'))));
test('[MQTT-3.8.3-3] a SUBSCRIBE whose second filter has no QoS closes the connection', () =>
  closes(mqtt.packet(0x82, mqtt.u16(1), mqtt.field('iotlab/alice/a'), Buffer.from([0]), mqtt.field('iotlab/alice/b'))));
for (const options of [3, 4, 0x80, 0x41, 0xff]) {
  test(`[MQTT-3-8.3-4] the requested QoS byte ${options} closes the connection`, () =>
    closes(mqtt.subscribe(1, ['iotlab/alice/a', options])));
}

test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] a SUBSCRIBE is answered with a SUBACK of its packet id', async () => {
  await using client = await RawClient.connect(broker);
  client.send(mqtt.subscribe(0x1234, [freshTopic(), 1]));
  const { type, flags, body } = await client.next();
  assert.deepEqual([type, flags, ...body], [mqtt.SUBACK, 0, 0x12, 0x34, 1]);
});

test('[MQTT-3.8.4-3] the same filter again replaces the subscription and brings the retained message again', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.publish(topic, 'kept', { qos: 1, retain: true });
  assert.deepEqual(await client.subscribe([topic, 0]), [0]);
  assert.equal((await client.message()).payload, 'kept');
  assert.deepEqual(await client.subscribe([topic, 1]), [1]);
  const again = await client.receive();
  assert.deepEqual([again.payload, again.qos, again.retain], ['kept', 1, true]);
  await client.publish(topic, 'live', { qos: 1 });
  assert.equal((await client.receive()).qos, 1);
  await client.expectNothing('one copy only');
  assert.deepEqual(await client.subscribe([topic, 0]), [0]);
  assert.equal((await client.receive()).qos, 0);
  await client.publish(topic, 'live', { qos: 1 });
  assert.equal((await client.receive()).qos, 0);
  await client.expectNothing('one copy only');
});

test('[MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] ten filters get ten return codes, in order', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  const wanted = [0, 1, 2, 2, 1, 0, 1, 2, 0, 1] as const;
  assert.deepEqual(await client.subscribe(...wanted.map((qos, index) => [`${topic}/${index}`, qos] as const)), [
    ...wanted,
  ]);
  for (const [index, qos] of wanted.entries()) {
    await client.publish(`${topic}/${index}`, 'x', { qos: 2 });
    assert.equal((await client.receive()).qos, qos);
  }
});

test('[MQTT-3.8.4-5] [MQTT-3.9.3-2] denied filters among good ones get 0x80, the others are granted', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  const codes = await client.subscribe(['#', 2], [topic, 1], ['iotlab/bob/#', 0], ['iotlab/alice', 2], ['+/x', 0]);
  assert.deepEqual(codes, [0x80, 1, 0x80, 2, 0x80]);
  await client.publish(topic, 'x', { qos: 2 });
  assert.equal((await client.receive()).qos, 1);
});

for (const published of [0, 1, 2]) {
  for (const granted of [0, 1, 2]) {
    test(`[MQTT-3.8.4-6] published at QoS ${published}, granted ${granted}: delivered at the lower`, async () => {
      const topic = freshTopic();
      await using client = await RawClient.connect(broker);
      assert.deepEqual(await client.subscribe([topic, granted]), [granted]);
      await client.publish(topic, 'live', { qos: published });
      assert.equal((await client.receive()).qos, Math.min(published, granted));
      await client.publish(topic, 'kept', { qos: published, retain: true });
      assert.equal((await client.receive()).qos, Math.min(published, granted));
      await using late = await RawClient.connect(broker);
      await late.subscribe([topic, granted]);
      const kept = await late.receive();
      assert.deepEqual([kept.qos, kept.retain], [Math.min(published, granted), true]);
    });
  }
}

for (const filter of ['iotlab/alice/#/b', 'iotlab/alice/b#', 'iotlab/alice/a+', 'iotlab/alice/+a', 'a/#/b', '##', '']) {
  test(`[MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1] the filter '${filter}' closes the connection`, () =>
    closes(mqtt.subscribe(1, ['iotlab/alice/good', 0], [filter, 0])));
}

test('[MQTT-3.10.3-2] an UNSUBSCRIBE without a filter closes the connection', () => closes(mqtt.unsubscribe(1)));

test('[MQTT-3.10.4-1] UNSUBSCRIBE compares character by character', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([`${topic}/+`, 0]);
  await client.unsubscribe(`${topic}/a`, `${topic}/#`, `${topic}/+/`, topic);
  await client.publish(`${topic}/a`, 'still', { qos: 1 });
  assert.equal((await client.receive()).payload, 'still');
  await client.unsubscribe(`${topic}/+`);
  await client.publish(`${topic}/a`, 'gone', { qos: 1 });
  await client.expectNothing();
});

test('[MQTT-3.10.4-2] after UNSUBACK no new message is delivered, also not to a stored session', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker, { clean: false });
  await client.subscribe([topic, 1]);
  await client.unsubscribe(topic);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 1 });
  await client.expectNothing();
  await client.disconnect();
  await publisher.publish(topic, 'y', { qos: 1 });
  await using again = await RawClient.connect(broker, { clientId: client.clientId, clean: false });
  await again.expectNothing();
});

test('[MQTT-3.10.4-3] a QoS 2 flow that has begun is finished after UNSUBSCRIBE', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([topic, 2]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos: 2 });
  const { id } = await client.message();
  await client.unsubscribe(topic);
  client.send(mqtt.pubrec(id));
  assert.equal((await client.next()).type, mqtt.PUBREL);
  client.send(mqtt.pubcomp(id));
  await client.expectNothing();
});

test('[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] one UNSUBACK, also when nothing was subscribed', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  client.send(mqtt.unsubscribe(0x4321, topic, `${topic}/a`, '#', 'iotlab/bob/#'));
  const { type, flags, body } = await client.next();
  assert.deepEqual([type, flags, ...body], [mqtt.UNSUBACK, 0, 0x43, 0x21]);
  await client.expectNothing();
});

test('[MQTT-3.10.4-6] one UNSUBSCRIBE of several filters removes each of them', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker);
  await client.subscribe([`${topic}/a`, 0], [`${topic}/b`, 0], [`${topic}/c`, 0]);
  await client.unsubscribe(`${topic}/a`, `${topic}/c`);
  for (const leaf of ['a', 'b', 'c']) await client.publish(`${topic}/${leaf}`, leaf, { qos: 1 });
  assert.equal((await client.receive()).payload, 'b');
  await client.expectNothing();
});

test('[MQTT-3.12.4-1] PINGREQ is answered with PINGRESP', async () => {
  await using client = await RawClient.connect(broker);
  client.send(mqtt.pingreq(), mqtt.pingreq());
  for (let count = 0; count < 2; count += 1) {
    const { type, flags, body } = await client.next();
    assert.deepEqual([type, flags, body.length], [mqtt.PINGRESP, 0, 0]);
  }
});

test('a shared subscription gives each message to one member of its group', async () => {
  const topic = freshTopic();
  await using one = await RawClient.connect(broker);
  await using two = await RawClient.connect(broker);
  await using alone = await RawClient.connect(broker);
  const filter = `$share/group/${topic}`;
  assert.deepEqual(await one.subscribe([filter, 1]), [1]);
  assert.deepEqual(await two.subscribe([filter, 1]), [1]);
  assert.deepEqual(await alone.subscribe([topic, 1]), [1]);
  await using publisher = await RawClient.connect(broker);
  for (let count = 0; count < 10; count += 1) await publisher.publish(topic, `${count}`, { qos: 1 });
  const seen: string[] = [];
  for (let count = 0; count < 5; count += 1) seen.push((await one.receive()).payload, (await two.receive()).payload);
  assert.deepEqual(
    seen.map(Number).sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  await one.expectNothing();
  await two.expectNothing();
  for (let count = 0; count < 10; count += 1) assert.equal((await alone.receive()).payload, `${count}`);
});

test('a shared subscription gets no retained message, and goes on without a member that has left', async () => {
  const topic = freshTopic();
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'kept', { qos: 1, retain: true });
  await using one = await RawClient.connect(broker);
  await using two = await RawClient.connect(broker);
  await one.subscribe([`$share/group/${topic}`, 1]);
  await two.subscribe([`$share/group/${topic}`, 1]);
  await one.expectNothing();
  await one.disconnect();
  for (let count = 0; count < 4; count += 1) await publisher.publish(topic, `${count}`, { qos: 1 });
  for (let count = 0; count < 4; count += 1) assert.equal((await two.receive()).payload, `${count}`);
});
