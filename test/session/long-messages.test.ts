// A long message is written before it is distributed, and its connection may be gone by the time when it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, RawClient } from '../support/raw-client.js';

const payload = Buffer.alloc(400 * 1024, 'firmware');
const publisher = { ...patient, clientId: 'publisher', clean: false };
const topic = 'iotlab/alice/image';

for (const [how, retain] of [
  ['taken over', false],
  ['taken over', true],
  ['ended by an operator', false],
  ['ended by an operator', true],
] as const) {
  const what = retain ? 'retained message' : 'message';
  test(`[MQTT-4.3.3-2] a long ${what} of QoS 2 whose connection is ${how} meanwhile comes once`, async () => {
    await using broker = await startDiskBroker();
    await using reader = await RawClient.connect(broker, { ...patient, clientId: 'reader', clean: false });
    await reader.subscribe([topic, 2]);
    const first = await RawClient.connect(broker, publisher);
    const disk = broker.holdWrites();
    first.send(mqtt.publish(topic, payload, { qos: 2, id: 7, retain }));
    await disk.begun();
    if (how !== 'taken over') {
      const { connections } = broker.parts();
      for (const connection of connections) if (connection.client?.clientId === 'publisher') connection.close('kicked');
      await first.closed();
    }
    await using second = await RawClient.open(broker);
    second.send(connectPacket(publisher), mqtt.publish(topic, payload, { qos: 2, id: 7, retain, dup: true }));
    for (let round = 0; round < 3; round++) await reader.expectNothing();
    assert.deepEqual(second.waiting, [], 'no PUBREC before the disk has it');
    disk.release();
    assert.equal((await second.next()).type, mqtt.CONNACK);
    assert.equal((await second.next()).type, mqtt.PUBREC);
    second.send(mqtt.pubrel(7));
    assert.equal((await second.next()).type, mqtt.PUBCOMP);
    const message = await reader.receive();
    assert.ok(message.payload === payload.toString());
    await reader.expectNothing('once');
  });
}
