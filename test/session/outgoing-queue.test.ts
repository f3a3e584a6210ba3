// The messages on their way to one session: what leaves, in which order, what is kept, and who waits for whom.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Qos } from '../../src/mqtt/packets.js';
import { RetainedBatch } from '../../src/session/retained-batch.js';
import { BYTES_KEPT } from '../../src/session/user-account.js';
import type { RetainedMessage } from '../../src/store/contract.js';
import { wholeSessions } from '../support/open-store.js';
import {
  type QueueOptions,
  type QueueUnderTest,
  queueUnderTest,
  RecordingOutlet,
} from '../support/queue-under-test.js';

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => `${from + i}`);

function publishAll(session: QueueUnderTest, payloads: readonly string[], qos: Qos = 1): void {
  for (const payload of payloads) session.publish(payload, { qos });
}

/** How many messages are in flight, and how many wait. */
function backlog({ queue }: QueueUnderTest): [number, number] {
  const { inflightMessages, queuedMessages } = queue.backlog;
  return [inflightMessages, queuedMessages];
}

for (const persistent of [false, true]) {
  describe(`a client that is there (${persistent ? 'persistent' : 'clean'} session)`, () => {
    test('is sent a window of messages, and one more for each that it acknowledges, in order', async () => {
      const session = await queueUnderTest({ persistent, limits: { inflightMessages: 3 } });
      const outlet = session.connect();
      publishAll(session, numbers(6));
      assert.deepEqual(outlet.take(), [
        { what: '1', id: 1, qos: 1, dup: false, retain: false },
        { what: '2', id: 2, qos: 1, dup: false, retain: false },
        { what: '3', id: 3, qos: 1, dup: false, retain: false },
      ]);
      assert.deepEqual(backlog(session), [3, 3]);
      assert.equal(session.queue.puback(1), 'done');
      assert.deepEqual(outlet.takeNames(), ['4']);
      assert.equal(session.queue.puback(3), 'done');
      assert.equal(session.queue.puback(2), 'done');
      assert.deepEqual(outlet.takeNames(), ['5', '6']);
      assert.deepEqual(backlog(session), [3, 0]);
      for (const id of [4, 5, 6]) session.queue.puback(id);
      assert.equal(session.account.queuedBytes, 0);
    });

    test('is sent messages at the lower of the two QoS [MQTT-3.8.4-6]', async () => {
      const session = await queueUnderTest({ persistent });
      const outlet = session.connect();
      for (const qos of [0, 1, 2] as const) {
        for (const granted of [0, 1, 2] as const) session.publish('x', { qos, granted });
      }
      assert.deepEqual(
        outlet.take().map(({ qos }) => qos),
        [0, 0, 0, 0, 1, 1, 0, 1, 2],
      );
    });

    test('gets what is of QoS 0 behind what it must not overtake [MQTT-4.6.0-5]', async () => {
      const session = await queueUnderTest({ persistent, limits: { inflightMessages: 1 } });
      const outlet = session.connect();
      publishAll(session, ['1', '2']);
      publishAll(session, ['3'], 0);
      publishAll(session, ['4']);
      assert.deepEqual(outlet.takeNames(), ['1']);
      session.queue.puback(1);
      assert.deepEqual(outlet.takeNames(), ['2', '3'], 'which needs no room in the window');
      session.queue.puback(2);
      assert.deepEqual(outlet.takeNames(), ['4']);
    });

    test('loses messages of QoS 0 while it does not read, and none of QoS 1', async () => {
      const session = await queueUnderTest({ persistent });
      const outlet = session.connect();
      outlet.hasRoom = false;
      publishAll(session, ['lost'], 0);
      publishAll(session, ['kept']);
      assert.deepEqual(session.dropped, ['not-reading']);
      assert.deepEqual(outlet.takeNames(), []);
      outlet.hasRoom = true;
      assert.equal(session.queue.pump(), 1);
      assert.deepEqual(outlet.takeNames(), ['kept']);
    });

    test('has the flow of QoS 2 to its end, and only then the next message', async () => {
      const session = await queueUnderTest({ persistent, limits: { inflightMessages: 1 } });
      const outlet = session.connect();
      publishAll(session, ['1', '2'], 2);
      assert.deepEqual(outlet.takeNames(), ['1']);
      assert.equal(session.queue.pubrec(1), 'done');
      assert.equal(session.queue.pubrec(1), 'done', 'once more');
      assert.deepEqual(outlet.takeNames(), ['PUBREL', 'PUBREL']);
      assert.equal(session.queue.pubcomp(1), 'done');
      assert.equal(session.queue.pubcomp(1), 'unknown');
      assert.deepEqual(outlet.takeNames(), ['2']);
    });
  });
}

