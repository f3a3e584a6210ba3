// What may leave before it is on disk, and what not, so that a crash at the worst moment costs or doubles no message.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { perform } from '../../src/fairness/job.js';
import { PUBLISH, PUBREL } from '../../src/mqtt/packets.js';
import { Publication } from '../../src/mqtt/publication.js';
import { Counters } from '../../src/observe/counters.js';
import { OutgoingQueue } from '../../src/session/outgoing-queue.js';
import type { Outlet } from '../../src/session/outlet.js';
import { RetainedBatch } from '../../src/session/retained-batch.js';
import { openStore } from '../../src/store/store.js';
import { sessionRecord } from '../contract/store.js';
import { newScheduler, userAccount } from '../support/accounts.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { committed, silent, wholeSessions } from '../support/open-store.js';

const publication = (qos: 1 | 2) => Publication.of('iotlab/alice/x', Buffer.from('1'), qos, false, 'alice');

/** One persistent session over a disk whose writes wait for `write`. */
async function sessionOnSlowDisk() {
  const disk = new FlawedDisk();
  const config = { path: '/nowhere', sessionExpiryMs: 1_000 };
  const options = { config, log: silent, clock: systemClock, open: disk.open };
  const store = await openStore(options);
  const writer = store.session('alice/a');
  writer.save(sessionRecord('alice/a'));
  await committed(store);
  let write = () => {};
  disk.pause = () =>
    new Promise((resolve) => {
      write = resolve;
    });
  const sent: { type: number; packetId: number }[] = [];
  const outlet = (): Outlet => ({
    bytes: 0,
    hasRoom: true,
    slowed: false,
    receiveMaximum: 65_535,
    publication: (_publication, _qos, packetId) => sent.push({ type: PUBLISH, packetId }) > 0,
    message: (_message, _qos, packetId) => sent.push({ type: PUBLISH, packetId }) > 0,
    pubrel: (packetId) => sent.push({ type: PUBREL, packetId }),
  });
  const account = userAccount();
  const scheduler = newScheduler();
  const queue = new OutgoingQueue(
    {
      storedInMemory: false,
      mayReceive: () => true,
      perform: (job) => perform(job, account, scheduler),
      onUnreadable: (error) => assert.fail(String(error)),
      limits: defaultConfig().limits,
      clock: systemClock,
      account,
      retained: store.retained,
      counters: new Counters(),
      scheduler: { lookedAtMs: 0 },
      whenStored: (callback) => store.whenStored(callback),
      onDropped: () => assert.fail('dropped'),
    },
    writer,
  );
  const written = async () => {
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    write();
    await committed(store);
  };
  const crash = async () => {
    disk.cutPower();
    disk.pause = async () => {};
    const after = await openStore(options);
    const [session] = await wholeSessions(after);
    await after.close();
    return session!.outgoing;
  };
  return { store, queue, sent, outlet, written, crash };
}

describe('exactly once', () => {
  test('a QoS 2 message leaves when its packet id is on disk, whoever published it', async () => {
    const { store, queue, sent, outlet, written, crash } = await sessionOnSlowDisk();
    queue.attach(outlet());
    const message = publication(2);
    queue.deliver(message, 2);
    store.whenStored(() => message.ticket!.committed());
    assert.deepEqual(sent, []);
    await written();
    assert.deepEqual(sent, [{ type: PUBLISH, packetId: 1 }]);
    assert.deepEqual(
      (await crash()).map(({ packetId }) => packetId),
      [1],
    );
  });

  test('a QoS 1 message needs not wait: its receiver forgets the packet id', async () => {
    const { queue, sent, outlet } = await sessionOnSlowDisk();
    queue.attach(outlet());
    queue.deliver(publication(1), 2);
    assert.deepEqual(sent, [{ type: PUBLISH, packetId: 1 }]);
  });

  test('a retained QoS 2 message waits too, in its place', async () => {
    const { store, queue, sent, outlet, written, crash } = await sessionOnSlowDisk();
    for (const topic of ['a', 'b', 'c']) {
      store.retained.set({
        topic,
        payload: Buffer.from(topic),
        qos: topic === 'b' ? 1 : 2,
        properties: null,
        storedAt: 0,
        owner: null,
        expiresAt: null,
      });
    }
    await written();
    queue.attach(outlet());
    queue.deliverRetained(new RetainedBatch(store.retained.match('+'), { granted: 2, account: userAccount() }));
    assert.deepEqual(sent, []);
    await written();
    assert.deepEqual(
      sent.map(({ packetId }) => packetId),
      [1, 2],
    );
    await written();
    assert.deepEqual(
      sent.map(({ packetId }) => packetId),
      [1, 2, 3],
    );
    assert.deepEqual(
      (await crash()).map(({ topic, retain }) => [topic, retain]),
      [
        ['a', true],
        ['b', true],
        ['c', true],
      ],
    );
  });

  test('PUBREL leaves when PUBREC is on disk, also on a connection that came in between', async () => {
    const { store, queue, sent, outlet, written, crash } = await sessionOnSlowDisk();
    queue.attach(outlet());
    const message = publication(2);
    queue.deliver(message, 2);
    store.whenStored(() => message.ticket!.committed());
    await written();
    sent.length = 0;
    queue.pubrec(1);
    queue.detach();
    queue.attach(outlet());
    queue.pubrec(1);
    assert.deepEqual(sent, []);
    await written();
    assert.deepEqual(sent, [{ type: PUBREL, packetId: 1 }]);
    assert.equal((await crash())[0]?.released, true);
  });
});
