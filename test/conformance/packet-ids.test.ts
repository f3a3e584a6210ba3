// Long: 65 600 messages, one after the other; test/session/outgoing-queue.test.ts has it without a connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

test('[MQTT-2.3.1-4] after 65 535 messages the ids start again, past those still in use', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/wrap', 1]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish('iotlab/alice/wrap', 'held', { qos: 1 });
  const held = await client.message();
  const total = 65_600;
  const turn = 500;
  for (let sent = 0; sent < total; sent += turn) {
    const batch = Array.from({ length: turn }, (_, index) =>
      mqtt.publish('iotlab/alice/wrap', '', { qos: 1, id: index + 1 }),
    );
    publisher.send(...batch);
    for (let count = 0; count < turn; count += 1) {
      const { id } = await client.message();
      assert.notEqual(id, held.id, 'this id is still in use');
      assert.notEqual(id, 0);
      client.send(mqtt.puback(id));
    }
    for (let count = 0; count < turn; count += 1) await publisher.take(mqtt.PUBACK);
  }
});