describe('a client that comes back', () => {
  test('is sent again what it has not acknowledged, in order, with DUP and the same ids, then the rest', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { inflightMessages: 2 } });
    const first = session.connect();
    publishAll(session, numbers(3));
    session.queue.puback(1);
    assert.deepEqual(first.takeNames(), ['1', '2', '3']);
    session.queue.detach();
    publishAll(session, ['4', '5']);
    assert.deepEqual(first.take(), []);
    const second = session.connect();
    assert.deepEqual(second.take(), [
      { what: '2', id: 2, qos: 1, dup: true, retain: false },
      { what: '3', id: 3, qos: 1, dup: true, retain: false },
    ]);
    session.queue.puback(2);
    await session.settled();
    assert.deepEqual(second.take(), [{ what: '4', id: 4, qos: 1, dup: false, retain: false }]);
  });

  test('is told again to release what it was told to release', async () => {
    const session = await queueUnderTest({ persistent: true });
    session.connect();
    publishAll(session, ['1', '2'], 2);
    session.queue.pubrec(1);
    session.queue.detach();
    const outlet = session.connect();
    assert.deepEqual(outlet.take(), [
      { what: 'PUBREL', id: 1 },
      { what: '2', id: 2, qos: 2, dup: true, retain: false },
    ]);
  });

  test('was not kept anything of QoS 0, neither while away nor from before', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { inflightMessages: 1 } });
    session.connect();
    publishAll(session, ['1', '2']);
    publishAll(session, ['waits behind 2'], 0);
    session.queue.detach();
    const { queuedBytes } = session.account;
    publishAll(session, ['away'], 0);
    assert.equal(session.account.queuedBytes, queuedBytes);
    const outlet = session.connect();
    session.queue.puback(1);
    await session.settled();
    session.queue.puback(2);
    assert.deepEqual(outlet.takeNames(), ['1', '2']);
    assert.equal(session.account.queuedBytes, 0);
    assert.deepEqual(session.dropped, []);
  });

  test('is sent again only what there is room for, and what it acknowledges before that not at all', async () => {
    const session = await queueUnderTest({ persistent: true });
    session.connect();
    publishAll(session, numbers(4), 2);
    session.queue.pubrec(1);
    session.queue.detach();
    const outlet = session.connect(false);
    assert.deepEqual(outlet.takeNames(), ['PUBREL']);
    assert.equal(session.queue.empty, false);
    assert.equal(session.queue.pubrec(2), 'done');
    await session.settled();
    assert.deepEqual(outlet.take(), [{ what: 'PUBREL', id: 2 }]);
    // There is room, and nobody has said so yet: what is new stays behind what is old.
    outlet.hasRoom = true;
    session.publish('new', { qos: 0 });
    assert.deepEqual(outlet.takeNames(), []);
    session.queue.pump();
    assert.deepEqual(
      outlet.take().map(({ what, dup }) => [what, dup]),
      [
        ['3', true],
        ['4', true],
        ['new', false],
      ],
    );
    for (const id of [3, 4]) session.queue.pubrec(id);
    await session.settled();
    for (const id of [1, 2, 3, 4]) assert.equal(session.queue.pubcomp(id), 'done');
    assert.equal(session.account.queuedBytes, 0);
  });

  test('and takes less at a time than it did is sent no more than that', async () => {
    const session = await queueUnderTest({ persistent: true });
    session.connect();
    publishAll(session, numbers(5));
    session.queue.detach();
    const outlet = new RecordingOutlet();
    outlet.receiveMaximum = 2;
    session.queue.attach(outlet);
    assert.deepEqual(outlet.takeNames(), ['1', '2']);
    for (const id of [1, 2, 3]) session.queue.puback(id);
    assert.deepEqual(
      outlet.take().map(({ what, dup }) => [what, dup]),
      [
        ['3', true],
        ['4', true],
        ['5', true],
      ],
    );
  });
});

