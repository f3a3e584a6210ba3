// Stores of earlier releases: all of it is there afterwards, whenever the process is killed meanwhile.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import AsyncLevelPersistence from 'aedes-persistence-level/asyncPersistence.js';
import { runCli } from '../../src/cli/command-line.js';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { outgoingRecord, sessionRecord, storedMessage } from '../contract/store.js';
import { captureLog } from '../support/captured-log.js';
import { captureIo } from '../support/command-io.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { collect, openLevel, silent, type WholeSession, wholeSessions } from '../support/open-store.js';
import { type FormerSession, formerRetained, formerRows, formerVersion } from '../support/store-version-1.js';
import { tempFolder } from '../support/temp-folder.js';

const open = (path: string, log = silent): Promise<Store> =>
  openStore({ config: { path, sessionExpiryMs: 1000 }, log, clock: systemClock });

const left = { expiresAt: 1_800_000_000_000, sentSeq: 2 };

/** Sessions whose ids are encoded, sort otherwise than their text, and begin like others; with everything there was. */
const formerSessions: FormerSession[] = [
  { session: sessionRecord('alice/a'), subscriptions: [], outgoing: [], incoming: [] },
  {
    session: sessionRecord('alice/a b', left),
    subscriptions: [
      { filter: 'iotlab/alice/#', qos: 2, options: 0b101000, identifier: 9 },
      { filter: 'iotlab/alice/é:/+', qos: 0, options: 0, identifier: null },
    ],
    outgoing: [
      outgoingRecord(1, { qos: 2, retain: true, properties: Buffer.from([1, 0]) }),
      outgoingRecord(2, { qos: 2, released: true, topic: '', payload: Buffer.alloc(0) }),
      outgoingRecord(9, { topic: 'é' }),
      outgoingRecord(10, { payload: Buffer.alloc(3_000_000, 'x') }),
      outgoingRecord(100, { payload: Buffer.alloc(3_000_000, 'y') }),
    ],
    incoming: [7, 65_535],
  },
  { session: sessionRecord('alice/aé😀'), subscriptions: [], outgoing: [outgoingRecord(3)], incoming: [] },
  { session: sessionRecord('alice/ab', { protocol: 3 }), subscriptions: [], outgoing: [], incoming: [1] },
];

function formerStore(): [string, Buffer][] {
  return [
    formerVersion,
    ...formerSessions.flatMap((session) => [...formerRows(session)]),
    formerRetained('iotlab/alice/old', Buffer.from('old'), null),
    formerRetained('iotlab/alice/x', Buffer.alloc(3_000_000, 'z'), 'alice'),
    // Of a session that there is not.
    ['outgoing:alice%2Faa:0000000000000001', Buffer.from([1, 1, 0, 1, 0, 0])],
    ['incoming:zoe%2Fz:0000000000000001', Buffer.from([0xc0])],
  ];
}

/** With the size of long messages in their place. */
const brief = (sessions: readonly WholeSession[]) =>
  sessions.map(({ outgoing, ...rest }) => ({
    ...rest,
    outgoing: outgoing.map(({ payload, ...message }) => ({
      ...message,
      payload: payload.length < 1_000 ? payload : [payload.length, payload[0], payload.at(-1)],
    })),
  }));

/** What a store has, as it can be compared. */
async function contents(store: Store) {
  const sessions = await wholeSessions(store);
  return {
    sessions: brief(sessions).sort((a, b) => a.session.clientId.localeCompare(b.session.clientId)),
    retained: [...store.retained].map(({ topic, payload, owner }) => [topic, payload.length, owner]),
  };
}

const expected = {
  sessions: brief(
    formerSessions.map(({ session, outgoing, ...rest }) => ({
      ...{ session, requests: [], ...rest },
      outgoing: outgoing.map((message) => {
        const sent = message.released || (session.sentSeq !== null && message.seq <= 2) ? 'yes' : 'no';
        return storedMessage(
          { ...outgoingRecord(message.seq), ...message },
          session.sentSeq === null && !message.released ? 'unknown' : sent,
        );
      }),
    })),
  ).sort((a, b) => a.session.clientId.localeCompare(b.session.clientId)),
  retained: [
    ['iotlab/alice/old', 3, null],
    ['iotlab/alice/x', 3_000_000, 'alice'],
  ],
};

