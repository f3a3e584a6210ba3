// Own process: weighs the memory of all that is in it.
// What is on the disk, and what is not any more, when the power fails after `committed` has answered.
import assert from 'node:assert/strict';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openLevel } from '../../src/store/level-database.js';
import { openDatabase } from '../../src/store/open-database.js';
import { openStore } from '../../src/store/store.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { eventually } from '../support/deadline.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { collect, committed, memoryStore, silent, wholeSessions } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

const subscription = (filter: string) => ({ filter, qos: 1, options: 0, identifier: null }) as const;
const retained = (topic: string, payload: string) => ({
  topic,
  payload: Buffer.from(payload),
  qos: 1 as const,
  properties: null,
  storedAt: 0,
  owner: null,
  expiresAt: null,
});
const will = (clientId: string, payload: string) => ({
  clientId,
  login: 'alice',
  topic: 'iotlab/alice/gone',
  payload: Buffer.from(payload),
  qos: 1 as const,
  retain: false,
  properties: null,
  delaySeconds: 0,
  expirySeconds: null,
  dueAt: null,
});

/** A store on a disk whose power can be cut. */
class Scene {
  readonly disk = new FlawedDisk();
  store!: Store;

  static async open(): Promise<Scene> {
    const scene = new Scene();
    await scene.#open();
    return scene;
  }

  async #open(): Promise<void> {
    const config = { path: '/nowhere', sessionExpiryMs: 1000 };
    this.store = await openStore({ config, log: silent, clock: systemClock, open: this.disk.open });
  }

  /** Everything handed over is on the disk; then the power fails, and the broker starts again. */
  async restart(): Promise<void> {
    await committed(this.store);
    this.disk.cutPower();
    await this.#open();
  }

  sessions() {
    return wholeSessions(this.store);
  }

  /** The keys on the disk, but for the version of the whole. */
  async keys(): Promise<string[]> {
    await committed(this.store);
    return [...(await this.disk.rows()).keys()].filter((key) => key !== 'schema:version');
  }

  /** What is removed leaves the disk by and by. */
  async swept(left: readonly string[]): Promise<void> {
    let keys: string[] = [];
    await eventually(5_000, 'the disk is swept', async () => {
      keys = await this.keys();
      return keys.length <= left.length;
    });
    assert.deepEqual(keys, left);
  }
}

/** A session with one of everything. */
function fill(store: Store, clientId = 'alice/a'): void {
  const writer = store.session(clientId);
  writer.save(sessionRecord(clientId));
  writer.subscribe([subscription('iotlab/alice/#'), subscription('iotlab/alice/+')]);
  writer.putOutgoing(outgoingRecord(1));
  writer.putOutgoing(outgoingRecord(2, { qos: 2 }));
  writer.releaseOutgoing(outgoingRecord(2, { qos: 2 }));
  writer.putIncoming(7);
}

