// What one user can make the broker keep in memory has a limit, whatever it is that is kept.
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { Outbox } from '../../src/connection/outbox.js';
import { writePublish } from '../../src/connection/publish-bytes.js';
import { ConnectionTraffic } from '../../src/mqtt/traffic.js';
import { Counters } from '../../src/observe/counters.js';
import { networkAccount, newLedger, newScheduler, userAccount } from '../support/accounts.js';
import { eventually } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

describe('the outbox of a peer that does not read', () => {
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  function stuckOutbox() {
    const writes: (() => void)[] = [];
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => void writes.push(done) });
    const outbox = new Outbox(
      socket,
      { scheduler: newScheduler(), clock: systemClock },
      { expectsMore: false, waiting: false, stopped: false },
      networkAccount(),
      new ConnectionTraffic(new Counters()),
    );
    return { outbox, writes };
  }

  test('says when there are too many answers, and when they are read', async () => {
    const { outbox, writes } = stuckOutbox();
    outbox.acknowledge(0x40, 1);
    await nextTurn();
    for (let i = 0; i < 300_000; i++) outbox.acknowledge(0x40, 1);
    assert.ok(outbox.answersRead.closed);
    let relieved = 0;
    outbox.answersRead.whenOpen(() => relieved++);
    assert.equal(relieved, 0);
    while (relieved === 0) {
      writes.shift()!();
      await nextTurn();
    }
    assert.equal(relieved, 1);
    assert.ok(!outbox.answersRead.closed);
  });

  test('lets go of whoever waits when it is closed', () => {
    const { outbox } = stuckOutbox();
    outbox.answersRead.close();
    let relieved = 0;
    outbox.answersRead.whenOpen(() => relieved++);
    outbox.close();
    assert.equal(relieved, 1);
  });

  test('counts for its user until the socket has taken it, or is gone', async () => {
    const account = userAccount('alice', newLedger(4 * 1024 * 1024));
    const { outbox, writes } = stuckOutbox();
    const other = stuckOutbox().outbox;
    const unsent = () => account.balances.outbox.bytes;
    outbox.account = account;
    other.account = account;
    outbox.acknowledge(0x40, 1);
    await nextTurn();
    outbox.acknowledge(0x40, 2);
    assert.equal(unsent(), 8);
    writes.shift()!();
    await nextTurn();
    assert.equal(unsent(), 4);
    outbox.packet(Buffer.alloc(1024 * 1024));
    assert.ok(!other.hasRoom, 'a quarter of what a user may hold waits for the sockets');
    outbox.close();
    assert.equal(unsent(), 0);
    assert.ok(other.hasRoom);
  });

  test('takes nothing more once it is closed, and counts nothing', async () => {
    const account = userAccount();
    const { outbox } = stuckOutbox();
    outbox.account = account;
    outbox.close();
    outbox.acknowledge(0x40, 1);
    outbox.packet(Buffer.alloc(100));
    const bytes = Buffer.alloc(200);
    outbox.verbatim(bytes, 0, 200);
    writePublish(outbox, 0x30, bytes, 0, 10, 0, 10, 200);
    await nextTurn();
    assert.equal(account.heldBytes, 0);
  });
});

describe('packets that come in part', () => {
  const broker = useTestBroker({ config: { limits: { memoryPerUser: 1024 * 1024 + 200_000 } } });
  const half = mqtt.publish('iotlab/alice/x', Buffer.alloc(8 * 1024 * 1024)).subarray(0, 600_000);

  test('count for their user; whoever goes over the limit is closed', async () => {
    await using first = await RawClient.connect(broker, { as: 'alice' });
    const account = broker.parts().sessions.account('alice');
    const counted = (what: string, holds: (bytes: number) => boolean) =>
      eventually(10_000, what, () => holds(account.balances.partial.bytes));
    // What is kept grows fourfold, from what comes first: that in one piece, or it depends on how the bytes are cut.
    first.send(half.subarray(0, 16_000));
    await counted('the first piece', (bytes) => bytes === 64_000);
    first.send(half.subarray(16_000));
    await counted('half a packet', (bytes) => bytes === 16 * 64_000);
    await using bob = await RawClient.connect(broker, { as: 'bob' });
    await using second = await RawClient.connect(broker, { as: 'alice' });
    second.send(half);
    await second.closed();
    assert.ok(account.balances.partial.bytes <= 1024 * 1024, `${account.balances.partial.bytes} bytes`);
    first.cut();
    await counted('nothing any more', (bytes) => bytes === 0);
    await bob.publish('iotlab/bob/x', Buffer.alloc(900_000), { qos: 1 });
    assert.equal(broker.parts().sessions.account('bob').balances.partial.bytes, 0);
  });
});

describe('messages that are sent and not acknowledged', () => {
  const broker = useTestBroker({ config: { limits: { queuedBytesPerUser: 1024 * 1024 } } });

  for (const qos of [1, 2]) {
    test(`count for their user at QoS ${qos} while a persistent session keeps them`, async () => {
      const subscriber = await RawClient.connect(broker, { as: 'alice', clientId: `slow-${qos}`, clean: false });
      await subscriber.subscribe(['iotlab/alice/x', qos]);
      await using publisher = await RawClient.connect(broker, { as: 'alice' });
      for (let i = 0; i < 6; i++) await publisher.publish('iotlab/alice/x', Buffer.alloc(300_000, i), { qos });
      const account = broker.parts().sessions.account('alice');
      assert.ok(account.queuedBytes > 900_000 && account.queuedBytes <= 1024 * 1024, `${account.queuedBytes} bytes`);
      for (let i = 0; i < 3; i++) assert.equal((await subscriber.receive()).payloadBytes[0], i);
      await subscriber.expectNothing();
      assert.equal(account.queuedBytes, 0);
      await subscriber.unsubscribe('iotlab/alice/x');
      await subscriber.disconnect();
    });
  }
});

describe('topics of many levels', () => {
  const broker = useTestBroker({ config: { limits: { retainedBytesPerUser: 10_000, memoryPerUser: 1024 * 1024 } } });
  const deep = (name: string) => `iotlab/alice/${name}${'/x'.repeat(180)}`;

  test('count for what they take in the tree of retained messages', async () => {
    await using client = await RawClient.connect(broker, { as: 'alice' });
    await client.publish(deep('a'), '1', { qos: 1, retain: true });
    await client.publish('iotlab/alice/a', '1', { qos: 1, retain: true });
    assert.deepEqual(
      [...broker.parts().store.retained].map(({ topic }) => topic),
      ['iotlab/alice/a'],
    );
  });

  test('count for what they take in the tree of subscriptions', async () => {
    await using client = await RawClient.connect(broker, { as: 'alice' });
    const account = broker.parts().sessions.account('alice');
    const filters = Array.from({ length: 60 }, (_, i) => [deep(`${i}`), 0] as const);
    const codes = await client.subscribe(...filters, ['iotlab/alice/a', 1]);
    assert.equal(codes[0], 0);
    assert.equal(codes[59], 0x80, 'sixty of them are more than a megabyte');
    assert.equal(codes[60], 1, 'and a small one still has room');
    await client.unsubscribe(...filters.map(([filter]) => filter), 'iotlab/alice/a');
    assert.equal(account.balances.subscriptions.bytes, 0);
    await client.subscribe(['iotlab/alice/a', 1]);
    await client.disconnect();
    await eventually(5_000, 'nothing is left', () => account.balances.subscriptions.bytes === 0);
  });
});