describe('packet ids', () => {
  test('go round, and pass over those that are in flight [MQTT-2.3.1-2]', async () => {
    const session = await queueUnderTest({ limits: { inflightMessages: 3 } });
    const outlet = session.connect();
    publishAll(session, ['stays']);
    for (let i = 2; i <= 65_535; i++) {
      session.publish('x', {});
      session.queue.puback(i);
    }
    outlet.take();
    publishAll(session, ['next']);
    assert.deepEqual(
      outlet.take().map(({ id }) => id),
      [2],
      'not 0, and not 1',
    );
  });
});

describe('what is kept has limits', () => {
  test('by number: the newest is dropped', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { queuedMessages: 3 } });
    publishAll(session, numbers(5));
    assert.deepEqual(session.dropped, ['queue-full', 'queue-full']);
    const outlet = session.connect();
    await session.settled();
    assert.deepEqual(outlet.takeNames(), ['1', '2', '3']);
  });

  test('by bytes: one message is taken whatever its size, as long as it is alone', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { queuedBytes: 1_000 + 3 * BYTES_KEPT } });
    const large = 'x'.repeat(5_000);
    publishAll(session, [large, 'small']);
    assert.deepEqual(session.dropped, ['queue-full']);
    session.queue.clear();
    publishAll(session, ['small', 'x'.repeat(600), 'x'.repeat(600), 'small']);
    assert.deepEqual(session.dropped, ['queue-full', 'queue-full']);
    assert.equal(session.queue.backlog.queuedMessages, 3);
  });

  test('of the user: all queues together, what is in flight too', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { queuedBytesPerUser: 2_000 + 3 * BYTES_KEPT } });
    session.account.countMessage(900);
    const outlet = session.connect();
    publishAll(session, ['x'.repeat(600), 'x'.repeat(600)]);
    assert.equal(outlet.take().length, 1);
    assert.deepEqual(session.dropped, ['user-quota']);
    session.account.forgetMessage(900);
    publishAll(session, ['x'.repeat(600)]);
    assert.equal(outlet.take().length, 1);
  });

  test('of the user: memory', async () => {
    const session = await queueUnderTest({ persistent: true, memoryPerUser: 10_000 });
    session.account.balances.subscriptions.add(9_000);
    publishAll(session, ['x'.repeat(1_000)]);
    assert.deepEqual(session.dropped, ['user-quota']);
    session.account.balances.subscriptions.add(-9_000);
    publishAll(session, ['x'.repeat(1_000)]);
    assert.equal(session.queue.backlog.queuedMessages, 1);
  });
});

