// A reader that is behind holds the publishers of its own user up, and no longer than it is behind. The broker's clock
// stands still here: nothing but the reader can end the wait.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const payload = Buffer.alloc(16 * 1024);
/** More than sockets and outbox hold: some of it is dropped. */
const messages = Array.from({ length: 1_500 }, () => mqtt.publish('iotlab/alice/x', payload));

for (const filter of ['iotlab/alice/x', '$share/g/iotlab/alice/x']) {
  test(`publishers go on when a reader of ${filter} has taken what there was`, async () => {
    await using broker = await startDiskBroker();
    await using reader = await RawClient.connect(broker, patient);
    await reader.subscribe([filter, 0]);
    reader.socket.pause();
    await using publisher = await RawClient.connect(broker, patient);
    publisher.send(...messages, mqtt.pingreq());
    await using other = await RawClient.connect(broker, { ...patient, as: 'bob' });
    await other.expectNothing('others are served all the while');
    reader.socket.resume();
    await publisher.take(mqtt.PINGRESP);
    await reader.take(mqtt.PUBLISH);
    assert.ok(reader.waiting.every(({ type }) => type === mqtt.PUBLISH));
  });
}
