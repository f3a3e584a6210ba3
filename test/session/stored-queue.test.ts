// The queue of a client that is not there is in the store alone, and comes into memory piece by piece when it is due.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fault } from '../../src/errors.js';
import { BYTES_KEPT } from '../../src/session/user-account.js';
import { eventually } from '../support/deadline.js';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const topic = 'iotlab/alice/x';
const persistent = (clientId: string) => ({ ...patient, clean: false, clientId });
const queuedBytes = (broker: DiskBroker) => broker.parts().accounts.open('alice').balances.queues.bytes;
const rows = async (broker: DiskBroker, pattern: RegExp) =>
  [...(await broker.disk.rows()).keys()].filter((key) => pattern.test(key));
const outgoing = /^s:\w+:o:/;

async function subscribed(broker: DiskBroker, clientId: string, qos = 2): Promise<RawClient> {
  const client = await RawClient.connect(broker, persistent(clientId));
  await client.subscribe([topic, qos]);
  return client;
}

async function publish(broker: DiskBroker, from: number, to: number, { qos = 1, bytes = 0 } = {}): Promise<void> {
  await using publisher = await RawClient.connect(broker, patient);
  for (let i = from; i < to; i++) await publisher.publish(topic, `${i}`.padEnd(bytes, '.'), { qos });
}

const numberOf = (payload: string): number => Number.parseInt(payload, 10);

describe('what waits for a client that is not there', () => {
  const count = 300;

  for (const qos of [1, 2]) {
    test(`takes no memory, and comes in order, a piece at a time (QoS ${qos})`, async () => {
      await using broker = await startDiskBroker();
      await (await subscribed(broker, 'reader')).disconnect();
      await publish(broker, 0, count, { qos, bytes: 1_000 });
      assert.equal(queuedBytes(broker), count * BYTES_KEPT, 'nothing of what they say');
      assert.equal((await rows(broker, outgoing)).length, count);

      const reader = await RawClient.connect(broker, persistent('reader'));
      const ids = new Set<number>();
      for (let i = 0; i < count; i++) {
        const message = await reader.receive();
        assert.deepEqual([numberOf(message.payload), message.dup, message.retain], [i, false, false]);
        ids.add(message.id);
        const held = queuedBytes(broker) - (count - i) * BYTES_KEPT;
        assert.ok(held < 150 * 1_400, `${held} bytes of ${count} messages are in memory`);
      }
      assert.equal(ids.size, count);
      await reader.expectNothing();
      await eventually(5_000, 'everything is given back', () => queuedBytes(broker) === 0);
      await eventually(5_000, 'nothing is left on disk', async () => (await rows(broker, outgoing)).length === 0);
    });
  }

  test('comes in order, with DUP on what was sent, however often the client comes and goes and more is published', async () => {
    await using broker = await startDiskBroker();
    await (await subscribed(broker, 'reader')).disconnect();
    let published = 0;
    let expected = 0;
    let sentUpTo = -1;
    for (const [more, acknowledged] of [
      [100, 10],
      [5, 70],
      [0, 0],
      [150, 1],
      [30, 33],
      [0, 150],
    ] as const) {
      await publish(broker, published, published + more);
      published += more;
      const reader = await RawClient.connect(broker, persistent('reader'));
      for (let i = 0; i < acknowledged; i++, expected++) {
        const { payload, dup } = await reader.receive();
        assert.deepEqual([numberOf(payload), dup], [expected, expected <= sentUpTo]);
      }
      const window = Math.min(20, published - expected);
      for (let i = 0; i < window; i++) {
        const { payload, dup } = await reader.message();
        assert.deepEqual([numberOf(payload), dup], [expected + i, expected + i <= sentUpTo]);
      }
      await reader.expectNothing();
      sentUpTo = Math.max(sentUpTo, expected + window - 1);
      await reader.disconnect();
    }
    await using last = await RawClient.connect(broker, persistent('reader'));
    for (; expected < published; expected++) assert.equal(numberOf((await last.receive()).payload), expected);
    await last.expectNothing();
    assert.equal(queuedBytes(broker), 0);
  });

  test('comes before what is published while it comes', async () => {
    await using broker = await startDiskBroker();
    await (await subscribed(broker, 'reader')).disconnect();
    await publish(broker, 0, count);
    await using reader = await RawClient.connect(broker, persistent('reader'));
    const publishing = publish(broker, count, 2 * count);
    for (let i = 0; i < 2 * count; i++) assert.equal(numberOf((await reader.receive()).payload), i);
    await publishing;
    await reader.expectNothing();
  });

  test('is gone with its session, also while it is read', async () => {
    await using broker = await startDiskBroker();
    await (await subscribed(broker, 'reader')).disconnect();
    await publish(broker, 0, count);
    const reader = await RawClient.connect(broker, persistent('reader'));
    await reader.message();
    // The same client id, clean: the session ends.
    await (await RawClient.connect(broker, { ...patient, clientId: 'reader' })).disconnect();
    assert.equal(queuedBytes(broker), 0);
    await eventually(5_000, 'nothing is left on disk', async () => (await rows(broker, /^s:/)).length === 0);
    await using again = await RawClient.connect(broker, persistent('reader'));
    await again.expectNothing();
  });

  test('is one row however many clients it waits for, when it is long', async () => {
    await using broker = await startDiskBroker();
    const names = ['a', 'b', 'c'];
    for (const name of names) await (await subscribed(broker, name)).disconnect();
    await publish(broker, 0, 4, { bytes: 5_000 });
    assert.equal((await rows(broker, /^c:/)).length, 4);
    for (const name of names) {
      if (name === 'b') await broker.restart();
      await using client = await RawClient.connect(broker, persistent(name));
      for (let i = 0; i < 4; i++) {
        const { payload } = await client.receive();
        assert.deepEqual([numberOf(payload), payload.length], [i, 5_000]);
      }
      await client.expectNothing();
    }
    await eventually(5_000, 'nothing is left on disk', async () => (await rows(broker, /^c:|:o:/)).length === 0);
  });

  test('that cannot be read ends the connection, and comes when it can be read again', async () => {
    await using broker = await startDiskBroker();
    await (await subscribed(broker, 'reader')).disconnect();
    await publish(broker, 0, count);
    broker.disk.readError = new Fault('E_STORE_DAMAGED', 'corrupted block');
    const { client } = await RawClient.attempt(broker, persistent('reader'));
    await client.closed();
    const { level, err } = await broker.logs.waitFor(/queued messages cannot be read/);
    assert.deepEqual([level, (err as { code: string }).code], [50, 'E_STORE_DAMAGED']);
    broker.disk.readError = null;
    await using again = await RawClient.connect(broker, persistent('reader'));
    for (let i = 0; i < count; i++) assert.equal(numberOf((await again.receive()).payload), i);
    await again.expectNothing();
  });

  test('waits for the disk at QoS 2: the receiver remembers the packet id', async () => {
    await using broker = await startDiskBroker();
    await (await subscribed(broker, 'reader')).disconnect();
    await using publisher = await RawClient.connect(broker, patient);
    const held = broker.holdWrites();
    publisher.send(mqtt.publish(topic, '0', { qos: 2, id: 1 }));
    await held.begun();
    const connecting = RawClient.connect(broker, persistent('reader'));
    await publisher.expectNothing();
    held.release();
    await using reader = await connecting;
    assert.equal((await reader.receive()).payload, '0');
  });
});
