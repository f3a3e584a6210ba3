// Answers that promise something wait until it is on disk. Each test holds the disk's writes and shows by a later event,
// an answer that needs no disk, that the promise has not left before them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';

const persistent = { ...patient, clean: false };

test('SUBACK leaves when the subscription of a persistent session is on disk', async () => {
  await using broker = await startDiskBroker();
  await using client = await RawClient.connect(broker, persistent);
  const disk = broker.holdWrites();
  client.send(mqtt.subscribe(1, ['iotlab/alice/x', 1]));
  await client.expectNothing('no SUBACK before the disk has it');
  disk.release();
  const { type, body } = await client.next();
  assert.deepEqual([type, ...body], [mqtt.SUBACK, 0, 1, 1]);
});

test('UNSUBACK leaves when it is on disk that the subscription is gone', async () => {
  await using broker = await startDiskBroker();
  await using client = await RawClient.connect(broker, persistent);
  await client.subscribe(['iotlab/alice/x', 1]);
  const disk = broker.holdWrites();
  client.send(mqtt.unsubscribe(2, 'iotlab/alice/x'));
  await client.expectNothing('no UNSUBACK before the disk has it');
  disk.release();
  const { type, body } = await client.next();
  assert.deepEqual([type, ...body], [mqtt.UNSUBACK, 0, 2]);
});

for (const [what, options] of [
  ['a new persistent session', persistent],
  ['a clean session with a Will', { ...patient, will: { topic: 'iotlab/alice/will', payload: 'gone' } }],
] as const) {
  test(`CONNACK leaves when ${what} is on disk`, async () => {
    await using broker = await startDiskBroker();
    await using other = await RawClient.connect(broker, patient);
    await using client = await RawClient.open(broker);
    const disk = broker.holdWrites();
    client.send(connectPacket({ ...options, clientId: freshId() }));
    await disk.begun();
    // Two rounds: what was sent before the first of them has come by the second.
    await other.expectNothing();
    await other.expectNothing();
    assert.deepEqual(client.waiting, [], 'no CONNACK before the disk has it');
    disk.release();
    const { type, body } = await client.next();
    assert.deepEqual([type, ...body], [mqtt.CONNACK, 0, 0]);
  });
}

for (const [what, topic] of [
  ['a denied publish', 'iotlab/bob/x'],
  ['a publish that nobody keeps', 'iotlab/alice/nobody'],
] as const) {
  test(`[MQTT-4.6.0-2] PUBACK of ${what} does not overtake one that waits for the disk`, async () => {
    await using broker = await startDiskBroker();
    await using client = await RawClient.connect(broker, patient);
    const disk = broker.holdWrites();
    client.send(
      mqtt.publish('iotlab/alice/kept', 'x', { qos: 1, id: 1, retain: true }),
      mqtt.publish(topic, 'x', { qos: 1, id: 2 }),
    );
    await client.expectNothing('no PUBACK yet');
    disk.release();
    for (const id of [1, 2]) {
      const { type, body } = await client.next();
      assert.deepEqual([type, ...body], [mqtt.PUBACK, 0, id]);
    }
  });
}

test('[MQTT-4.6.0-2] PUBREC of a denied publish does not overtake one that waits for the disk', async () => {
  await using broker = await startDiskBroker();
  await using client = await RawClient.connect(broker, patient);
  const disk = broker.holdWrites();
  client.send(
    mqtt.publish('iotlab/alice/kept', 'x', { qos: 2, id: 1, retain: true }),
    mqtt.publish('iotlab/bob/x', 'x', { qos: 2, id: 2 }),
  );
  await client.expectNothing('no PUBREC yet');
  disk.release();
  for (const id of [1, 2]) {
    const { type, body } = await client.next();
    assert.deepEqual([type, ...body], [mqtt.PUBREC, 0, id]);
  }
});

test('[MQTT-4.3.3-2] of a persistent session a QoS 2 message and PUBREC leave when its packet id is on disk, PUBCOMP when that is free there', async () => {
  await using broker = await startDiskBroker();
  await using subscriber = await RawClient.connect(broker, patient);
  await subscriber.subscribe(['iotlab/alice/x', 0]);
  await using publisher = await RawClient.connect(broker, persistent);
  const first = broker.holdWrites();
  publisher.send(mqtt.publish('iotlab/alice/x', 'once', { qos: 2, id: 7 }));
  await publisher.expectNothing('no PUBREC before the disk has the id');
  await subscriber.expectNothing('a crash now would let it come twice');
  first.release();
  const received = await publisher.next();
  assert.deepEqual([received.type, ...received.body], [mqtt.PUBREC, 0, 7]);
  assert.equal((await subscriber.receive()).payload, 'once');

  const second = broker.holdWrites();
  publisher.send(mqtt.pubrel(7));
  await publisher.expectNothing('a crash now would take the next message with this id for this one');
  second.release();
  const completed = await publisher.next();
  assert.deepEqual([completed.type, ...completed.body], [mqtt.PUBCOMP, 0, 7]);
});

test('a QoS 2 message that was held back when the disk failed is delivered when it can be written again', async () => {
  await using broker = await startDiskBroker();
  await using subscriber = await RawClient.connect(broker, persistent);
  await subscriber.subscribe(['iotlab/alice/x', 2]);
  await using publisher = await RawClient.connect(broker, patient);
  broker.disk.writeError = new Error('no space left on device');
  publisher.send(mqtt.publish('iotlab/alice/x', 'held', { qos: 2, id: 1 }));
  await publisher.expectClose();
  await subscriber.expectNothing('nothing that is not on disk');
  broker.disk.writeError = null;
  broker.clock.advance(10_000);
  const message = await subscriber.receive();
  assert.deepEqual([message.payload, message.qos], ['held', 2]);
});
