// A client that goes on behind its CONNECT without waiting is answered in order: CONNACK before anything else
// [MQTT-3.2.0-1], also when the disk is slow and the connection ends before CONNACK could be sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, RawClient } from '../support/raw-client.js';

const will = { topic: 'iotlab/alice/will', payload: 'gone' };
const kinds = [
  ['a clean session with a Will', { ...patient, will }],
  ['a persistent session', { ...patient, clean: false }],
] as const;

/** What came on a connection until it was closed: nothing, or a CONNACK first. */
async function assertConnackFirst(client: RawClient): Promise<void> {
  await client.closed();
  const [first] = client.waiting;
  assert.ok(first === undefined || first.type === mqtt.CONNACK, `the first packet is one of type ${first?.type}`);
}

for (const [kind, options] of kinds) {
  for (const [name, packet] of [
    ['SUBACK', mqtt.subscribe(1, ['iotlab/alice/x', 1])],
    ['UNSUBACK', mqtt.unsubscribe(1, 'iotlab/alice/x')],
    ['PINGRESP', mqtt.pingreq()],
    ['PUBACK', mqtt.publish('iotlab/alice/x', 'x', { qos: 1, id: 1 })],
    ['PUBREC', mqtt.publish('iotlab/alice/x', 'x', { qos: 2, id: 1 })],
    ['PUBCOMP', mqtt.pubrel(1)],
    ['PUBACK of a denied publish', mqtt.publish('iotlab/bob/x', 'x', { qos: 1, id: 1 })],
  ] as const) {
    test(`[MQTT-3.2.0-1] no ${name} comes before CONNACK when ${kind} is taken over before it`, async () => {
      await using broker = await startDiskBroker();
      await using client = await RawClient.open(broker);
      const disk = broker.holdWrites();
      client.send(connectPacket({ ...options, clientId: 'same' }), packet);
      await disk.begun();
      await takeOver(broker, options);
      await assertConnackFirst(client);
      disk.release();
    });
  }

  test(`[MQTT-3.2.0-1] nothing comes before CONNACK when the broker stops before it (${kind})`, async () => {
    const broker = await startDiskBroker();
    await using client = await RawClient.open(broker);
    const disk = broker.holdWrites();
    client.send(connectPacket({ ...options, clientId: 'same' }), mqtt.subscribe(1, ['iotlab/alice/x', 1]));
    await disk.begun();
    const stopped = broker.stop();
    await assertConnackFirst(client);
    disk.release();
    await stopped;
  });

  test(`[MQTT-3.2.0-1] the answers come behind CONNACK when the disk was only slow (${kind})`, async () => {
    await using broker = await startDiskBroker();
    await using client = await RawClient.open(broker);
    const disk = broker.holdWrites();
    client.send(
      connectPacket({ ...options, clientId: 'same' }),
      mqtt.subscribe(1, ['iotlab/alice/x', 1]),
      mqtt.publish('iotlab/alice/x', 'x', { qos: 1, id: 2 }),
      mqtt.pingreq(),
    );
    await disk.begun();
    disk.release();
    assert.equal((await client.next()).type, mqtt.CONNACK);
    const types = new Set<number>();
    for (let i = 0; i < 4; i++) types.add((await client.next()).type);
    assert.deepEqual([...types].sort(), [mqtt.PUBLISH, mqtt.PUBACK, mqtt.SUBACK, mqtt.PINGRESP].sort());
  });
}

/** Another connection with the same client id; its CONNACK waits for the disk too. */
async function takeOver(broker: DiskBroker, options: mqtt.ConnectOptions): Promise<void> {
  const second = await RawClient.open(broker);
  second.send(connectPacket({ ...options, clientId: 'same' }));
}
