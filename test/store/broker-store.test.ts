// What the store's promises look like from outside, on a broker in a process of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerProcess } from '../support/broker-process.js';
import { ExactPublisher, ExactSubscriber } from '../support/exact-clients.js';
import { tempFolder } from '../support/temp-folder.js';

const limits = { queuedMessages: 1_000_000, queuedBytes: 1_000_000_000, queuedBytesPerUser: 1_000_000_000 };
const identity = (clientId: string) => ({ clientId, username: 'alice', password: 'secret' });

async function until(what: string, condition: () => boolean, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${timeoutMs} ms: ${what}`);
    await delay(5);
  }
}

test('a disk that is full: nothing unsafe is acknowledged, one line in the log, and service resumes', async (t) => {
  const folder = await tempFolder(t);
  const broker = await BrokerProcess.prepare(folder, { alice: 'secret' }, limits);
  t.after(() => broker.kill());
  const violations: string[] = [];
  const topics = [
    { topic: 'iotlab/alice/x/1', qos: 1, retain: false },
    { topic: 'iotlab/alice/x/2', qos: 2, retain: true },
  ] as const;
  const publisher = new ExactPublisher(identity('publisher'), violations, topics);
  const subscriber = new ExactSubscriber(identity('subscriber'), violations, ['iotlab/alice/x/+'], 2);
  const acknowledged = () => publisher.topics.reduce((sum, topic) => sum + topic.acknowledged, 0);
  let address = await broker.start();
  await subscriber.connect(address);
  await subscriber.subscribe();
  // Away, so that only the disk can make a message safe.
  subscriber.leave(true);
  await publisher.connect(address);
  publisher.publishing = true;
  publisher.pump();
  await until('the first messages', () => acknowledged() > 100);

  broker.limitFiles(4096);
  await until('the publisher is closed', () => !publisher.connected);
  const before = acknowledged();
  await publisher.connect(address).catch(() => {});
  await until('closed again', () => !publisher.connected);
  assert.equal(acknowledged(), before);
  // What needs no store goes on.
  const live = new ExactSubscriber(identity('live'), violations, ['iotlab/alice/live'], 1);
  await live.connect(address, true);
  await live.subscribe();
  const talker = new ExactPublisher(identity('talker'), violations, [
    { topic: 'iotlab/alice/live', qos: 1, retain: false },
  ]);
  await talker.connect(address, true);
  talker.publishing = true;
  talker.pump();
  await until('messages between clean sessions', () => (live.last.get('iotlab/alice/live') ?? 0) > 100);
  talker.leave(true);
  live.leave(true);
  assert.equal(broker.complaints.filter((line) => line.includes('the store cannot be written')).length, 1);

  broker.limitFiles(null);
  const end = performance.now() + 30_000;
  while (acknowledged() < before + 100 && performance.now() < end) {
    if (!publisher.connected) await publisher.connect(address).catch(() => {});
    await delay(20);
  }
  assert.ok(acknowledged() >= before + 100, `${acknowledged()} acknowledged, ${before} before`);
  publisher.publishing = false;
  await until('all flows are over', () => publisher.done);
  await broker.kill();
  address = await broker.start();
  await subscriber.connect(address);
  const complete = () => publisher.topics.every(({ topic, sent }) => subscriber.last.get(topic) === sent);
  await until('everything is delivered', complete);
  assert.deepEqual(violations, []);
  subscriber.leave(true);
});
