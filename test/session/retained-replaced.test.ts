// Retained messages that wait for room while somebody replaces or deletes them: each topic's state comes once, the latest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

for (const clean of [true, false]) {
  for (const qos of [1, 2]) {
    test(`a retained message replaced while it waits is not sent as it was (QoS ${qos}, clean ${clean})`, async () => {
      await using broker = await startDiskBroker({ limits: { inflightMessages: 1 } });
      await using publisher = await RawClient.connect(broker, patient);
      const retain = (name: string, payload: string) =>
        publisher.publish(`iotlab/alice/${name}`, payload, { qos, retain: true });
      for (const name of ['a', 'b', 'c', 'd']) await retain(name, 'old');

      await using reader = await RawClient.connect(broker, { ...patient, clean });
      await reader.subscribe(['iotlab/alice/#', qos]);
      const inFlight = mqtt.readMessage(await reader.take(mqtt.PUBLISH));
      const waiting = ['a', 'b', 'c', 'd'].filter((name) => inFlight.topic !== `iotlab/alice/${name}`);
      const [replaced = '', deleted = '', untouched = ''] = waiting;
      await retain(replaced, 'new');
      await retain(deleted, '');
      await reader.expectNothing('the window is full');

      if (qos === 1) reader.send(mqtt.puback(inFlight.id));
      else {
        reader.send(mqtt.pubrec(inFlight.id));
        await reader.take(mqtt.PUBREL);
        reader.send(mqtt.pubcomp(inFlight.id));
      }
      const seen: string[] = [];
      for (let count = 0; count < 3; count++) {
        const { topic, payload, retain } = await reader.receive();
        seen.push(`${topic.slice('iotlab/alice/'.length)} ${payload} ${retain}`);
      }
      assert.deepEqual(seen, [`${untouched} old true`, `${replaced} new false`, `${deleted}  false`]);
      await reader.expectNothing('each once');
    });
  }
}