async function formerFolder(t: TestContext): Promise<string> {
  const path = join(await tempFolder(t), 'store');
  const level = await openLevel(path);
  const library = new AsyncLevelPersistence(level);
  await library.putWill({ id: 'alice/a' }, { topic: 'gone', payload: 'x', qos: 1, retain: false, login: 'alice' });
  for (const [key, value] of formerStore()) await level.put(key, value);
  await level.close();
  return path;
}

test('a store of version 2 stays as it is, and is of today’s version', async (t) => {
  const path = await formerFolder(t);
  await (await open(path)).close();
  const level = await openLevel(path);
  const { size } = new Map(await level.iterator().all());
  await level.put('schema:version', Buffer.from('2'));
  await level.close();
  const store = await open(path);
  assert.deepEqual(await contents(store), expected);
  await store.close();
  const after = await openLevel(path);
  assert.equal(String(await after.get('schema:version')), '3');
  assert.equal(new Map(await after.iterator().all()).size, size);
  await after.close();
});

describe('a store of version 1', () => {
  test('is taken over whole, and once', async (t) => {
    const path = await formerFolder(t);
    const captured = captureLog();
    for (const _ of ['migrated', 'opened again']) {
      const store = await open(path, captured.log);
      assert.deepEqual(await contents(store), expected);
      assert.deepEqual(
        (await collect(store.loadWills())).map(({ clientId, topic }) => [clientId, topic]),
        [['alice/a', 'gone']],
      );
      await store.close();
    }
    assert.equal(captured.lines().filter(({ msg }) => /migrated/.test(String(msg))).length, 1);
    const level = await openLevel(path);
    const kinds = new Set((await level.keys().all()).map((key) => key.split(':', 1)[0]));
    assert.deepEqual([...kinds].sort(), ['c', 'large', 'part', 'r', 's', 'schema', 'will']);
    await level.close();
  });

  test('can be checked before and after', async (t) => {
    const path = await formerFolder(t);
    for (const migrated of [false, true]) {
      if (migrated) await (await open(path)).close();
      const io = captureIo();
      assert.equal(await runCli(['storage', 'check', '--path', path], io), 0, io.out());
      assert.match(io.out(), /session: 4\n/);
    }
  });

  test('is there whole, whenever the power is cut in its migration', async () => {
    let cuts = 0;
    for (let done = false; !done; cuts++) {
      const disk = new FlawedDisk();
      await disk.fill(formerStore());
      let writes = 0;
      disk.pause = async () => {
        if (writes++ === cuts) disk.cutPower();
      };
      const options = { config: { path: '/nowhere', sessionExpiryMs: 1000 }, log: silent, clock: systemClock };
      const cut = new Promise<null>((resolve) => {
        const { pause } = disk;
        disk.pause = async () => {
          await pause();
          if (writes > cuts) resolve(null);
        };
      });
      const first = await Promise.race([openStore({ ...options, open: disk.open }), cut]);
      done = first !== null;
      await first?.close();
      disk.pause = async () => {};
      const again = await openStore({ ...options, open: disk.open });
      assert.deepEqual(await contents(again), expected, `cut at write ${cuts + 1}`);
      await again.close();
      const former = [...(await disk.rows()).keys()].filter((key) => /^(session|outgoing|retained|schema:f)/.test(key));
      assert.deepEqual(former, []);
    }
    assert.ok(cuts > 8, `${cuts} writes`);
  });

  test('is what is taken over, and not what an earlier migration had made of it when it was cut off', async () => {
    const disk = new FlawedDisk();
    const options = { config: { path: '/nowhere', sessionExpiryMs: 1000 }, log: silent, clock: systemClock };
    const earlier = await openStore({ ...options, open: disk.open });
    const writer = earlier.session('alice/a');
    writer.save(sessionRecord('alice/a', { protocol: 5 }));
    writer.subscribe([{ filter: 'x', qos: 1, options: 0, identifier: null }]);
    writer.putOutgoing(outgoingRecord(1, { payload: Buffer.alloc(10_000) }));
    earlier.session('alice/gone').save(sessionRecord('alice/gone'));
    const { payload, properties, expiresAt } = outgoingRecord(1);
    earlier.retained.set({ topic: 'gone', payload, properties, expiresAt, qos: 1, storedAt: 1, owner: null });
    await earlier.close();
    await disk.fill(formerStore());
    const store = await openStore({ ...options, open: disk.open });
    assert.deepEqual(await contents(store), expected);
    await store.close();
    assert.equal([...(await disk.rows()).keys()].filter((key) => key.startsWith('c:')).length, 2);
  });

  test('of a size that takes its time tells how far it is', async () => {
    const disk = new FlawedDisk();
    await disk.fill(formerStore());
    const clock = new ManualClock();
    disk.pause = async () => clock.advance(6_000);
    const captured = captureLog();
    const config = { path: '/nowhere', sessionExpiryMs: 1000 };
    await (await openStore({ config, log: captured.log, clock, open: disk.open })).close();
    assert.ok(Number((await captured.waitFor(/being migrated/)).rows) > 0);
    assert.equal((await captured.waitFor(/was migrated/)).from, 1);
  });
});

