// After a crash nobody knows when a client that was connected was last there: it was there when the power went. So its
// session counts as left at the earliest when the broker starts again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import { RawClient } from '../support/raw-client.js';

const minuteMs = 60_000;
const sessionExpiryMs = 100 * minuteMs;
const persistent = { ...patient, clean: false, clientId: 'reader' };

const start = () => startDiskBroker({ storage: { sessionExpiryMs } });

async function queue(broker: DiskBroker, payload: string): Promise<void> {
  await using publisher = await RawClient.connect(broker, patient);
  await publisher.publish('iotlab/alice/x', payload, { qos: 1 });
}

/** A session with one message, whose client has been connected for longer than sessions are kept. */
async function connectedForLong(broker: DiskBroker): Promise<void> {
  const client = await RawClient.connect(broker, persistent);
  await client.subscribe(['iotlab/alice/x', 1]);
  await broker.pass(2 * sessionExpiryMs);
  await queue(broker, 'acknowledged');
  await client.message();
}

test('a session whose client was connected when the power went is kept for the full time from the start on', async () => {
  await using broker = await start();
  await connectedForLong(broker);
  await broker.crash();
  await broker.pass(sessionExpiryMs - 2 * minuteMs);
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  assert.equal(sessionPresent, true);
  assert.equal((await client.receive()).payload, 'acknowledged');
  await client.expectNothing();
  await client.disconnect();
});

test('the time in which the broker was down does not count', async () => {
  await using broker = await start();
  await connectedForLong(broker);
  broker.disk.cutPower();
  broker.clock.stepDate(3 * sessionExpiryMs);
  await broker.crash();
  await broker.pass(sessionExpiryMs - 2 * minuteMs);
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  assert.equal(sessionPresent, true);
  await client.disconnect();
});

test('a session whose client does not come back after the crash expires, and its queue with it', async () => {
  await using broker = await start();
  await connectedForLong(broker);
  await broker.crash();
  await broker.pass(sessionExpiryMs + 2 * minuteMs);
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  assert.equal(sessionPresent, false);
  await client.expectNothing();
  await client.disconnect();
});

test('starting anew again and again does not keep a session whose client stays away', async () => {
  await using broker = await start();
  await connectedForLong(broker);
  await broker.crash();
  await broker.pass(60 * minuteMs);
  await broker.crash();
  await broker.pass(60 * minuteMs);
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  assert.equal(sessionPresent, false, '120 minutes after the first start');
  await client.disconnect();
});

test('a session that was left before the crash expires as if there had been none', async () => {
  await using broker = await start();
  await (await RawClient.connect(broker, persistent)).disconnect();
  await using other = await RawClient.connect(broker, patient);
  // Its PUBACK comes when everything before it is on disk too.
  await other.publish('iotlab/alice/kept', 'x', { qos: 1, retain: true });
  await broker.pass(60 * minuteMs);
  await broker.crash();
  await broker.pass(60 * minuteMs);
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  assert.equal(sessionPresent, false);
  await client.disconnect();
});
