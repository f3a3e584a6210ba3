import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type {
  OutgoingRecord,
  QueuedMessage,
  RetainedMessage,
  SessionRecord,
  StoredSession,
} from '../../src/store/contract.js';
import type { OpenedStore } from '../../src/store/store.js';
import { collect, committed, type StoreUnderTest, wholeSessions } from '../support/open-store.js';

export const sessionRecord = (clientId: string, changes: Partial<SessionRecord> = {}): SessionRecord => ({
  clientId,
  login: clientId.split('/')[0]!,
  protocol: 4,
  createdAt: 1_700_000_000_000,
  lastSeenAt: 1_700_000_000_500,
  expiresAt: null,
  expiryMs: null,
  sentSeq: null,
  ...changes,
});

export const outgoingRecord = (seq: number, changes: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  seq,
  packetId: seq % 65_536,
  qos: 1,
  retain: false,
  released: false,
  identifiers: null,
  topic: `iotlab/alice/${seq}`,
  payload: Buffer.from(`payload ${seq}`),
  properties: null,
  expiresAt: null,
  ...changes,
});

/** The record as it is found again, after a crash if nothing else is said. */
export const storedMessage = (record: OutgoingRecord, sent: QueuedMessage['sent'] = 'unknown') => ({
  ...record,
  sent,
});

