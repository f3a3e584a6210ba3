// A session is forgotten when its client has stayed away for long, counted from when it was last there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import { RawClient } from '../support/raw-client.js';

const minuteMs = 60_000;
/** Long against the period in which expired sessions are looked for. */
const sessionExpiryMs = 100 * minuteMs;
const persistent = { ...patient, clean: false, clientId: 'comes-and-goes' };

const start = () => startDiskBroker({ storage: { sessionExpiryMs } });

/** Connects, tells whether the session was there, and leaves. */
async function visit(broker: DiskBroker): Promise<boolean> {
  const { client, sessionPresent } = await RawClient.attempt(broker, persistent);
  await client.disconnect();
  return sessionPresent;
}

test('a session is kept for as long as its client is there, and expires when it has stayed away', async () => {
  await using broker = await start();
  const client = await RawClient.connect(broker, persistent);
  await broker.pass(3 * sessionExpiryMs);
  await client.expectNothing('the connection stays');
  await client.disconnect();
  await broker.pass(sessionExpiryMs - 2 * minuteMs);
  assert.equal(await visit(broker), true);
  const again = await RawClient.connect(broker, persistent);
  await broker.pass(3 * sessionExpiryMs);
  await again.expectNothing('and the next one');
  await again.disconnect();
  assert.equal(await visit(broker), true);
  await broker.pass(sessionExpiryMs + 2 * minuteMs);
  assert.equal(await visit(broker), false);
});

test('a restart in between changes nothing: what counts is when the client was last there', async () => {
  await using broker = await start();
  assert.equal(await visit(broker), false);
  await broker.pass(80 * minuteMs);
  assert.equal(await visit(broker), true);
  await broker.pass(60 * minuteMs);
  await broker.restart();
  await broker.pass(30 * minuteMs);
  assert.equal(await visit(broker), true, '90 minutes after the last visit, 170 after the first');
  await broker.pass(60 * minuteMs);
  await broker.restart();
  await broker.pass(45 * minuteMs);
  assert.equal(await visit(broker), false, '105 minutes after the last visit, 45 after the start');
});

test('an expired session frees its place among the sessions of its user', async () => {
  await using broker = await startDiskBroker({ storage: { sessionExpiryMs }, limits: { sessionsPerUser: 1 } });
  await using stays = await RawClient.connect(broker, patient);
  await visit(broker);
  const other = { ...persistent, clientId: 'another' };
  const refused = await RawClient.attempt(broker, other);
  assert.equal(refused.code, 3);
  await refused.client.closed();
  await broker.pass(sessionExpiryMs + 2 * minuteMs);
  await using client = await RawClient.connect(broker, other);
  await client.expectNothing();
  await stays.expectNothing();
});
