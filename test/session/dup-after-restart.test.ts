// DUP says that a message may have been sent before [MQTT-3.3.1-1]. After a stop in order the broker knows what it had
// sent; after a power cut it knows only what it cannot have sent.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const window = 20;
const count = window + 10;
const persistent = { ...patient, clean: false, clientId: 'reader' };
const dups = (from: number, to: number, dup: boolean) =>
  Array.from({ length: to - from }, (_, i) => [`${from + i}`, dup]);

async function publish(broker: DiskBroker, qos: number, from: number, to: number): Promise<void> {
  await using publisher = await RawClient.connect(broker, patient);
  for (let i = from; i < to; i++) await publisher.publish('iotlab/alice/x', `${i}`, { qos });
}

async function subscribed(broker: DiskBroker, qos: number): Promise<RawClient> {
  const client = await RawClient.connect(broker, persistent);
  await client.subscribe(['iotlab/alice/x', qos]);
  return client;
}

/** Connects, receives `messages` messages, each to the end of its flow, and tells which of them carried DUP. */
async function received(broker: DiskBroker, messages: number): Promise<unknown[]> {
  await using client = await RawClient.connect(broker, persistent);
  const seen: unknown[] = [];
  for (let i = 0; i < messages; i++) {
    const { payload, dup } = await client.receive();
    seen.push([payload, dup]);
  }
  await client.expectNothing();
  return seen;
}

for (const qos of [1, 2]) {
  describe(`[MQTT-3.3.1-1] after a stop in order, at QoS ${qos}`, () => {
    test('messages that waited for their client and were never sent come without DUP', async () => {
      await using broker = await startDiskBroker();
      await (await subscribed(broker, qos)).disconnect();
      await publish(broker, qos, 0, count);
      await broker.restart();
      assert.deepEqual(await received(broker, count), dups(0, count, false));
    });

    test('and so they do after two of them', async () => {
      await using broker = await startDiskBroker();
      await (await subscribed(broker, qos)).disconnect();
      await publish(broker, qos, 0, 2);
      await broker.restart();
      await publish(broker, qos, 2, 4);
      await broker.restart();
      assert.deepEqual(await received(broker, 4), dups(0, 4, false));
    });

    for (const [when, leave] of [
      ['when the broker stopped', async () => {}],
      ['and its client left before the stop', (client: RawClient) => client.disconnect()],
    ] as const) {
      test(`what was sent and not acknowledged ${when} comes with DUP, what waited behind it without`, async () => {
        await using broker = await startDiskBroker();
        const client = await subscribed(broker, qos);
        await publish(broker, qos, 0, count);
        for (let i = 0; i < window; i++) await client.message();
        await leave(client);
        await broker.restart();
        assert.deepEqual(await received(broker, count), [...dups(0, window, true), ...dups(window, count, false)]);
      });
    }

    test('what was sent before the last stop but one comes with DUP still', async () => {
      await using broker = await startDiskBroker();
      const client = await subscribed(broker, qos);
      await publish(broker, qos, 0, 3);
      for (let i = 0; i < 3; i++) await client.message();
      await broker.restart();
      await publish(broker, qos, 3, 5);
      await broker.restart();
      assert.deepEqual(await received(broker, 5), [...dups(0, 3, true), ...dups(3, 5, false)]);
    });

    test('what was acknowledged does not come, and what is sent after the start comes without DUP', async () => {
      await using broker = await startDiskBroker();
      const client = await subscribed(broker, qos);
      await publish(broker, qos, 0, 3);
      for (let i = 0; i < 3; i++) await client.receive();
      await client.expectNothing();
      await broker.restart();
      await publish(broker, qos, 3, 4);
      assert.deepEqual(await received(broker, 1), dups(3, 4, false));
    });

    test('what was queued after a start that found an empty queue comes without DUP after the next one', async () => {
      await using broker = await startDiskBroker();
      const client = await subscribed(broker, qos);
      await publish(broker, qos, 0, 3);
      for (let i = 0; i < 3; i++) await client.receive();
      await client.expectNothing();
      await broker.restart();
      await publish(broker, qos, 3, 4);
      await broker.restart();
      assert.deepEqual(await received(broker, 1), dups(3, 4, false));
    });
  });

  test(`[MQTT-3.3.1-1] after a power cut, at QoS ${qos}, what was sent has DUP and what cannot have been sent has not`, async () => {
    await using broker = await startDiskBroker();
    const client = await subscribed(broker, qos);
    await publish(broker, qos, 0, count);
    for (let i = 0; i < 5; i++) await client.message();
    await broker.crash();
    const seen = await received(broker, count);
    assert.deepEqual(seen.slice(0, 5), dups(0, 5, true));
    // The window had room for no more than these.
    assert.deepEqual(seen.slice(window), dups(window, count, false));
  });
}

test('[MQTT-3.3.1-1] what a stop in order knew is no longer true when the power is cut later', async () => {
  await using broker = await startDiskBroker();
  await (await subscribed(broker, 1)).disconnect();
  await publish(broker, 1, 0, 3);
  await broker.restart();
  const client = await RawClient.connect(broker, persistent);
  for (let i = 0; i < 3; i++) await client.message();
  await broker.crash();
  assert.deepEqual(await received(broker, 3), dups(0, 3, true));
});

test('[MQTT-4.3.3-1] PUBREL that was owed when the broker stopped in order is sent after the start, and no message', async () => {
  await using broker = await startDiskBroker();
  const client = await subscribed(broker, 2);
  await publish(broker, 2, 0, 1);
  const { id } = await client.message();
  client.send(mqtt.pubrec(id));
  await client.take(mqtt.PUBREL);
  await broker.restart();
  await using again = await RawClient.connect(broker, persistent);
  const { type, body } = await again.next();
  assert.deepEqual([type, body.readUInt16BE(0)], [mqtt.PUBREL, id]);
  again.send(mqtt.pubcomp(id));
  await again.expectNothing();
});
