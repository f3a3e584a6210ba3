// What the totals of messages mean, as an operator sees them. Read when a client has received what it is about.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readMetrics } from '../support/metrics.js';
import * as mqtt from '../support/packets.js';
import { freePort } from '../support/ports.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

const limits = { inflightMessages: 2, queuedMessages: 3 };
let broker: TestBroker;
let adminPort = 0;
let topics = 0;
const freshTopic = () => `iotlab/alice/delivered/${++topics}`;

before(async () => {
  adminPort = await freePort();
  broker = await startTestBroker({ config: { limits, admin: { port: adminPort } } });
});
after(() => broker.stop());

async function totals(): Promise<{ delivered: number; dropped: number }> {
  const metrics = await readMetrics(adminPort);
  return { delivered: metrics.sum('publishes_sent_total'), dropped: metrics.sum('messages_dropped_total') };
}

/** What the totals grow by while `run` runs. */
async function counted(run: () => Promise<void>): Promise<{ delivered: number; dropped: number }> {
  const earlier = await totals();
  await run();
  const later = await totals();
  return { delivered: later.delivered - earlier.delivered, dropped: later.dropped - earlier.dropped };
}

/** A persistent session whose client is away. */
async function away(topic: string): Promise<string> {
  const client = await RawClient.connect(broker, { clean: false });
  await client.subscribe([topic, 1]);
  await client.disconnect();
  return client.clientId;
}

test('a message counts once for each client that gets it', async () => {
  const topic = freshTopic();
  await using first = await RawClient.connect(broker);
  await using second = await RawClient.connect(broker);
  await first.subscribe([topic, 2]);
  await second.subscribe([topic, 2]);
  for (const qos of [0, 1, 2]) {
    const growth = await counted(async () => {
      await first.publish(topic, 'x', { qos });
      await first.receive();
      await second.receive();
    });
    assert.deepEqual(growth, { delivered: 2, dropped: 0 }, `QoS ${qos}`);
  }
});

test('a message that nobody has asked for, or that was denied, does not count', async () => {
  await using client = await RawClient.connect(broker);
  const growth = await counted(async () => {
    await client.publish(freshTopic(), 'x', { qos: 1 });
    await client.publish('iotlab/bob/x', 'x', { qos: 1 });
  });
  assert.deepEqual(growth, { delivered: 0, dropped: 0 });
});

test('a message that a full queue drops does not count as delivered, one that waits does when it comes', async () => {
  const topic = freshTopic();
  const clientId = await away(topic);
  await using publisher = await RawClient.connect(broker);
  const waiting = await counted(async () => {
    for (let i = 0; i < 5; i++) await publisher.publish(topic, `${i}`, { qos: 1 });
  });
  assert.deepEqual(waiting, { delivered: 0, dropped: 2 });
  const coming = await counted(async () => {
    await using client = await RawClient.connect(broker, { clientId, clean: false });
    for (let i = 0; i < 3; i++) await client.receive();
    await client.expectNothing();
  });
  assert.deepEqual(coming, { delivered: 3, dropped: 0 });
});

test('a message of QoS 0 for a client that is away does not count', async () => {
  const topic = freshTopic();
  await away(topic);
  await using publisher = await RawClient.connect(broker);
  assert.equal((await counted(() => publisher.publish(topic, 'x'))).delivered, 0);
});

test('a Will counts', async () => {
  const topic = freshTopic();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 0]);
  const growth = await counted(async () => {
    const lost = await RawClient.connect(broker, { will: { topic, payload: 'gone' } });
    lost.cut();
    await watcher.receive();
  });
  assert.deepEqual(growth, { delivered: 1, dropped: 0 });
});

for (const clean of [true, false]) {
  test(`retained messages count as they come, also those that wait for room in the window (clean ${clean})`, async () => {
    const topic = freshTopic();
    await using publisher = await RawClient.connect(broker);
    for (const [name, qos] of [0, 1, 2, 0, 1, 2].entries()) {
      await publisher.publish(`${topic}/${name}`, 'x', { qos, retain: true });
    }
    await using client = await RawClient.connect(broker, { clean });
    const growth = await counted(async () => {
      await client.subscribe([`${topic}/#`, 2]);
      for (let i = 0; i < 6; i++) await client.receive();
      await client.expectNothing();
    });
    assert.deepEqual(growth, { delivered: 6, dropped: 0 });
  });
}

test('what a client of a shared subscription gets counts once', async () => {
  const topic = freshTopic();
  await using client = await RawClient.connect(broker, { clientId: freshId() });
  await client.subscribe([`$share/group/${topic}`, 1]);
  const growth = await counted(async () => {
    client.send(mqtt.publish(topic, 'x', { qos: 1, id: 1 }));
    await client.receive();
  });
  assert.deepEqual(growth, { delivered: 1, dropped: 0 });
});
