// Why LevelPersistence replaces parts of aedes-persistence-level: each test shows the bare library's fault, then ours
// without it. When one of the first halves fails, the library has been mended, and our own code may go.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import AsyncLevelPersistence, { type LibraryPacket } from 'aedes-persistence-level/asyncPersistence.js';
import { MemoryLevel } from 'memory-level';
import type { LevelPersistence } from '../../src/store/level-persistence.js';
import { collect, memoryStore } from '../support/open-store.js';

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

/** A database for the library, which counts what is asked of it. */
function countingDatabase() {
  const level = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
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

async function bare(
  run: (persistence: AsyncLevelPersistence, counts: { reads: number; writes: number }) => Promise<void>,
): Promise<void> {
  const { db, counts } = countingDatabase();
  const persistence = new AsyncLevelPersistence(db);
  await persistence.setup({ id: 'broker' });
  await run(persistence, counts);
  await persistence.destroy();
}

async function ours(run: (persistence: LevelPersistence) => Promise<void>): Promise<void> {
  const under = await memoryStore();
  const store = await under.open();
  await store.persistence.setup({ id: 'broker' });
  await run(store.persistence);
  await store.close();
  await under.cleanUp();
}

const filters = async (persistence: AsyncLevelPersistence, topic: string): Promise<string[]> =>
  (await persistence.subscriptionsByTopic(topic)).map((each) => each.topic).sort();

describe('defects of the bare library', () => {
  const removal = async (persistence: AsyncLevelPersistence) => {
    await persistence.addSubscriptions(client, [subscription('a/#'), subscription('a/b')]);
    await persistence.removeSubscriptions(client, ['a/#']);
    return filters(persistence, 'a/b');
  };

  test('overlapping filters, one removed: the other is forgotten, and messages with it', async () => {
    await bare(async (persistence) => assert.deepEqual(await removal(persistence), []));
    await ours(async (persistence) => assert.deepEqual(await removal(persistence), ['a/b']));
  });

  const narrowing = async (persistence: AsyncLevelPersistence) => {
    await persistence.addSubscriptions(client, [subscription('a/#', 1), subscription('a/b', 2)]);
    return filters(persistence, 'a/c');
  };

  test('overlapping filters of different QoS: the second takes the place of the first', async () => {
    await bare(async (persistence) => assert.deepEqual(await narrowing(persistence), []));
    await ours(async (persistence) => assert.deepEqual(await narrowing(persistence), ['a/#']));
  });

  test('retained messages: all are read for every filter, also to find one', async () => {
    const store = async (persistence: AsyncLevelPersistence) => {
      for (let n = 0; n < 500; n++) await persistence.storeRetained(packet({ topic: `others/${n}`, retain: true }));
      await persistence.storeRetained(packet({ topic: 'mine/x', retain: true }));
    };
    await bare(async (persistence, counts) => {
      await store(persistence);
      counts.reads = 0;
      assert.equal((await collect(persistence.createRetainedStream('mine/x'))).length, 1);
      assert.ok(counts.reads > 500, `${counts.reads} reads`);
    });
    await ours(async (persistence) => {
      await store(persistence);
      const all = persistence.createRetainedStream('#');
      assert.equal((await collect(all)).length, 501);
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < 20; round++) {
        const startedAt = performance.now();
        persistence.createRetainedStreamCombi(['mine/x', 'mine/+']);
        best = Math.min(best, performance.now() - startedAt);
      }
      assert.ok(best < 1);
      // One that two filters match comes once.
      assert.equal((await collect(persistence.createRetainedStreamCombi(['mine/x', 'mine/+']))).length, 1);
    });
  });

  test('a queued message is written three times before it is sent', async () => {
    const send = async (persistence: AsyncLevelPersistence) => {
      const queued = packet();
      await persistence.outgoingEnqueueCombi([{ clientId: client.id }], queued);
      await persistence.outgoingUpdate(client, { ...queued, messageId: 7 });
    };
    await bare(async (persistence, counts) => {
      await send(persistence);
      assert.equal(counts.writes, 3);
    });
    await ours(async (persistence) => {
      await send(persistence);
      const queued = (await collect(persistence.outgoingStream(client))) as LibraryPacket[];
      assert.deepEqual(
        queued.map(({ messageId }) => messageId),
        [7],
      );
    });
  });

  test('the queue of several runs comes out of order: it sorts by broker id, which is random, first', async () => {
    const queue = async (persistence: AsyncLevelPersistence) => {
      for (const [index, brokerId] of ['zebra', 'ape', 'zebra', 'ape'].entries()) {
        const payload = Buffer.from(String(index));
        await persistence.outgoingEnqueueCombi(
          [{ clientId: client.id }],
          packet({ brokerId, brokerCounter: index, payload }),
        );
      }
      const queued = (await collect(persistence.outgoingStream(client))) as LibraryPacket[];
      return queued.map(({ payload }) => payload.toString()).join('');
    };
    await bare(async (persistence) => assert.equal(await queue(persistence), '1302'));
    await ours(async (persistence) => assert.equal(await queue(persistence), '0123'));
  });

  test('Wills left by a crash are never due when the broker has a fixed id', async () => {
    const alive = { broker: Date.now() };
    const db = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
    const crashed = new AsyncLevelPersistence(db);
    await crashed.setup({ id: 'broker' });
    await crashed.putWill(client, packet());
    const restarted = new AsyncLevelPersistence(db);
    await restarted.setup({ id: 'broker' });
    assert.deepEqual(await collect(restarted.streamWill(alive)), []);

    const under = await memoryStore();
    const before = await under.open();
    await before.persistence.setup({ id: 'broker' });
    await before.persistence.putWill(client, packet());
    assert.deepEqual(await collect(before.persistence.streamWill(alive)), []);
    await before.close();
    const after = await under.open();
    await after.persistence.setup({ id: 'broker' });
    const due = (await collect(after.persistence.streamWill(alive))) as LibraryPacket[];
    assert.deepEqual(
      due.map(({ clientId }) => clientId),
      [client.id],
    );
    // aedes looks at the broker id once more before it sends one.
    assert.equal(Object.hasOwn(alive, String(due[0]?.brokerId)), false);
    await after.close();
    await under.cleanUp();
  });

  test('a filter of more than 100 levels is refused with an exception', async () => {
    const deep = Array(150).fill('x').join('/');
    await bare(async (persistence) => {
      await assert.rejects(persistence.addSubscriptions(client, [subscription(deep)]), /too many words/);
    });
    await ours(async (persistence) => {
      await persistence.addSubscriptions(client, [subscription(deep)]);
      assert.deepEqual(await filters(persistence, deep), [deep]);
    });
  });
});
