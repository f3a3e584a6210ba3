// A Will that waits for its delay, over a stop in order and a power cut: it is a deadline in the store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, type Client5Options } from '../support/client5.js';
import { type DiskBroker, everyWay, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId } from '../support/raw-client.js';

const { p } = mqtt5;
const topic = 'iotlab/alice/will';
const second = 1_000;

const mortal = (delay: number, expiry: number, more: Partial<Client5Options> = {}): Client5Options => ({
  ...patient,
  clientId: 'mortal',
  cleanStart: false,
  will: {
    topic,
    payload: 'gone',
    qos: 1,
    properties: [p.willDelay(delay), p.userProperty('b', '1'), p.userProperty('a', '2')],
  },
  properties: [p.sessionExpiry(expiry)],
  ...more,
});

/** What was handed to the store is on the disk. */
const stored = (broker: DiskBroker) => new Promise<void>((resolve) => broker.parts().store.committed(() => resolve()));

/** Connects, is cut, and the broker knows it. */
async function die(broker: DiskBroker, options: Client5Options): Promise<void> {
  const client = await Client5.connect(broker, options);
  client.cut();
  await client.raw.closed();
  const isGone = () =>
    [...broker.parts().sessions.values()].every(
      ({ clientId, connected }) => clientId !== options.clientId || !connected,
    );
  for (let turns = 0; !isGone() && turns < 1_000; turns++) await new Promise(setImmediate);
  await stored(broker);
}

/** A session that keeps what comes while nobody is there. */
async function watch(broker: DiskBroker): Promise<void> {
  const watcher = await Client5.connect(broker, {
    ...patient,
    clientId: 'watcher',
    properties: [p.sessionExpiry(100_000)],
  });
  await watcher.subscribe(['iotlab/alice/#', 1]);
  await watcher.disconnect();
}

/** The payloads that have come for the watcher so far. */
async function seen(broker: DiskBroker): Promise<string[]> {
  const options = { ...patient, clientId: 'watcher', cleanStart: false, properties: [p.sessionExpiry(100_000)] };
  const watcher = await Client5.connect(broker, options);
  const mark = freshId('mark');
  await watcher.publish('iotlab/alice/mark', mark, { qos: 1 });
  const payloads: string[] = [];
  for (;;) {
    const { payload, properties } = await watcher.receive();
    if (payload === mark) break;
    assert.deepEqual(properties, {
      user: [
        ['b', '1'],
        ['a', '2'],
      ],
    });
    payloads.push(payload);
  }
  await watcher.disconnect();
  await stored(broker);
  return payloads;
}

for (const [way, end] of everyWay) {
  test(`${way}: a delay that runs goes on, and the Will comes once, with its properties`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    await die(broker, mortal(60, 600));
    await broker.pass(20 * second);
    await end(broker, 10 * second);
    await broker.pass(20 * second);
    assert.deepEqual(await seen(broker), []);
    await end(broker);
    await broker.pass(20 * second);
    assert.deepEqual(await seen(broker), ['gone']);
    await end(broker);
    await broker.pass(600 * second);
    assert.deepEqual(await seen(broker), []);
  });

  test(`${way}: one that was over while there was no broker is published at the start`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    await die(broker, mortal(60, 600));
    await end(broker, 100 * second);
    assert.deepEqual(await seen(broker), ['gone']);
  });

  test(`${way}: the client that comes back in time has it not sent`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    await die(broker, mortal(60, 600));
    await end(broker, 10 * second);
    const client = await Client5.connect(broker, {
      ...patient,
      clientId: 'mortal',
      cleanStart: false,
      properties: [p.sessionExpiry(600)],
    });
    assert.equal(client.connack.sessionPresent, true);
    await client.disconnect();
    await end(broker);
    await broker.pass(100 * second);
    assert.deepEqual(await seen(broker), []);
  });

  test(`${way}: for a client that was connected the delay begins then`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    const client = await Client5.connect(broker, mortal(60, 600));
    await broker.pass(200 * second);
    await end(broker);
    await client.raw.closed();
    await broker.pass(40 * second);
    assert.deepEqual(await seen(broker), []);
    await broker.pass(40 * second);
    assert.deepEqual(await seen(broker), ['gone']);
  });

  test(`${way}: without a session that outlives the connection there is no delay`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    const client = await Client5.connect(broker, mortal(60, 0));
    await end(broker);
    await client.raw.closed();
    assert.deepEqual(await seen(broker), ['gone']);
  });

  test(`${way}: a delay that is longer than the session is cut to that`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    await die(broker, mortal(600, 60));
    await end(broker, 10 * second);
    await broker.pass(40 * second);
    assert.deepEqual(await seen(broker), []);
    await broker.pass(20 * second);
    assert.deepEqual(await seen(broker), ['gone']);
  });

  test(`${way}: DISCONNECT 0x00 before it leaves nothing behind`, async () => {
    await using broker = await startDiskBroker();
    await watch(broker);
    const client = await Client5.connect(broker, mortal(60, 600));
    await client.disconnect();
    await stored(broker);
    await end(broker);
    await broker.pass(1_000 * second);
    assert.deepEqual(await seen(broker), []);
  });
}