describe('who publishes', () => {
  test('waits ten milliseconds for a reader of the same user that is behind, and nobody else does', async () => {
    const session = await queueUnderTest({ limits: { inflightMessages: 1 } });
    session.connect();
    publishAll(session, numbers(64));
    assert.equal(session.publish('one too many', { login: 'bob' }).valve, null);
    const { valve } = session.publish('one too many');
    assert.equal(valve?.closed, true);
    session.clock.advance(9);
    assert.equal(valve?.closed, true);
    session.clock.advance(1);
    assert.equal(valve?.closed, false);
    assert.equal(session.queue.ready, true, 'it is not too slow');
  });

  test('waits no longer than the reader needs', async () => {
    const session = await queueUnderTest({ limits: { inflightMessages: 30 } });
    const outlet = session.connect();
    publishAll(session, numbers(94));
    const { valve } = session.publish('95');
    for (let id = 1; valve?.closed; id++) session.queue.puback(id);
    assert.ok(session.queue.backlog.queuedMessages > 0, 'a window is left, that is all');
    assert.ok(outlet.take().length >= 60);
  });

  test('waits a second for one whose queue is half full; then that is too slow, until it has caught up', async () => {
    const session = await queueUnderTest({ limits: { inflightMessages: 1, queuedMessages: 10 } });
    const outlet = session.connect();
    publishAll(session, numbers(6));
    assert.equal(session.queue.ready, false, 'shared subscriptions pass it over from here on');
    const { valve } = session.publish('7');
    assert.equal(valve?.closed, true);
    session.clock.advance(999);
    assert.equal(valve?.closed, true);
    session.clock.advance(1);
    assert.equal(valve?.closed, false);
    assert.equal(session.publish('8').valve, null, 'waiting again would help nobody');
    for (let id = 1; id <= 5; id++) session.queue.puback(id);
    assert.equal(session.queue.ready, false, 'it has more left than a window');
    for (let id = 6; id <= 8; id++) session.queue.puback(id);
    assert.equal(outlet.take().length, 8);
    assert.equal(session.queue.ready, true);
  });

  test('waits for a reader of QoS 0 whose socket has much to take, until that is taken', async () => {
    const session = await queueUnderTest();
    const outlet = session.connect();
    outlet.bytes = 256 * 1024 + 1;
    const { valve } = session.publish('x', { qos: 0 });
    assert.equal(valve?.closed, true);
    session.queue.pump();
    assert.equal(valve?.closed, false);
  });

  test('a reader of QoS 0 that lost messages is waited for again, and served by shared subscriptions', async () => {
    const session = await queueUnderTest();
    const outlet = session.connect();
    outlet.hasRoom = false;
    const { valve } = session.publish('lost', { qos: 0 });
    assert.equal(valve?.closed, true);
    session.clock.advance(1_000);
    assert.equal(session.queue.ready, false);
    outlet.hasRoom = true;
    session.queue.pump();
    assert.equal(session.queue.ready, true);
  });

  test('goes on when the client leaves, and when the session ends', async () => {
    for (const leave of ['detach', 'clear'] as const) {
      const session = await queueUnderTest({ persistent: true, limits: { inflightMessages: 1, queuedMessages: 10 } });
      session.connect();
      publishAll(session, numbers(7));
      const { valve } = session.publish('8');
      assert.equal(valve?.closed, true);
      session.queue[leave]();
      assert.equal(valve?.closed, false, leave);
    }
  });

  test('is answered when the client has acknowledged, though the disk has nothing yet', async () => {
    const session = await queueUnderTest({ persistent: true });
    session.connect();
    const held: (() => void)[] = [];
    session.store.whenStored = (callback) => held.push(callback);
    const { ticket } = session.publish('x');
    let answered = 0;
    ticket!.whenSafe(() => answered++);
    assert.equal(answered, 0);
    session.queue.puback(1);
    assert.equal(answered, 1);
  });

  test('is answered when a session ends that has the message still', async () => {
    const session = await queueUnderTest({ persistent: true, limits: { inflightMessages: 1 } });
    session.connect();
    session.store.whenStored = () => {};
    const tickets = ['in flight', 'queued'].map((payload) => session.publish(payload).ticket!);
    let answered = 0;
    for (const ticket of tickets) ticket.whenSafe(() => answered++);
    session.queue.clear();
    assert.equal(answered, 2);
  });
});

