// There is no packet id 0 [MQTT-2.3.1-1], so no packet that has it can be an answer to anything.
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

for (const clean of [true, false]) {
  for (const [name, packet] of [
    ['PUBACK', mqtt.puback],
    ['PUBREC', mqtt.pubrec],
    ['PUBREL', mqtt.pubrel],
    ['PUBCOMP', mqtt.pubcomp],
    ['PUBLISH of QoS 1', (id: number) => mqtt.publish('iotlab/alice/x', 'x', { qos: 1, id })],
    ['PUBLISH of QoS 2', (id: number) => mqtt.publish('iotlab/alice/x', 'x', { qos: 2, id })],
    ['SUBSCRIBE', (id: number) => mqtt.subscribe(id, ['iotlab/alice/x', 1])],
    ['UNSUBSCRIBE', (id: number) => mqtt.unsubscribe(id, 'iotlab/alice/x')],
  ] as const) {
    test(`[MQTT-2.3.1-1] a ${name} with packet id 0 closes the connection (clean ${clean})`, async () => {
      await using client = await RawClient.connect(broker, { clean });
      client.send(packet(0));
      await client.expectClose();
    });
  }
}