describe('after a power cut', () => {
  test('a queue goes on where it was, over several starts', async () => {
    const scene = await Scene.open();
    scene.store.session('alice/a').save(sessionRecord('alice/a'));
    for (const seq of [1, 2, 3]) scene.store.session('alice/a').putOutgoing(outgoingRecord(seq));
    for (const expected of [
      [1, 2, 3],
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5],
    ]) {
      await scene.restart();
      const [session] = await scene.sessions();
      assert.deepEqual(
        session?.outgoing.map(({ seq, packetId, topic }) => [seq, packetId, topic]),
        expected.map((seq) => [seq, seq, `iotlab/alice/${seq}`]),
      );
      scene.store.session('alice/a').putOutgoing(outgoingRecord(expected.length + 1));
    }
  });

  test('nothing is left of a session that was removed, in the run that made it or in a later one', async () => {
    const scene = await Scene.open();
    fill(scene.store);
    await committed(scene.store);
    assert.equal((await scene.keys()).length, 6);
    scene.store.session('alice/a').remove();
    await scene.swept([]);

    fill(scene.store);
    await scene.restart();
    await scene.sessions();
    scene.store.session('alice/a').remove();
    await scene.swept([]);

    // The same id again, before the removal is on the disk.
    fill(scene.store);
    await committed(scene.store);
    scene.store.session('alice/a').remove();
    scene.store.session('alice/a').save(sessionRecord('alice/a', { protocol: 3 }));
    await scene.restart();
    const session = sessionRecord('alice/a', { protocol: 3 });
    assert.deepEqual(await scene.sessions(), [
      { session, subscriptions: [], requests: [], outgoing: [], incoming: [] },
    ]);
    assert.equal((await scene.keys()).length, 1);
  });

  test('of a long message one row is there, which goes with the last of its queues', async () => {
    const scene = await Scene.open();
    const contents = async () => (await scene.keys()).filter((key) => key.startsWith('c:'));
    const publish = (...ids: string[]) => {
      const place = { contentId: 0 };
      for (const id of ids) {
        scene.store.session(id).save(sessionRecord(id));
        scene.store.session(id).putOutgoing(outgoingRecord(1, { payload: Buffer.alloc(10_000) }), place);
      }
      return place.contentId;
    };
    const contentId = publish('alice/a', 'alice/b');
    assert.deepEqual(await contents(), ['c:a1']);
    scene.store.session('alice/a').deleteOutgoing(1, contentId);
    assert.deepEqual(await contents(), ['c:a1']);
    await scene.restart();
    await scene.sessions();
    scene.store.session('alice/b').remove();
    await scene.swept(['s:a1']);

    // Removed, and the power fails before the rows are gone.
    publish('alice/b', 'alice/c');
    publish('alice/d');
    assert.equal((await contents()).length, 2);
    for (const id of ['alice/b', 'alice/d']) scene.store.session(id).remove();
    await scene.restart();
    const found = (await scene.sessions()).map(({ session }) => session.clientId);
    assert.deepEqual(found, ['alice/a', 'alice/c']);
    assert.equal((await contents()).length, 1);
    scene.store.session('alice/c').remove();
    await scene.swept(['s:a1']);
  });

  test('a subscription that was taken back stays away, also one of an earlier run', async () => {
    const scene = await Scene.open();
    fill(scene.store);
    await scene.restart();
    await scene.sessions();
    scene.store.session('alice/a').unsubscribe(['iotlab/alice/#']);
    await scene.restart();
    assert.deepEqual((await scene.sessions())[0]?.subscriptions, [subscription('iotlab/alice/+')]);
  });

  test('a QoS 2 packet id that was released is free, also one of an earlier run', async () => {
    const scene = await Scene.open();
    fill(scene.store);
    await scene.restart();
    await scene.sessions();
    const writer = scene.store.session('alice/a');
    writer.deleteIncoming(7);
    writer.deleteOutgoing(2);
    await scene.restart();
    const [session] = await scene.sessions();
    assert.deepEqual(session?.incoming, []);
    assert.deepEqual(
      session?.outgoing.map(({ seq }) => seq),
      [1],
    );
  });

  test('a discarded Will stays discarded, and one that follows in the same turn is kept', async () => {
    const scene = await Scene.open();
    scene.store.putWill('alice/a', will('alice/a', 'first'));
    scene.store.putWill('alice/b', will('alice/b', 'first'));
    await scene.restart();
    scene.store.deleteWill('alice/a');
    scene.store.deleteWill('alice/b');
    scene.store.putWill('alice/b', will('alice/b', 'second'));
    scene.store.putWill('alice/c', will('alice/c', 'first'));
    scene.store.deleteWill('alice/c');
    await scene.restart();
    assert.deepEqual(await collect(scene.store.loadWills()), [will('alice/b', 'second')]);
  });

  test('of a retained topic the last message is there, and none that was deleted', async () => {
    const scene = await Scene.open();
    for (const topic of ['a', 'b', 'c', 'e']) scene.store.retained.set(retained(topic, 'old'));
    await scene.restart();
    scene.store.retained.set(retained('a', 'new'));
    scene.store.retained.delete('b');
    scene.store.retained.set(retained('d', 'short-lived'));
    scene.store.retained.delete('d');
    scene.store.retained.set(retained('e', 'short-lived'));
    scene.store.retained.delete('e');
    await scene.restart();
    assert.deepEqual([...scene.store.retained], [retained('a', 'new'), retained('c', 'old')]);
    assert.deepEqual(await scene.keys(), ['r:a', 'r:c']);
  });
});