describe('a store of version 0', () => {
  test('takes over what aedes-persistence-level wrote by itself', async (t) => {
    const path = join(await tempFolder(t), 'store');
    const level = await openLevel(path);
    const library = new AsyncLevelPersistence(level);
    await library.setup({ id: 'broker' });
    const packet = (n: number) => ({
      cmd: 'publish',
      topic: `iotlab/alice/${n}`,
      payload: Buffer.from(`message ${n}`),
      qos: 2 as const,
      retain: false,
      brokerId: 'broker',
      brokerCounter: n,
    });
    await library.storeRetained({ ...packet(0), retain: true });
    for (const id of ['alice/a', 'nobody']) {
      const subscriptions = [
        { topic: 'iotlab/alice/#', qos: 2 as const, rh: 2, rap: true, nl: false, subscriptionIdentifier: 9 },
      ];
      await library.addSubscriptions({ id }, subscriptions);
      for (let n = 1; n <= 12; n++) await library.outgoingEnqueue({ clientId: id }, packet(n));
    }
    const alice = { id: 'alice/a' };
    await library.outgoingUpdate(alice, { ...packet(1), messageId: 2 });
    await library.outgoingUpdate(alice, { cmd: 'pubrel', messageId: 2 } as never);
    await library.outgoingUpdate(alice, { ...packet(2), messageId: 3 });
    await library.incomingStorePacket(alice, { ...packet(99), messageId: 44 });
    await library.putWill(alice, { ...packet(7), topic: 'iotlab/alice/gone' });
    await level.close();

    const captured = captureLog();
    for (const round of ['migrated', 'opened again']) {
      const store = await open(path, captured.log);
      assert.deepEqual(
        [...store.retained].map(({ topic, payload, qos }) => [topic, String(payload), qos]),
        [['iotlab/alice/0', 'message 0', 2]],
      );
      const sessions = await wholeSessions(store);
      assert.equal(sessions.length, 1, round);
      const [{ session, subscriptions, outgoing, incoming }] = sessions as [(typeof sessions)[0]];
      assert.deepEqual([session.clientId, session.login], ['alice/a', 'alice']);
      assert.equal(session.expiresAt, session.createdAt + 1000);
      assert.deepEqual(subscriptions, [{ filter: 'iotlab/alice/#', qos: 2, options: 0b101000, identifier: 9 }]);
      assert.deepEqual(incoming, [44]);
      assert.deepEqual(
        outgoing.map(({ released }) => released),
        [true, ...Array(11).fill(false)],
      );
      assert.deepEqual(
        outgoing.map(({ packetId }) => packetId),
        [2, 3, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12],
      );
      assert.deepEqual(
        outgoing.slice(1).map(({ payload }) => String(payload)),
        Array.from({ length: 11 }, (_, n) => `message ${n + 2}`),
      );
      const [will] = await collect(store.loadWills());
      assert.deepEqual([will?.clientId, will?.login, will?.topic], ['alice/a', 'alice', 'iotlab/alice/gone']);
      await store.close();
    }
    assert.equal(captured.lines().filter(({ msg }) => /migrated/.test(String(msg))).length, 1);
    assert.equal((await captured.waitFor(/belong to no login/)).clients, 1);
  });
});
