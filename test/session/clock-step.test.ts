// The wall clock is set: by an operator, by a time server after a boot, on a virtual machine that was asleep. No time
// passes by that, so nobody's keepalive runs out, and nobody's is prolonged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDiskBroker } from '../support/disk-broker.js';
import { RawClient } from '../support/raw-client.js';

const will = { topic: 'iotlab/alice/will', payload: 'gone' };
const keepaliveSeconds = 60;

for (const stepMs of [120_000, 24 * 3_600_000]) {
  test(`a step of ${stepMs / 1000} s ahead disconnects nobody and publishes no Will`, async () => {
    await using broker = await startDiskBroker();
    await using watcher = await RawClient.connect(broker, { keepaliveSeconds });
    await watcher.subscribe([will.topic, 0]);
    await using clean = await RawClient.connect(broker, { keepaliveSeconds, will });
    await using kept = await RawClient.connect(broker, { keepaliveSeconds, will, clean: false });
    broker.clock.stepDate(stepMs);
    await broker.pass(5_000);
    for (const client of [clean, kept, watcher]) await client.expectNothing('neither a close nor a Will');
  });
}

test('a step of 600 s back keeps no client that is dead', async () => {
  await using broker = await startDiskBroker();
  await using watcher = await RawClient.connect(broker, { keepaliveSeconds: 0 });
  await watcher.subscribe([will.topic, 0]);
  await using silent = await RawClient.connect(broker, { keepaliveSeconds, will });
  broker.clock.stepDate(-600_000);
  await broker.pass(1.5 * keepaliveSeconds * 1000 - 5_000);
  await watcher.expectNothing('the client has its time still');
  await broker.pass(10_000);
  assert.equal((await watcher.message()).payload, 'gone');
  await silent.expectClose();
});

test('a step back keeps no client that never says who it is', async () => {
  await using broker = await startDiskBroker();
  await using mute = await RawClient.open(broker);
  // By the time that another one has connected, the broker has this one too.
  await using other = await RawClient.connect(broker, { keepaliveSeconds: 0 });
  broker.clock.stepDate(-600_000);
  await broker.pass(15_000);
  await mute.expectClose();
  await other.expectNothing();
});
