// What a user gives back can be had again. Each limit is filled up, freed in one of the ways there are, and filled up
// again; a counter that does not return to what it was shows within a few rounds.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import { RawClient } from '../support/raw-client.js';

const persistent = (clientId: string) => ({ ...patient, clean: false, clientId });
const rounds = [1, 2, 3, 4];

describe('subscriptions of a user', () => {
  const limit = 10;
  // So long that what they take in memory matters beside their number.
  const filters = Array.from({ length: limit }, (_, i) => `iotlab/alice/${'x'.repeat(400)}${i}`);
  const all = filters.map((filter) => [filter, 0] as const);
  const start = () => startDiskBroker({ limits: { subscriptionsPerUser: limit } });
  const oneMore = ['iotlab/alice/one-more', 0] as const;

  async function fill(client: RawClient): Promise<void> {
    assert.deepEqual(await client.subscribe(...all), Array(limit).fill(0));
    assert.deepEqual(await client.subscribe(oneMore), [0x80], 'the limit holds');
  }

  for (const [way, end] of [
    ['UNSUBSCRIBE', (client: RawClient) => client.unsubscribe(...filters)],
    ['the end of a clean session', (client: RawClient) => client.disconnect()],
    ['a takeover of a clean session', async () => {}],
  ] as const) {
    test(`are given back by ${way}`, async () => {
      await using broker = await start();
      // An account with a connection left is not forgotten, and its counters with it.
      await using _stays = await RawClient.connect(broker, patient);
      for (const _ of rounds) {
        const client = await RawClient.connect(broker, { ...patient, clientId: 'same' });
        await fill(client);
        await end(client);
      }
    });
  }

  test('are given back when a persistent session is removed, and not before', async () => {
    await using broker = await start();
    for (const restart of [async () => {}, () => broker.restart()]) {
      const client = await RawClient.connect(broker, persistent('same'));
      await fill(client);
      await client.disconnect();
      await restart();
      await using other = await RawClient.connect(broker, patient);
      assert.deepEqual(await other.subscribe(oneMore), [0x80], 'a session that is away has them still');
      for (const _ of rounds) {
        await (await RawClient.connect(broker, { ...patient, clientId: 'same' })).disconnect();
        const again = await RawClient.connect(broker, persistent('same'));
        await fill(again);
        await again.disconnect();
      }
    }
  });

  test('that replace one another count once', async () => {
    await using broker = await start();
    await using client = await RawClient.connect(broker, patient);
    for (const _ of rounds) {
      await fill(client);
      await fill(client);
      await client.unsubscribe(...filters);
    }
  });
});

describe('bytes queued for a user', () => {
  const messageBytes = 10_000;
  const payload = (text: string) => text.padEnd(messageBytes, '.');
  /** Eight messages with their topics, not nine. */
  const limits = { inflightMessages: 1, queuedBytesPerUser: 9 * messageBytes };
  const start = () => startDiskBroker({ limits });

  async function publish(broker: DiskBroker, count: number): Promise<void> {
    await using publisher = await RawClient.connect(broker, patient);
    for (let i = 0; i < count; i++) await publisher.publish('iotlab/alice/x', payload(`${i}`), { qos: 1 });
  }

  /** Fills the quota with the messages of a session that is away, of which the ninth is one too many. */
  async function fill(broker: DiskBroker, clientId: string): Promise<void> {
    const client = await RawClient.connect(broker, persistent(clientId));
    await client.subscribe(['iotlab/alice/x', 1]);
    await client.disconnect();
    await publish(broker, 9);
  }

  async function assertFilled(broker: DiskBroker, clientId: string): Promise<RawClient> {
    const client = await RawClient.connect(broker, persistent(clientId));
    for (let i = 0; i < 8; i++) assert.equal((await client.receive()).payload, payload(`${i}`));
    await client.expectNothing('the ninth was dropped');
    return client;
  }

  test('are given back as the messages are acknowledged', async () => {
    await using broker = await start();
    await using _stays = await RawClient.connect(broker, patient);
    for (const _ of rounds) {
      await fill(broker, 'same');
      await (await assertFilled(broker, 'same')).disconnect();
    }
  });

  test('are given back when a session is removed with messages in flight and in its queue', async () => {
    await using broker = await start();
    await using _stays = await RawClient.connect(broker, patient);
    for (const _ of rounds) {
      await fill(broker, 'removed');
      const inFlight = await RawClient.connect(broker, persistent('removed'));
      await inFlight.message();
      await inFlight.disconnect();
      await (await RawClient.connect(broker, { ...patient, clientId: 'removed' })).disconnect();
    }
    await fill(broker, 'same');
    await (await assertFilled(broker, 'same')).disconnect();
  });

  test('are given back when a connection goes, by the messages of QoS 0 that waited for it', async () => {
    await using broker = await start();
    await using publisher = await RawClient.connect(broker, patient);
    const first = await RawClient.connect(broker, persistent('same'));
    await first.subscribe(['iotlab/alice/x', 1]);
    // One in flight, one behind it for want of room, and behind that what must not overtake it.
    await publisher.publish('iotlab/alice/x', 'in flight', { qos: 1 });
    await publisher.publish('iotlab/alice/x', 'queued', { qos: 1 });
    for (let i = 0; i < 8; i++) await publisher.publish('iotlab/alice/x', payload('QoS 0'));
    await first.message();
    await first.disconnect();
    await publish(broker, 8);
    await using second = await RawClient.connect(broker, persistent('same'));
    assert.equal((await second.receive()).payload, 'in flight');
    assert.equal((await second.receive()).payload, 'queued');
    for (let i = 0; i < 8; i++) assert.equal((await second.receive()).payload, payload(`${i}`));
    await second.expectNothing('[MQTT-4.3.1-1] nothing of QoS 0');
  });

  test('are those of the queues that a restart brings back', async () => {
    await using broker = await start();
    await fill(broker, 'same');
    await broker.restart();
    await publish(broker, 1);
    await using client = await assertFilled(broker, 'same');
    await client.expectNothing();
  });
});

