// While the store can't store, nothing is promised; what was not promised is taken again when it can.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlawedDisk } from '../support/flawed-database.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { startTestBroker } from '../support/test-broker.js';

test('a QoS 2 message refused while the store fails is delivered when it is sent again', async () => {
  const disk = new FlawedDisk();
  await using broker = await startTestBroker({ store: 'folder', seams: { openDatabase: disk.open } });
  const { store } = broker.parts();
  await using publisher = await RawClient.connect(broker, { clientId: 'publisher', clean: false });
  await using subscriber = await RawClient.connect(broker);
  await subscriber.subscribe(['iotlab/alice/#', 2]);

  disk.writeError = new Error('no space left on device');
  await using victim = await RawClient.connect(broker);
  const failed = new Promise<void>((resolve) => store.onFault(() => resolve()));
  victim.send(mqtt.publish('iotlab/alice/kept', 'x', { qos: 1, id: 1, retain: true }));
  await failed;
  await victim.expectClose();
  await subscriber.receive();

  publisher.send(mqtt.publish('iotlab/alice/once', 'x', { qos: 2, id: 7 }));
  await publisher.expectClose();
  const refused = await RawClient.attempt(broker, { clientId: 'publisher', clean: false });
  assert.equal(refused.code, 3, 'a session that must be kept is not promised now');
  await refused.client[Symbol.asyncDispose]();
  // What needs no store goes on.
  await using talker = await RawClient.connect(broker);
  await talker.publish('iotlab/alice/live', 'x', { qos: 1 });
  assert.equal((await subscriber.receive()).topic.toString(), 'iotlab/alice/live');

  const recovered = new Promise<void>((resolve) => store.onRecovered(() => resolve()));
  disk.writeError = null;
  await recovered;
  await using again = await RawClient.connect(broker, { clientId: 'publisher', clean: false });
  again.send(mqtt.publish('iotlab/alice/once', 'x', { qos: 2, id: 7, dup: true }));
  assert.equal((await again.take(mqtt.PUBREC)).body.readUInt16BE(0), 7);
  assert.equal((await subscriber.receive()).topic.toString(), 'iotlab/alice/once');
});