describe('after a fault of the store', () => {
  test('what waited is written, and told, when the disk takes it again', async () => {
    const disk = new FlawedDisk();
    const clock = new ManualClock();
    const config = { path: '/nowhere', sessionExpiryMs: 1000 };
    const options = { config, log: silent, clock, open: disk.open };
    const store = await openStore(options);
    disk.writeError = new Error('IO error');
    fill(store);
    const told: string[] = [];
    store.committed((fault) => told.push(fault?.code ?? 'committed'));
    store.whenStored(() => told.push('stored'));
    await new Promise<void>((resolve) => store.onFault(() => resolve()));
    store.retained.set(retained('a', 'later'));
    assert.deepEqual(told, ['E_STORE_WRITE']);
    const recovered = new Promise<void>((resolve) => store.onRecovered(resolve));
    disk.writeError = null;
    clock.advance(1000);
    await recovered;
    await committed(store);
    assert.deepEqual(told, ['E_STORE_WRITE', 'stored']);
    disk.cutPower();
    const after = await openStore(options);
    const [session] = await wholeSessions(after);
    assert.equal(session?.outgoing.length, 2);
    assert.equal(after.retained.size, 1);
  });

  test('a folder without a store is not made into one', async (t) => {
    const folder = await tempFolder(t);
    await assert.rejects(openLevel(folder, 'existing'), { code: 'E_STORE_INCOMPLETE' });
    assert.equal((await readdir(folder)).includes('CURRENT'), false);
  });

  test('a folder that went away is not made anew: it is waited for', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'store');
    const clock = new ManualClock();
    let broken = false;
    const store = await openStore({
      config: { path, sessionExpiryMs: 1000 },
      log: silent,
      clock,
      open: async (mode) => {
        const database = await openDatabase({ path, log: silent, clock: systemClock, mode });
        return {
          get: (key) => database.get(key),
          iterator: (range) => database.iterator(range),
          batch: () => {
            const batch = database.batch();
            return broken
              ? { ...batch, write: () => Promise.reject(new Error('IO error: Input/output error')) }
              : batch;
          },
          close: () => database.close(),
        };
      },
    });
    fill(store);
    await committed(store);
    broken = true;
    store.session('alice/a').putOutgoing(outgoingRecord(3));
    await new Promise<void>((resolve) => store.onFault(() => resolve()));
    broken = false;
    // Another disk is mounted over it, for instance.
    await rename(path, `${path}.away`);
    const recovered = new Promise<void>((resolve) => store.onRecovered(resolve));
    clock.advance(1000);
    // The attempt has been made when the next one is due.
    while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.notEqual(store.fault, null);
    assert.equal((await readdir(folder)).includes('store'), false);
    await rename(`${path}.away`, path);
    const again = setInterval(() => clock.advance(10_000), 10);
    await recovered;
    clearInterval(again);
    await committed(store);
    await store.close();
    const after = await openStore({ config: { path, sessionExpiryMs: 1000 }, log: silent, clock });
    const [session] = await wholeSessions(after);
    assert.deepEqual(
      session?.outgoing.map(({ seq }) => seq),
      [1, 2, 3],
    );
    await after.close();
  });
});

describe('memory', () => {
  test('of retained messages that are gone nothing is left, however deep their topics were', async (t) => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const under = await memoryStore();
    const store = await under.open();
    t.after(async () => {
      await store.close();
      await under.cleanUp();
    });
    const deep = Array.from({ length: 30 }, (_, level) => `level ${level}`).join('/');
    const churn = (round: number) => {
      for (let n = 0; n < 2_000; n++) store.retained.set(retained(`${round}/${n}/${deep}`, ''.padEnd(1, 'x')));
      for (let n = 0; n < 2_000; n++) store.retained.delete(`${round}/${n}/${deep}`);
    };
    churn(0);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let round = 1; round <= 10; round++) churn(round);
    collectGarbage();
    const grownBy = process.memoryUsage().heapUsed - before;
    // Kept, the 600 000 levels would take more than 50 MB.
    assert.ok(grownBy < 8_000_000, `${grownBy} bytes`);
    assert.deepEqual(store.retained.match('#'), []);
  });
});