test('a message larger than half the queue, and even than all of it, is taken when it is alone', async () => {
  await using broker = await startDiskBroker({ limits: { queuedBytes: 10_000 } });
  const reader = await RawClient.connect(broker, persistent('reader'));
  await reader.subscribe(['iotlab/alice/x', 1]);
  await reader.disconnect();
  await using publisher = await RawClient.connect(broker, patient);
  for (const bytes of [6_000, 20_000]) {
    for (const text of ['taken', 'dropped']) {
      await publisher.publish('iotlab/alice/x', text.padEnd(bytes, '.'), { qos: 1 });
    }
    await using again = await RawClient.connect(broker, persistent('reader'));
    assert.equal((await again.receive()).payload, 'taken'.padEnd(bytes, '.'));
    await again.expectNothing('no room beside it');
    await again.disconnect();
  }
});

describe('messages queued for a user', () => {
  const limit = 12;
  const names = ['a', 'b'];
  const start = () => startDiskBroker({ limits: { inflightMessages: 2, queuedMessagesPerUser: limit } });

  /** As many messages for two sessions that are away as fit, and more. */
  async function fill(broker: DiskBroker): Promise<void> {
    for (const clientId of names) {
      const client = await RawClient.connect(broker, persistent(clientId));
      await client.subscribe(['iotlab/alice/x', 1]);
      await client.disconnect();
    }
    await using publisher = await RawClient.connect(broker, patient);
    for (let i = 0; i < limit; i++) await publisher.publish('iotlab/alice/x', `${i}`, { qos: 1 });
  }

  /** Connects, and receives its half of the messages. */
  async function half(broker: DiskBroker, clientId: string): Promise<RawClient> {
    const client = await RawClient.connect(broker, persistent(clientId));
    for (let i = 0; i < limit / 2; i++) assert.equal((await client.receive()).payload, `${i}`);
    await client.expectNothing('the others were dropped');
    return client;
  }

  test('are given back as the messages are acknowledged, those of before a restart too', async () => {
    await using broker = await start();
    await using _stays = await RawClient.connect(broker, patient);
    for (const round of rounds) {
      await fill(broker);
      if (round % 2 === 0) await broker.restart();
      for (const name of names) await (await half(broker, name)).disconnect();
    }
  });

  test('are given back with their session', async () => {
    await using broker = await start();
    await using _stays = await RawClient.connect(broker, patient);
    for (const _ of rounds) {
      await fill(broker);
      for (const clientId of names) await (await RawClient.connect(broker, { ...patient, clientId })).disconnect();
    }
    await fill(broker);
    for (const name of names) await (await half(broker, name)).disconnect();
  });

  test('count when they are in flight to a persistent session, and others go on', async () => {
    await using broker = await start();
    await fill(broker);
    await using client = await RawClient.connect(broker, persistent('a'));
    await client.message();
    await client.message();
    await using publisher = await RawClient.connect(broker, patient);
    await publisher.publish('iotlab/alice/x', 'one too many', { qos: 1 });
    await using bob = await RawClient.connect(broker, { ...persistent('a'), as: 'bob' });
    await bob.subscribe(['iotlab/bob/x', 1]);
    await bob.publish('iotlab/bob/x', 'his own', { qos: 1 });
    assert.equal((await bob.receive()).payload, 'his own');
    await using other = await half(broker, 'b');
    await other.expectNothing();
  });
});

