// One user has one share of the broker, however many connections, filters or retained messages it is asked through.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { FrameHandler } from '../../src/connection/frame-handler.js';
import { FrameReader } from '../../src/connection/frame-reader.js';
import { Turn } from '../../src/fairness/turn.js';
import { UserAccount } from '../../src/session/user-account.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

describe('a share of the turn', () => {
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  function connections(logins: readonly string[], cost: number) {
    const turn = new Turn();
    const handled: number[] = [];
    const accounts = new Map(logins.map((login) => [login, new UserAccount(login)]));
    const readers = logins.map((login, index) => {
      const handler: FrameHandler = {
        payer: accounts.get(login)!,
        charge: () => true,
        largestFrame: 1_024,
        handle() {
          handled.push(index);
          return cost;
        },
      };
      const source = { closed: false, ended() {}, failed: (error: unknown) => assert.fail(error as Error) };
      return new FrameReader(new Readable({ read() {} }), turn, source, handler);
    });
    return { readers, handled };
  }

  test('is one for all connections of a user, and the others have theirs', async () => {
    const { readers, handled } = connections(['alice', 'alice', 'alice', 'bob'], 6_000);
    for (const reader of readers) reader.read(mqtt.pingreq());
    assert.deepEqual(handled, [0, 3]);
    await nextTurn();
    assert.deepEqual(handled, [0, 3, 1]);
    for (let turns = 0; turns < 5; turns++) await nextTurn();
    assert.deepEqual(handled, [0, 3, 1, 2]);
  });

  test('goes round among the connections of a user', async () => {
    const { readers, handled } = connections(['alice', 'alice', 'alice'], 6_000);
    const three = Buffer.concat([mqtt.pingreq(), mqtt.pingreq(), mqtt.pingreq()]);
    for (const reader of readers) reader.read(three);
    for (let turns = 0; turns < 30; turns++) await nextTurn();
    assert.deepEqual(handled, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test('that one packet went far beyond is paid off before the next one', async () => {
    const { readers, handled } = connections(['alice', 'alice'], 300_000);
    for (const reader of readers) reader.read(mqtt.pingreq());
    let turns = 0;
    for (; handled.length < 2 && turns < 500; turns++) await nextTurn();
    assert.deepEqual(handled, [0, 1]);
    assert.ok(turns >= 40, `${turns} turns later`);
  });

  test('is not handed on within itself: connections that make room for each other in a row take no stack', async () => {
    const turn = new Turn();
    let depth = 0;
    let deepest = 0;
    let left = 2_000;
    const link = {
      goOn() {
        deepest = Math.max(deepest, ++depth);
        if (--left > 0) turn.relieve(link);
        depth--;
      },
    };
    turn.relieve(link);
    while (left > 0) await nextTurn();
    assert.ok(deepest <= 2, `${deepest} within each other`);
  });
});

describe('what one user may ask for', () => {
  const broker = useTestBroker({ users: ['alice', 'bob'] });

  test('an account outlives the takeover of its only connection', async () => {
    const first = await RawClient.connect(broker, { as: 'alice', clientId: 'same' });
    await using second = await RawClient.connect(broker, { as: 'alice', clientId: 'same' });
    await first.closed();
    await second.expectNothing();
    assert.equal(broker.parts().sessions.account('alice').connections.size, 1);
    await using third = await RawClient.connect(broker, { as: 'alice', clientId: 'other' });
    await third.expectNothing();
    assert.equal(broker.parts().sessions.account('alice').connections.size, 2);
  });

  for (const [what, packet] of [
    ['SUBSCRIBE', mqtt.packet(0x82, mqtt.u16(1), Buffer.from([0, 1, 0x61, 0]))],
    ['UNSUBSCRIBE', mqtt.packet(0xa2, mqtt.u16(1), Buffer.from([0, 1, 0x61]))],
  ] as const) {
    test(`${what} with more filters than a session may have ends the connection before they are decoded`, async () => {
      await using client = await RawClient.connect(broker, { as: 'alice' });
      const filter = packet.subarray(4);
      client.send(mqtt.packet(packet[0]!, mqtt.u16(1), Buffer.concat(Array<Buffer>(10_001).fill(filter))));
      await client.expectClose();
    });

    test(`${what} of more than a megabyte ends the connection`, async () => {
      await using client = await RawClient.connect(broker, { as: 'alice' });
      const long = Buffer.concat([mqtt.field('a'.repeat(60_000)), packet.subarray(7)]);
      client.send(mqtt.packet(packet[0]!, mqtt.u16(1), Buffer.concat(Array<Buffer>(20).fill(long))));
      await client.expectClose();
    });
  }

  test('subscribing again and again to many retained messages leaves others their turns', async () => {
    await using alice = await RawClient.connect(broker, { as: 'alice', keepaliveSeconds: 0 });
    const count = 3_000;
    const topics = Array.from({ length: count }, (_, i) => mqtt.publish(`iotlab/alice/${i}`, 'x', { retain: true }));
    alice.send(...topics);
    await alice.expectNothing();
    await using bob = await RawClient.connect(broker, { as: 'bob' });
    const account = broker.parts().sessions.account('alice');
    alice.socket.pause();
    const times = 600;
    alice.send(...Array.from({ length: times }, (_, i) => mqtt.subscribe(i + 1, ['iotlab/alice/#', 0])));
    while (account.retainedPending === 0) await bob.expectNothing();
    let pings = 0;
    for (let before = -1; account.retainedPending > before; pings++) {
      before = account.retainedPending;
      await bob.expectNothing();
    }
    assert.ok(pings >= 10, `bob was heard ${pings} times meanwhile`);
    alice.cut();
    await alice.closed();
    while (broker.parts().connections.size > 1) await bob.expectNothing();
    assert.equal(account.retainedPending, 0);
  });
});
