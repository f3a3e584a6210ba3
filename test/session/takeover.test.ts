// The same client id again: the older connection makes way, and nothing that it had sent is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

for (const clean of [true, false]) {
  test(`what a connection had sent before it was taken over is processed (clean ${clean})`, async () => {
    await using broker = await startDiskBroker();
    await using slow = await RawClient.connect(broker, patient);
    await slow.subscribe(['iotlab/alice/x', 1]);
    const options = { ...patient, clientId: 'writer', clean };
    const first = await RawClient.connect(broker, options);
    // More than the reader's window and than its queue takes without a break for its publisher; and since the broker's
    // clock stands still, that break ends only with the takeover.
    const count = 300;
    first.send(
      ...Array.from({ length: count }, (_, i) => mqtt.publish('iotlab/alice/x', `${i}`, { qos: 1, id: i + 1 })),
    );
    const { id } = await slow.message();
    await using second = await RawClient.connect(broker, options);
    await first.closed();
    slow.send(mqtt.puback(id));
    for (let i = 1; i < count; i++) assert.equal((await slow.receive()).payload, `${i}`);
    await slow.expectNothing();
    await second.expectNothing();
  });
}

test('a user with as many connections as allowed may take over one of them, and has no more than before', async () => {
  await using broker = await startDiskBroker({ limits: { connectionsPerUser: 2 } });
  const first = await RawClient.connect(broker, { ...patient, clientId: 'a' });
  await using other = await RawClient.connect(broker, { ...patient, clientId: 'b' });
  await using again = await RawClient.connect(broker, { ...patient, clientId: 'a' });
  await first.expectClose();
  const refused = await RawClient.attempt(broker, { ...patient, clientId: 'c' });
  assert.equal(refused.code, 3);
  await refused.client.closed();
  await using bob = await RawClient.connect(broker, { ...patient, as: 'bob', clientId: 'a' });
  await bob.expectNothing('another user has connections of his own');
  await again.disconnect();
  await using third = await RawClient.connect(broker, { ...patient, clientId: 'c' });
  await third.expectNothing();
  await other.expectNothing();
});