describe('retained messages', () => {
  const retained = (topic: string, payload = topic, qos: Qos = 1): RetainedMessage => ({
    ...{ topic, payload: Buffer.from(payload), qos, owner: 'alice' },
    ...{ properties: null, storedAt: 0, expiresAt: null },
  });

  async function withRetained(topics: readonly string[], options: QueueOptions = {}, qos: Qos = 1) {
    const session = await queueUnderTest(options);
    for (const topic of topics) session.store.retained.set(retained(topic, topic, qos));
    const kept = topics.map((topic) => session.store.retained.get(topic)!);
    return { session, batch: (granted: Qos = 2) => new RetainedBatch(kept, { granted, account: session.account }) };
  }

  test('come with the flag, behind what is queued and before what is published later', async () => {
    const { session, batch } = await withRetained(['a', 'b'], { limits: { inflightMessages: 2 } });
    const outlet = session.connect();
    publishAll(session, ['1', '2', '3']);
    session.queue.deliverRetained(batch());
    publishAll(session, ['4']);
    for (let id = 1; id <= 6; id++) session.queue.puback(id);
    const sent = outlet.take();
    assert.deepEqual(
      sent.map(({ what }) => what),
      ['1', '2', '3', 'a', 'b', '4'],
    );
    assert.deepEqual(
      sent.map(({ retain }) => retain),
      [false, false, false, true, true, false],
    );
    assert.equal(session.account.retainedPending, 0);
  });

  test('that were replaced or deleted meanwhile are passed over', async () => {
    const { session, batch } = await withRetained(['a', 'b', 'c', 'd'], { limits: { inflightMessages: 1 } });
    const outlet = session.connect();
    session.queue.deliverRetained(batch());
    session.store.retained.delete('b');
    session.store.retained.set(retained('c', 'a new c'));
    for (let id = 1; id <= 4; id++) session.queue.puback(id);
    assert.deepEqual(outlet.takeNames(), ['a', 'd']);
    assert.equal(session.account.retainedPending, 0);
  });

  test('wait for room like all others, and are given up when the session ends', async () => {
    const { session, batch } = await withRetained(['a', 'b']);
    const outlet = session.connect();
    outlet.hasRoom = false;
    assert.equal(session.queue.deliverRetained(batch(0)), 0);
    assert.equal(session.account.retainedPending, 2);
    session.queue.clear();
    assert.equal(session.account.retainedPending, 0);
  });

  test('of QoS 2 for a persistent session are in its queue before they leave', async () => {
    const options = { persistent: true, limits: { inflightMessages: 2 } };
    const { session, batch } = await withRetained(['a', 'b', 'c'], options, 2);
    const outlet = session.connect();
    session.queue.deliverRetained(batch());
    assert.deepEqual(outlet.takeNames(), ['a', 'b']);
    const [stored] = await wholeSessions(session.store);
    assert.deepEqual(
      stored!.outgoing.map(({ topic, retain }) => [topic, retain]),
      [
        ['a', true],
        ['b', true],
      ],
    );
  });
});

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), qos: fc.constantFrom<Qos>(0, 1, 2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('come' as const), room: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('room' as const), room: fc.boolean() }) },
);

test('whatever happens, what is promised arrives once and in order, and nothing stays counted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 120 }), async (operations) => {
      const session = await queueUnderTest({ persistent: true, limits: { inflightMessages: 4 } });
      const promised: string[] = [];
      const arrived: string[] = [];
      /** Sent and not acknowledged, in order, with what is to be said next. */
      let open: { id: number; qos: number; released: boolean }[] = [];
      let outlet: RecordingOutlet | null = null;
      const read = () => {
        for (const { what, id, qos = 0, dup } of outlet?.take() ?? []) {
          if (what === 'PUBREL') continue;
          assert.equal(dup, arrived.includes(what) && qos > 0, `${what} with DUP ${dup}`);
          if (!arrived.includes(what)) arrived.push(what);
          if (qos > 0 && !open.some((known) => known.id === id)) open.push({ id, qos, released: false });
        }
      };
      const acknowledge = (which: number) => {
        const message = open[which % open.length];
        if (message === undefined || outlet === null) return;
        if (message.qos === 2 && !message.released) {
          assert.equal(session.queue.pubrec(message.id), 'done');
          message.released = true;
        } else {
          assert.equal(
            message.qos === 1 ? session.queue.puback(message.id) : session.queue.pubcomp(message.id),
            'done',
          );
          open = open.filter((other) => other !== message);
        }
      };
      let n = 0;
      for (const step of operations) {
        if (step.do === 'publish') {
          const payload = `${++n}`;
          session.publish(payload, { qos: step.qos });
          if (step.qos > 0) promised.push(payload);
        } else if (step.do === 'acknowledge') acknowledge(step.which);
        else if (step.do === 'leave') {
          session.queue.detach();
          outlet = null;
        } else if (step.do === 'come') {
          outlet ??= session.connect(step.room);
        } else if (outlet !== null) {
          outlet.hasRoom = step.room;
          session.queue.pump();
        }
        await session.settled();
        read();
        assert.ok(open.length <= 4);
      }
      outlet ??= session.connect();
      outlet.hasRoom = true;
      session.queue.pump();
      await session.settled();
      for (read(); open.length > 0; read()) {
        acknowledge(0);
        await session.settled();
      }
      const order = arrived.map(Number);
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      );
      assert.deepEqual(
        promised.filter((payload) => !arrived.includes(payload)),
        [],
      );
      assert.deepEqual(backlog(session), [0, 0]);
      assert.deepEqual([session.account.queuedBytes, session.account.heldBytes], [0, 0]);
      const [stored] = await wholeSessions(session.store);
      assert.deepEqual(stored!.outgoing, []);
      await session.store.close();
    }),
    { numRuns: 150 },
  );
});