describe('retained messages of a user', () => {
  const limits = { retainedMessagesPerUser: 3, retainedBytesPerUser: 30_000 };
  const topics = ['a', 'b', 'c'].map((name) => `iotlab/alice/${name}`);

  async function retained(broker: DiskBroker): Promise<string[]> {
    await using client = await RawClient.connect(broker, patient);
    await client.subscribe(['iotlab/alice/#', 0]);
    await client.publish('iotlab/alice/end', 'the last one');
    const found: string[] = [];
    for (;;) {
      const { topic, payload, retain } = await client.message();
      if (!retain) return found.sort();
      found.push(`${topic} ${payload.trimEnd()}`);
    }
  }

  const expected = (text: string) => topics.map((topic) => `${topic} ${text}`);

  test('count once for each topic, however often they are replaced', async () => {
    await using broker = await startDiskBroker({ limits });
    await using client = await RawClient.connect(broker, patient);
    for (const round of rounds) {
      // Eight thousand bytes each: counted twice, two of them are too many.
      const payload = `${round}`.padEnd(8_000);
      for (const topic of topics) await client.publish(topic, payload, { qos: 1, retain: true });
      await client.publish('iotlab/alice/d', payload, { qos: 1, retain: true });
      assert.deepEqual(await retained(broker), expected(`${round}`), 'the fourth is one too many');
    }
  });

  test('are given back by deleting them', async () => {
    await using broker = await startDiskBroker({ limits });
    await using client = await RawClient.connect(broker, patient);
    for (const round of rounds) {
      for (const topic of topics) await client.publish(topic, `${round}`.padEnd(8_000), { qos: 1, retain: true });
      await client.publish('iotlab/alice/d', 'one too many', { qos: 1, retain: true });
      assert.deepEqual(await retained(broker), expected(`${round}`));
      for (const topic of topics) await client.publish(topic, '', { qos: 1, retain: true });
      assert.deepEqual(await retained(broker), []);
    }
  });

  test('are those that a restart brings back', async () => {
    await using broker = await startDiskBroker({ limits });
    await using before = await RawClient.connect(broker, patient);
    for (const topic of topics) await before.publish(topic, 'before', { qos: 1, retain: true });
    await broker.restart();
    await using after = await RawClient.connect(broker, patient);
    await after.publish('iotlab/alice/d', 'one too many', { qos: 1, retain: true });
    assert.deepEqual(await retained(broker), expected('before'));
    await after.publish(topics[0]!, '', { qos: 1, retain: true });
    await after.publish('iotlab/alice/d', 'room for it', { qos: 1, retain: true });
    assert.equal((await retained(broker)).length, 3);
  });
});

test('a user has as many persistent sessions as allowed, those of absent clients and of before a restart included', async () => {
  await using broker = await startDiskBroker({ limits: { sessionsPerUser: 2 } });
  await (await RawClient.connect(broker, persistent('a'))).disconnect();
  await (await RawClient.connect(broker, persistent('b'))).disconnect();
  for (const restart of [async () => {}, () => broker.restart()]) {
    await restart();
    const { client, code } = await RawClient.attempt(broker, persistent('c'));
    assert.equal(code, 3);
    await client.closed();
    await (await RawClient.connect(broker, { ...patient, clientId: 'c' })).disconnect();
    const known = await RawClient.attempt(broker, persistent('a'));
    assert.deepEqual([known.code, known.sessionPresent], [0, true]);
    await known.client.disconnect();
  }
  await using bob = await RawClient.connect(broker, { ...persistent('c'), as: 'bob' });
  for (const _ of rounds) {
    // A clean session under the same client id removes the kept one, and its place is free.
    await (await RawClient.connect(broker, { ...patient, clientId: 'a' })).disconnect();
    await (await RawClient.connect(broker, persistent('c'))).disconnect();
    const { client, code } = await RawClient.attempt(broker, persistent('a'));
    assert.equal(code, 3);
    await client.closed();
    await (await RawClient.connect(broker, { ...patient, clientId: 'c' })).disconnect();
    await (await RawClient.connect(broker, persistent('a'))).disconnect();
  }
  await bob.expectNothing();
});
