// What a restart brings back, and what it must not bring back. All of it over a stop in order or a power cut, on a disk
// of which the test knows every row.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const persistent = (clientId: string) => ({ ...patient, clean: false, clientId });
const ends = [
  ['a restart', (broker: DiskBroker) => broker.restart()],
  ['a power cut', (broker: DiskBroker) => broker.crash()],
] as const;

async function publish(broker: DiskBroker, topic: string, ...payloads: string[]): Promise<void> {
  await using publisher = await RawClient.connect(broker, patient);
  for (const payload of payloads) await publisher.publish(topic, payload, { qos: 1 });
}

/** A session whose client has subscribed and left. */
async function leaveSession(broker: DiskBroker, clientId: string, ...filters: string[]): Promise<void> {
  const client = await RawClient.connect(broker, persistent(clientId));
  await client.subscribe(...filters.map((filter) => [filter, 2] as const));
  await client.disconnect();
}

for (const [end, restart] of ends) {
  test(`[MQTT-4.3.3-2] after ${end} a QoS 2 packet id that was released is free for a new message`, async () => {
    await using broker = await startDiskBroker();
    await leaveSession(broker, 'reader', 'iotlab/alice/x');
    const before = await RawClient.connect(broker, persistent('writer'));
    await before.publish('iotlab/alice/x', 'first', { qos: 2, id: 7 });
    await restart(broker);
    await using after = await RawClient.connect(broker, persistent('writer'));
    await after.publish('iotlab/alice/x', 'second', { qos: 2, id: 7 });
    await using reader = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await reader.receive()).payload, 'first');
    assert.equal((await reader.receive()).payload, 'second');
    await reader.expectNothing();
  });

  test(`[MQTT-4.3.3-2] after ${end} a QoS 2 packet id that was not released is known`, async () => {
    await using broker = await startDiskBroker();
    await leaveSession(broker, 'reader', 'iotlab/alice/x');
    const before = await RawClient.connect(broker, persistent('writer'));
    before.send(mqtt.publish('iotlab/alice/x', 'once', { qos: 2, id: 7 }));
    await before.take(mqtt.PUBREC);
    await restart(broker);
    await using after = await RawClient.connect(broker, persistent('writer'));
    await after.publish('iotlab/alice/x', 'once', { qos: 2, id: 7, dup: true });
    await using reader = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await reader.receive()).payload, 'once');
    await reader.expectNothing();
  });

  test(`what is queued after ${end} comes behind what was queued before, and replaces none of it`, async () => {
    await using broker = await startDiskBroker();
    await leaveSession(broker, 'reader', 'iotlab/alice/x');
    await publish(broker, 'iotlab/alice/x', '1', '2', '3');
    await restart(broker);
    await publish(broker, 'iotlab/alice/x', '4');
    await restart(broker);
    await using reader = await RawClient.connect(broker, persistent('reader'));
    const ids = new Set<number>();
    for (const payload of ['1', '2', '3', '4']) {
      const message = await reader.message();
      assert.equal(message.payload, payload);
      ids.add(message.id);
    }
    assert.equal(ids.size, 4, '[MQTT-2.3.1-2] each has a packet id of its own');
    await reader.expectNothing();
  });

  test(`[MQTT-3.10.4-3] after ${end} a subscription that was taken away stays away`, async () => {
    await using broker = await startDiskBroker();
    const before = await RawClient.connect(broker, persistent('reader'));
    await before.subscribe(['iotlab/alice/a', 1], ['iotlab/alice/b', 1]);
    await before.unsubscribe('iotlab/alice/a');
    await restart(broker);
    await publish(broker, 'iotlab/alice/a', 'a');
    await publish(broker, 'iotlab/alice/b', 'b');
    await using after = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await after.receive()).topic, 'iotlab/alice/b');
    await after.expectNothing();
  });

  test(`[MQTT-3.14.4-3] after ${end} a Will that DISCONNECT threw away is not published`, async () => {
    await using broker = await startDiskBroker();
    await leaveSession(broker, 'reader', 'iotlab/alice/will');
    const leaver = await RawClient.connect(broker, { ...patient, will: { topic: 'iotlab/alice/will', qos: 1 } });
    await leaver.disconnect();
    // PUBACK comes when everything before it is on disk too.
    await publish(broker, 'iotlab/alice/will', 'no Will');
    await restart(broker);
    await using reader = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await reader.receive()).payload, 'no Will');
    await reader.expectNothing();
  });

  test(`[MQTT-3.1.2-10] after ${end} a Will that was published is not published again`, async () => {
    await using broker = await startDiskBroker();
    await leaveSession(broker, 'reader', 'iotlab/alice/will');
    const will = { topic: 'iotlab/alice/will', payload: 'gone', qos: 1 };
    const lost = await RawClient.connect(broker, { ...patient, will });
    lost.send(mqtt.packet(0xf0));
    await lost.closed();
    await publish(broker, 'iotlab/alice/will', 'later');
    await restart(broker);
    await using reader = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await reader.receive()).payload, 'gone');
    assert.equal((await reader.receive()).payload, 'later');
    await reader.expectNothing();
  });

  test(`[MQTT-3.1.2-6] after ${end} nothing of a session that was removed is in the one that came after it`, async () => {
    await using broker = await startDiskBroker();
    const removed = await RawClient.connect(broker, persistent('same'));
    await removed.subscribe(['iotlab/alice/old', 1]);
    removed.send(mqtt.publish('iotlab/alice/new', 'received', { qos: 2, id: 7 }));
    await removed.take(mqtt.PUBREC);
    await publish(broker, 'iotlab/alice/old', 'queued');
    await removed.disconnect();
    await (await RawClient.connect(broker, { ...patient, clientId: 'same' })).disconnect();
    await leaveSession(broker, 'same', 'iotlab/alice/new');
    await restart(broker);
    await publish(broker, 'iotlab/alice/old', 'not subscribed');
    await using client = await RawClient.connect(broker, persistent('same'));
    await client.expectNothing('nothing of the queue that was removed');
    client.send(mqtt.publish('iotlab/alice/new', 'a new message', { qos: 2, id: 7 }));
    assert.equal((await client.receive()).payload, 'a new message');
  });
}

test('a session that was removed leaves no row behind', async () => {
  await using broker = await startDiskBroker();
  const client = await RawClient.connect(broker, persistent('same'));
  const empty = [...(await broker.disk.rows()).keys()].filter((key) => !key.startsWith('s:'));
  await client.subscribe(['iotlab/alice/x', 1]);
  client.send(mqtt.publish('iotlab/alice/y', 'received', { qos: 2, id: 7 }));
  await client.take(mqtt.PUBREC);
  await publish(broker, 'iotlab/alice/x', 'queued');
  await client.disconnect();
  await (await RawClient.connect(broker, { ...patient, clientId: 'same' })).disconnect();
  await broker.restart();
  assert.deepEqual([...(await broker.disk.rows()).keys()], empty);
});
