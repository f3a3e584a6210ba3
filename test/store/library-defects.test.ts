// Why aedes-persistence-level keeps the Wills alone: each of these tests shows a fault of the library by itself. When one
// of them fails, the library has been mended, and may have that work back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import AsyncLevelPersistence, { type LibraryPacket } from 'aedes-persistence-level/asyncPersistence.js';
import { MemoryLevel } from 'memory-level';
import { collect } from '../support/open-store.js';

const client = { id: 'alice/a' };
const subscription = (topic: string, qos: 0 | 1 | 2 = 1) => ({ topic, qos, rh: 0, rap: false, nl: false });
const packet = (changes: Partial<LibraryPacket> = {}): LibraryPacket => ({
  cmd: 'publish',
  topic: 'a/b',
  payload: Buffer.from('x'),
  qos: 1,
  retain: false,
  dup: false,
  brokerId: 'broker',
  brokerCounter: 1,
  ...changes,
});

const memory = () => new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });

/** A database for the library, which counts what is asked of it. */
function countingDatabase() {
  const level = memory();
  const counts = { reads: 0, writes: 0 };
  const db = {
    get: (key: string) => level.get(key),
    put: (key: string, value: Buffer) => {
      counts.writes++;
      return level.put(key, value);
    },
    batch: (operations: { type: 'put'; key: string; value: Buffer }[]) => {
      counts.writes += operations.length;
      return level.batch(operations);
    },
    async *values(range: { gte: string; lt: string }) {
      for await (const value of level.values(range)) {
        counts.reads++;
        yield value;
      }
    },
    close: () => level.close(),
  };
  return { db, counts };
}

async function library(
  run: (persistence: AsyncLevelPersistence, counts: { reads: number; writes: number }) => Promise<void>,
): Promise<void> {
  const { db, counts } = countingDatabase();
  const persistence = new AsyncLevelPersistence(db);
  await persistence.setup({ id: 'broker' });
  await run(persistence, counts);
  await persistence.destroy();
}

const filters = async (persistence: AsyncLevelPersistence, topic: string): Promise<string[]> =>
  (await persistence.subscriptionsByTopic(topic)).map((each) => each.topic).sort();

describe('defects of the library by itself', () => {
  test('overlapping filters, one removed: the other is forgotten, and messages with it', () =>
    library(async (persistence) => {
      await persistence.addSubscriptions(client, [subscription('a/#'), subscription('a/b')]);
      await persistence.removeSubscriptions(client, ['a/#']);
      assert.deepEqual(await filters(persistence, 'a/b'), []);
    }));

  test('overlapping filters of different QoS: the second takes the place of the first', () =>
    library(async (persistence) => {
      await persistence.addSubscriptions(client, [subscription('a/#', 1), subscription('a/b', 2)]);
      assert.deepEqual(await filters(persistence, 'a/c'), []);
    }));

  test('retained messages: all are read for every filter, also to find one', () =>
    library(async (persistence, counts) => {
      for (let n = 0; n < 500; n++) await persistence.storeRetained(packet({ topic: `others/${n}`, retain: true }));
      await persistence.storeRetained(packet({ topic: 'mine/x', retain: true }));
      counts.reads = 0;
      assert.equal((await collect(persistence.createRetainedStream('mine/x'))).length, 1);
      assert.ok(counts.reads > 500, `${counts.reads} reads`);
    }));

  test('a queued message is written three times before it is sent', () =>
    library(async (persistence, counts) => {
      const queued = packet();
      await persistence.outgoingEnqueue({ clientId: client.id }, queued);
      await persistence.outgoingUpdate(client, { ...queued, messageId: 7 });
      assert.equal(counts.writes, 3);
    }));

  test('the queue of several runs comes out of order: it sorts by broker id, which is random, first', () =>
    library(async (persistence) => {
      for (const [index, brokerId] of ['zebra', 'ape', 'zebra', 'ape'].entries()) {
        const payload = Buffer.from(String(index));
        await persistence.outgoingEnqueue({ clientId: client.id }, packet({ brokerId, brokerCounter: index, payload }));
      }
      const queued = (await collect(persistence.outgoingStream(client))) as LibraryPacket[];
      assert.equal(queued.map(({ payload }) => payload.toString()).join(''), '1302');
    }));

  test('Wills left by a crash are never due when the broker has a fixed id', async () => {
    const db = memory();
    const crashed = new AsyncLevelPersistence(db);
    await crashed.setup({ id: 'broker' });
    await crashed.putWill(client, packet());
    const restarted = new AsyncLevelPersistence(db);
    await restarted.setup({ id: 'broker' });
    assert.deepEqual(await collect(restarted.streamWill({ broker: Date.now() })), []);
    await restarted.destroy();
  });

  test('a filter of more than 100 levels is refused with an exception', () =>
    library(async (persistence) => {
      const deep = Array(150).fill('x').join('/');
      await assert.rejects(persistence.addSubscriptions(client, [subscription(deep)]), /too many words/);
    }));
});