/** What every store does, however it keeps. */
export function storeContract(name: string, make: () => Promise<StoreUnderTest>): void {
  /** Runs with a store that is closed, and a function that closes it and opens it again. */
  const withStore = (title: string, run: (store: OpenedStore, reopen: () => Promise<OpenedStore>) => Promise<void>) =>
    test(title, async () => {
      const under = await make();
      let store = await under.open();
      try {
        await run(store, async () => {
          await store.close();
          store = await under.open();
          return store;
        });
      } finally {
        await store.close();
        await under.cleanUp();
      }
    });

  const sessions = wholeSessions;

  describe(`store contract: ${name}`, () => {
    withStore('keeps what is remembered of users', async (store, reopen) => {
      store.putUser('alice', { groups: ['lab', 'teachers'] });
      store.putUser('bob: é', { groups: [] });
      store.putUser('carol', { groups: ['lab'] });
      store.putUser('alice', { groups: ['lab'] });
      store.deleteUser('carol');
      store.deleteUser('nobody');
      const again = await reopen();
      assert.deepEqual(
        new Map(await collect(again.loadUsers())),
        new Map([
          ['alice', { groups: ['lab'] }],
          ['bob: é', { groups: [] }],
        ]),
      );
    });

    withStore('keeps a session as it was saved last', async (store, reopen) => {
      const record = sessionRecord('alice/sensor:1 é', {
        protocol: 5,
        expiresAt: 1_800_000_000_000,
        expiryMs: 30_000,
        sentSeq: 7,
      });
      const writer = store.session(record.clientId);
      writer.save(sessionRecord('alice/sensor:1 é'));
      await committed(store);
      writer.save(record);
      const again = await reopen();
      const expected: StoredSession[] = [
        { session: record, subscriptions: [], requests: [], outgoing: [], incoming: [] },
      ];
      assert.deepEqual(await sessions(again), expected);
    });

    withStore('keeps what was asked for of retained messages, and how far that has come', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      const common = { filter: 'iotlab/alice/é/#', qos: 2, identifier: null, askedAt: 1_700_000_000_000 } as const;
      const requests = [9, 1_000, 1_234_567].map((place) => ({ ...common, place, last: place + 5 }));
      for (const request of requests) writer.putRequest(request);
      writer.putRequest({ ...common, place: 5, last: 8 });
      await committed(store);
      writer.moveRequest(1_000, { next: 1_003, after: 'iotlab/alice/é/c' });
      writer.moveRequest(5, { next: 7, after: 'iotlab/alice/é/b' });
      writer.deleteRequest(5);
      const [session] = await sessions(await reopen());
      const stored = requests.map((request) => ({ ...request, next: request.place, after: '' }));
      stored[1] = { ...stored[1]!, next: 1_003, after: 'iotlab/alice/é/c' };
      assert.deepEqual(session?.requests, stored);
    });

    withStore('keeps long messages, prepared or not', async (store, reopen) => {
      const payloads = ['a', 'b', 'c', 'd'].map((fill) => Buffer.alloc(1_000_000, fill));
      const retained = (name: string, payload: Buffer): RetainedMessage => ({
        ...{ topic: `iotlab/alice/${name}`, payload, properties: null, expiresAt: null },
        ...{ qos: 1, storedAt: 1, owner: 'alice' },
      });
      store.retained.set(await store.retained.prepare(retained('a', payloads[0]!)));
      store.retained.set(retained('b', payloads[1]!));
      store.retained.discard(await store.retained.prepare(retained('none', payloads[1]!)));
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      for (const [index, payload] of payloads.slice(2).entries()) {
        const place = { contentId: 0 };
        const record = outgoingRecord(index + 1, { payload });
        if (index === 0) await store.prepareContent(record, place);
        writer.putOutgoing(record, place);
      }
      const again = await reopen();
      const [session] = await sessions(again);
      const found = [...again.retained, ...session!.outgoing].map(({ payload }) => payload);
      assert.ok(found.every((payload, i) => payload.equals(payloads[i]!)) && found.length === 4);
    });

    withStore('keeps subscriptions with their options, and forgets those that are removed', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      const kept = { filter: 'iotlab/alice/+/é/#', qos: 2, options: 0b101100, identifier: 268_435_455 } as const;
      writer.subscribe([
        { filter: 'gone', qos: 1, options: 0, identifier: null },
        { ...kept, qos: 0 },
      ]);
      await committed(store);
      writer.subscribe([kept]);
      writer.unsubscribe(['gone', 'never there']);
      const [session] = await sessions(await reopen());
      assert.deepEqual(session?.subscriptions, [kept]);
    });

    withStore('a message that is put again, and taken away before that is written, is gone', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      writer.putOutgoing(outgoingRecord(5));
      await committed(store);
      writer.putOutgoing(outgoingRecord(5));
      writer.deleteOutgoing(5, 0, true);
      const [session] = await sessions(await reopen());
      assert.deepEqual(session?.outgoing, []);
    });

    withStore('keeps a queue in the order of its numbers, with everything a message has', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      const properties = Buffer.from([0x01, 0x01]);
      const queue = [
        outgoingRecord(9, { packetId: 65_535, qos: 2, retain: true }),
        outgoingRecord(10, { properties, payload: Buffer.alloc(0) }),
        outgoingRecord(11, { properties, expiresAt: 1_800_000_000_001, identifiers: [1, 268_435_455] }),
        outgoingRecord(12, { identifiers: [7] }),
        outgoingRecord(13, { expiresAt: 1_800_000_000_002 }),
        outgoingRecord(14, { identifiers: Array.from({ length: 255 }, (_, index) => index + 1) }),
        outgoingRecord(15, { identifiers: Array.from({ length: 256 }, (_, index) => index + 1), properties }),
        outgoingRecord(100, { topic: 'é/😀', payload: Buffer.alloc(100_000, 7) }),
        outgoingRecord(Number.MAX_SAFE_INTEGER, { packetId: 1 }),
      ];
      for (const record of queue.toReversed()) writer.putOutgoing(record);
      const [session] = await sessions(await reopen());
      assert.deepEqual(
        session?.outgoing,
        queue.map((record) => storedMessage(record)),
      );
    });

    withStore(
      'says what was sent, when the record tells, which it does when the client had left',
      async (store, reopen) => {
        const left = { expiresAt: 1_800_000_000_000, sentSeq: 2 };
        const known: [clientId: string, record: SessionRecord, sent: QueuedMessage['sent'][]][] = [
          ['alice/left', sessionRecord('alice/left', left), ['yes', 'yes', 'no', 'yes']],
          ['alice/none', sessionRecord('alice/none', { ...left, sentSeq: 0 }), ['no', 'no', 'no', 'yes']],
          [
            'alice/older',
            sessionRecord('alice/older', { ...left, sentSeq: null }),
            ['unknown', 'unknown', 'unknown', 'yes'],
          ],
          // The row says that the client was there: it may have been sent more since.
          [
            'alice/there',
            sessionRecord('alice/there', { ...left, expiresAt: null }),
            ['unknown', 'unknown', 'unknown', 'yes'],
          ],
        ];
        for (const [clientId, record] of known) {
          const writer = store.session(clientId);
          writer.save(record);
          for (const seq of [1, 2, 3]) writer.putOutgoing(outgoingRecord(seq));
          writer.releaseOutgoing(outgoingRecord(4, { qos: 2 }));
        }
        const found = await sessions(await reopen());
        assert.deepEqual(
          found.map(({ session, outgoing }) => [session.clientId, session, outgoing.map(({ sent }) => sent)]),
          known,
        );
      },
    );

    withStore('a released message keeps its packet id alone', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      writer.putOutgoing(outgoingRecord(1, { qos: 2, packetId: 77 }));
      writer.putOutgoing(outgoingRecord(2, { qos: 2, packetId: 78 }));
      await committed(store);
      writer.releaseOutgoing(outgoingRecord(1, { qos: 2, packetId: 77 }));
      const [session] = await sessions(await reopen());
      const [released, waiting] = session!.outgoing;
      assert.deepEqual(released, {
        ...outgoingRecord(1),
        packetId: 77,
        qos: 2,
        released: true,
        topic: '',
        payload: Buffer.alloc(0),
        sent: 'yes',
      });
      assert.equal(waiting?.released, false);
    });

    withStore('refuses a message that no row can be made of, and keeps the others', async (store, reopen) => {
      store.session('alice/a').save(sessionRecord('alice/a'));
      const writer = store.session('alice/a');
      writer.putOutgoing(outgoingRecord(1));
      // No client can bring that, nor anything else that a row has no room for.
      assert.throws(() => writer.putOutgoing(outgoingRecord(2, { identifiers: [2 ** 32] })), RangeError);
      writer.putOutgoing(outgoingRecord(3));
      await committed(store);
      const [session] = await sessions(await reopen());
      assert.deepEqual(
        session!.outgoing.map(({ seq }) => seq),
        [1, 3],
      );
    });

    withStore('deletes from the queue what was written and what was not', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      for (const seq of [1, 2, 3]) writer.putOutgoing(outgoingRecord(seq));
      writer.deleteOutgoing(2);
      await committed(store);
      writer.deleteOutgoing(1);
      writer.putOutgoing(outgoingRecord(4));
      writer.deleteOutgoing(4);
      const [session] = await sessions(await reopen());
      assert.deepEqual(session?.outgoing, [storedMessage(outgoingRecord(3))]);
    });

    withStore('reads a queue piece by piece, in order, with what was just put and deleted', async (store, reopen) => {
      const put = (to: typeof store, ...seqs: number[]) => {
        for (const seq of seqs)
          to.session('alice/a').putOutgoing(outgoingRecord(seq, { payload: Buffer.alloc(500, seq) }));
      };
      store.session('alice/a').save(sessionRecord('alice/a'));
      put(store, 1, 2, 3, 9, 10, 11, 1000);
      store.session('alice/b').putOutgoing(outgoingRecord(4));
      const again = await reopen();
      await sessions(again);
      const read = async (from: number, to: number, messages: number, bytes: number) => {
        const found = await again.session('alice/a').readOutgoing(from, to, { messages, bytes });
        for (const { seq, payload } of found.messages) assert.deepEqual(payload, Buffer.alloc(500, seq));
        return [found.messages.map(({ seq }) => seq), found.next] as const;
      };
      assert.deepEqual(await read(1, 1000, 100, 100_000), [[1, 2, 3, 9, 10, 11, 1000], null]);
      assert.deepEqual(await read(2, 10, 3, 100_000), [[2, 3, 9], 10]);
      assert.deepEqual(await read(10, 10, 3, 100_000), [[10], null]);
      assert.deepEqual(await read(1, 1000, 1, 1), [[1], 2]);
      const [few] = await read(1, 1000, 100, 1_200);
      assert.ok(few.length > 0 && few.length < 5, `${few.length} messages of 500 bytes in 1 200`);
      put(again, 1001);
      again.session('alice/a').deleteOutgoing(2);
      again.session('alice/a').releaseOutgoing(outgoingRecord(3, { qos: 2 }));
      const { messages } = await again.session('alice/a').readOutgoing(1, 1001, { messages: 100, bytes: 100_000 });
      assert.deepEqual(
        messages.map(({ seq, released }) => [seq, released]),
        [1, 3, 9, 10, 11, 1000, 1001].map((seq) => [seq, seq === 3]),
      );
      assert.deepEqual(await read(1002, 2000, 100, 100_000), [[], null]);
      const nobody = await again.session('alice/nobody').readOutgoing(1, 9, { messages: 1, bytes: 1 });
      assert.deepEqual(nobody, { messages: [], next: null });
    });

    withStore('a long message is one for all of its queues, for as long as one has it', async (store, reopen) => {
      const place = { contentId: 0 };
      const long = { payload: Buffer.alloc(20_000, 7), properties: Buffer.from([9]), expiresAt: 5 };
      for (const id of ['alice/a', 'alice/b', 'alice/c']) {
        store.session(id).save(sessionRecord(id));
        store.session(id).putOutgoing(outgoingRecord(1, { ...long, identifiers: [id.length] }), place);
        // What is short is in the queue's own row.
        store.session(id).putOutgoing(outgoingRecord(2), { contentId: 0 });
      }
      assert.notEqual(place.contentId, 0);
      store.session('alice/a').deleteOutgoing(1, place.contentId);
      let now = await reopen();
      const queues = (await sessions(now)).map(({ outgoing }) => outgoing);
      const first = storedMessage(outgoingRecord(1, { ...long, identifiers: [7] }));
      const second = storedMessage(outgoingRecord(2));
      assert.deepEqual(queues, [[second], [first, second], [first, second]]);
      const { messages } = await now.session('alice/b').readOutgoing(1, 1, { messages: 1, bytes: 1 });
      const { contentId } = messages[0]!;
      now.session('alice/b').releaseOutgoing(outgoingRecord(1, { qos: 2 }), contentId);
      now = await reopen();
      assert.deepEqual((await sessions(now)).at(-1)?.outgoing, [first, second]);
    });

    withStore('keeps the ids of received QoS 2 messages, also one that is used again', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      writer.putIncoming(5);
      writer.putIncoming(65_535);
      await committed(store);
      writer.deleteIncoming(5);
      writer.deleteIncoming(65_535);
      writer.putIncoming(5);
      const [session] = await sessions(await reopen());
      assert.deepEqual(session?.incoming, [5]);
    });

    withStore(
      'removes a session with all that it has, and nothing of one whose id begins the same',
      async (store, reopen) => {
        const ids = ['alice/a', 'alice/a:', 'alice/a-b', 'alice/aa', 'alicea/a'];
        for (const clientId of ids) {
          const writer = store.session(clientId);
          writer.save(sessionRecord(clientId));
          writer.subscribe([{ filter: 'x', qos: 1, options: 0, identifier: null }]);
          writer.putOutgoing(outgoingRecord(1));
          writer.putIncoming(1);
        }
        let now = await reopen();
        assert.equal((await sessions(now)).length, ids.length);
        now.session('alice/a').putOutgoing(outgoingRecord(2));
        now.session('alice/a').remove();
        now = await reopen();
        const left = await sessions(now);
        assert.deepEqual(left.map(({ session }) => session.clientId).sort(), ids.slice(1).sort());
        for (const session of left) {
          assert.equal(session.subscriptions.length, 1);
          assert.equal(session.outgoing.length, 1);
          assert.deepEqual(session.incoming, [1]);
        }
      },
    );

    withStore('a session that is made again after its removal begins empty', async (store, reopen) => {
      const writer = store.session('alice/a');
      writer.save(sessionRecord('alice/a'));
      writer.putOutgoing(outgoingRecord(1));
      writer.subscribe([{ filter: 'x', qos: 1, options: 0, identifier: null }]);
      await committed(store);
      writer.remove();
      writer.save(sessionRecord('alice/a'));
      writer.putOutgoing(outgoingRecord(2));
      const [session] = await sessions(await reopen());
      assert.deepEqual(session?.outgoing, [storedMessage(outgoingRecord(2))]);
      assert.deepEqual(session?.subscriptions, []);
    });

    withStore('keeps Wills until they are deleted', async (store, reopen) => {
      const will = {
        clientId: 'alice/a',
        login: 'alice',
        topic: 'iotlab/alice/gone',
        payload: Buffer.from([0, 255]),
        qos: 2,
        retain: true,
        properties: Buffer.from([1]),
        delaySeconds: 30,
        expirySeconds: 60,
        dueAt: 1_800_000_000_000,
      } as const;
      store.putWill('alice/a', will);
      const plain = { ...will, clientId: 'alice/b', properties: null, expirySeconds: null, dueAt: null };
      store.putWill('alice/b', plain);
      store.putWill('alice/c', { ...will, clientId: 'alice/c' });
      await committed(store);
      store.deleteWill('alice/c');
      const again = await reopen();
      assert.deepEqual(await collect(again.loadWills()), [will, plain]);
    });

    withStore('keeps retained messages, the last of each topic', async (store, reopen) => {
      const message = {
        topic: 'iotlab/alice/é',
        payload: Buffer.from('2'),
        qos: 1,
        properties: Buffer.from([9]),
        storedAt: 5,
        owner: null,
        expiresAt: null,
      } as const;
      assert.equal(store.retained.set({ ...message, payload: Buffer.from('1') }), undefined);
      assert.equal(store.retained.set(message)?.payload.toString(), '1');
      store.retained.set({ ...message, topic: 'iotlab/alice/gone' });
      const expiring = { ...message, topic: 'z', expiresAt: 1_800_000_000_000, owner: 'alice' };
      store.retained.set(expiring);
      await committed(store);
      assert.equal(store.retained.delete('iotlab/alice/gone')?.topic, 'iotlab/alice/gone');
      assert.equal(store.retained.delete('iotlab/alice/never'), undefined);
      const again = await reopen();
      assert.equal(again.retained.size, 2);
      assert.deepEqual([...again.retained], [message, expiring]);
      assert.deepEqual(again.retained.get(message.topic), message);
    });

    withStore('answers committed calls in their order, and at once when nothing is pending', async (store) => {
      assert.equal(store.idle, true);
      const order: number[] = [];
      store.committed(() => order.push(0));
      assert.deepEqual(order, [0]);
      const writer = store.session('alice/a');
      for (let n = 1; n <= 50; n++) {
        writer.putOutgoing(outgoingRecord(n));
        if (n % 7 === 0) writer.deleteOutgoing(n);
        store.committed(() => order.push(n));
        if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await committed(store);
      assert.deepEqual(
        order,
        Array.from({ length: 51 }, (_, n) => n),
      );
      assert.equal(store.idle, true);
      assert.equal(store.fault, null);
    });

    withStore('a callback that asks again comes behind those that asked before', async (store) => {
      const order: string[] = [];
      store.session('alice/a').putIncoming(1);
      store.committed(() => store.committed(() => order.push('inner')));
      store.committed(() => order.push('outer'));
      await committed(store);
      assert.deepEqual(order.toSorted(), ['inner', 'outer']);
      if (store.idle) assert.equal(store.fault, null);
    });
  });
}
