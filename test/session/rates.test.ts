// How fast the messages of a user may come and leave, and the other limits that users may have of their own. Time stands
// still unless the test lets it pass.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitUse, slowedUse } from '../../src/session/limit-use.js';
import { eventually } from '../support/deadline.js';
import { collecting, numbers, worldWith } from '../support/paced-world.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

for (const qos of [0, 1, 2] as const) {
  test(`messages of QoS ${qos} beyond the rate come later, in order, and every one of them`, async (t) => {
    const world = await worldWith(t, { limits: { messagesInPerSecond: 20, burstMs: 500 } });
    const reader = await world.client();
    await reader.subscribe(['iotlab/alice/#', qos]);
    const { payloads } = collecting(reader);
    const writer = await world.client();
    writer.send(
      ...numbers(60).map((n, i) => mqtt.publish('iotlab/alice/x', n, { qos, ...(qos > 0 && { id: i + 1 }) })),
    );
    // Ten at once, and then 20 a second.
    const first = await world.passUntil(() => payloads.length >= 10, 50);
    assert.ok(payloads.length <= 11);
    const ms = first + (await world.passUntil(() => payloads.length === 60, 10_000));
    assert.ok(ms >= 2_450 && ms <= 2_650, `${ms}`);
    assert.deepEqual(payloads, numbers(60));
    assert.equal(world.parts().counters.messagesDropped.total, 0);
    const line = await world.logs.waitFor(/^slowed: /);
    assert.deepEqual([line.login, line.direction, line.messagesPerSecond], ['alice', 'in', 20]);
  });
}

test('a runaway loop of one user costs nobody else anything, and his own other clients take turns with it', async (t) => {
  const world = await worldWith(t, { userLimits: [{ users: ['alice'], messagesInPerSecond: 10, burstMs: 1_000 }] });
  const runaway = await world.client();
  const sensor = await world.client();
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/sensor', 0]);
  const { payloads } = collecting(reader);
  runaway.send(...numbers(3_000).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => slowedUse(world.parts().accounts.known('alice')!)[0]!.slowed, 0);
  // Another user notices nothing: no time passes.
  const bob = await world.client({ as: 'bob' });
  await bob.subscribe(['iotlab/bob/#', 1]);
  for (const n of numbers(50)) {
    await bob.publish('iotlab/bob/x', n, { qos: 1 });
    assert.equal((await bob.receive()).payload, n);
  }
  sensor.send(...numbers(5).map((n) => mqtt.publish('iotlab/alice/sensor', n)));
  const ms = await world.passUntil(() => payloads.length === 5, 5_000);
  assert.ok(ms <= 1_300, `${ms} ms for five messages that take turns with a flood at ten a second`);
  assert.deepEqual(payloads, numbers(5));
});

test('who comes again has no other burst; the waiting is counted', async (t) => {
  const world = await worldWith(t, { limits: { messagesInPerSecond: 10, burstMs: 1_000 } });
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const writer = await world.client();
  writer.send(...numbers(20).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => payloads.length === 20, 2_000);
  const { counters, accounts } = world.parts();
  assert.ok(counters.publishesDelayedMs >= 900 && counters.publishesDelayedMs <= 1_100);
  assert.ok(counters.limitHits.of('messagesInPerSecond') > 0);
  reader.send(mqtt.disconnect());
  writer.send(mqtt.disconnect());
  await world.passUntil(() => world.parts().connections.size === 0, 200);
  assert.notEqual(accounts.known('alice'), undefined);
  const again = await world.client();
  await again.subscribe(['iotlab/alice/#', 0]);
  const seen = collecting(again).payloads;
  again.send(...numbers(10).map((n) => mqtt.publish('iotlab/alice/x', n)));
  const ms = await world.passUntil(() => seen.length === 10, 2_000);
  assert.ok(ms >= 900, `${ms}`);
  again.send(mqtt.disconnect());
  await world.passUntil(() => accounts.known('alice') === undefined, 3_000);
});

test('a user who has left and owes for longer than a second holds nobody up, and is forgotten when it is paid', async (t) => {
  const world = await worldWith(t, { limits: { bytesInPerSecond: 1_000, burstMs: 1_000 } });
  const { accounts, connections } = world.parts();
  const writer = await world.client();
  writer.send(mqtt.publish('iotlab/alice/x', 'x'.repeat(6_000)), mqtt.disconnect());
  await world.passUntil(() => accounts.known('alice')?.incoming?.closed === true, 100);
  writer.cut();
  await world.passUntil(() => connections.size === 0, 6_000);
  // It is looked after every second, and owes still each of these times.
  await world.client({ as: 'bob' });
  await world.passUntil(() => accounts.known('alice') === undefined, 10_000);
});

test('bytes are read no faster than allowed, also those of one large message', async (t) => {
  const world = await worldWith(t, { limits: { bytesInPerSecond: 100_000, burstMs: 1_000 } });
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const writer = await world.client();
  writer.send(mqtt.publish('iotlab/alice/x', 'x'.repeat(1_000_000)));
  const ms = await world.passUntil(() => payloads.length === 1, 30_000);
  assert.ok(ms >= 8_000 && ms <= 10_500, `${ms}`);
  assert.equal(payloads[0]!.length, 1_000_000);
  // Paid for once: the next one takes as long, and not twice.
  writer.send(mqtt.publish('iotlab/alice/x', 'x'.repeat(1_000_000)));
  const next = await world.passUntil(() => payloads.length === 2, 30_000);
  assert.ok(next >= 7_000 && next <= 11_500, `${next}`);
});

for (const qos of [0, 1] as const) {
  test(`what a user is sent leaves at the rate; publishers of the same user wait for it, QoS ${qos}`, async (t) => {
    const world = await worldWith(t, { limits: { messagesOutPerSecond: 50, burstMs: 200, queuedMessages: 200 } });
    const readers = await Promise.all([world.client(), world.client()]);
    const seen = readers.map((reader) => collecting(reader).payloads);
    for (const reader of readers) await reader.subscribe(['iotlab/alice/#', qos]);
    const writer = await world.client();
    writer.send(
      ...numbers(600).map((n, i) => mqtt.publish('iotlab/alice/x', n, { qos, ...(qos > 0 && { id: i + 1 }) })),
    );
    await world.passUntil(() => seen[0]!.length + seen[1]!.length >= 10, 100);
    assert.ok(seen[0]!.length + seen[1]!.length <= 12);
    const ms = await world.passUntil(() => seen.every((payloads) => payloads.length === 600), 60_000);
    assert.ok(ms >= 23_000 && ms <= 25_500, `${ms}`);
    for (const payloads of seen) assert.deepEqual(payloads, numbers(600));
    assert.equal(world.parts().counters.messagesDropped.total, 0);
  });
}

for (const qos of [1, 2] as const) {
  test(`what is sent again to who comes back keeps to the rate, in order and once, QoS ${qos}`, async (t) => {
    const world = await worldWith(t, { limits: { messagesOutPerSecond: 10, burstMs: 1_000 } });
    const kept = { clientId: 'kept', clean: false };
    const came = ({ waiting }: RawClient) => waiting.filter(({ type }) => type === mqtt.PUBLISH).length;
    let reader = await world.client(kept);
    await reader.subscribe(['iotlab/alice/#', qos]);
    const writer = await world.client();
    writer.send(...numbers(20).map((n, i) => mqtt.publish('iotlab/alice/x', n, { qos, id: i + 1 })));
    await world.passUntil(() => came(reader) === 20, 3_000);
    let again = 0;
    for (let times = 0; times < 5; times++) {
      reader.socket.destroy();
      reader = await world.client(kept);
      reader.send(mqtt.pingreq());
      await reader.take(mqtt.PINGRESP);
      again += came(reader);
    }
    assert.ok(again <= 1, `${again} messages without any time`);
    const { payloads } = collecting(reader);
    const ms = await world.passUntil(() => payloads.length === 20, 10_000);
    assert.ok(ms >= 1_800 && ms <= 2_400, `${ms}`);
    assert.deepEqual(payloads, numbers(20));
    await world.passUntil(
      () => world.parts().sessions.get('alice', 'kept')!.outgoing.backlog.inflightMessages === 0,
      100,
    );
  });
}

test("a slowed reader of other users' trees slows none of them; its queue is what it has", async (t) => {
  const acl = [
    { access: 'readwrite' as const, topic: 'iotlab/%u/#' },
    { access: 'read' as const, topic: 'iotlab/+/#', users: ['carol'] },
  ];
  const limits = { queuedMessages: 100 };
  const userLimits = [{ users: ['carol'], messagesOutPerSecond: 10, burstMs: 1_000 }];
  const world = await worldWith(t, { acl, limits, userLimits });
  const teacher = await world.client({ as: 'carol' });
  await teacher.subscribe(['iotlab/+/#', 1]);
  const { payloads } = collecting(teacher);
  const alice = await world.client();
  for (const n of numbers(300)) await alice.publish('iotlab/alice/x', n, { qos: 1 });
  const dropped = world.parts().counters.messagesDropped.total;
  assert.ok(dropped >= 180 && dropped <= 190, `${dropped}`);
  await world.passUntil(() => payloads.length === 300 - dropped, 20_000);
  assert.deepEqual(payloads, numbers(300 - dropped));
});

test('the first row that is for a user and has the key counts, by login and by group', async (t) => {
  const world = await worldWith(t, {
    groups: [{ name: 'students', users: ['alice', 'bob'] }],
    limits: { sessionsPerUser: 5 },
    userLimits: [
      { users: ['bob'], sessionsPerUser: 3 },
      { groups: ['Students'], sessionsPerUser: 1, messagesInPerSecond: 7 },
      { connectionsPerUser: 4 },
    ],
  });
  const limitsOf = (login: string) => world.parts().accounts.open(login).limits;
  const shown = (login: string) => {
    const { sessionsPerUser, messagesInPerSecond, connectionsPerUser } = limitsOf(login);
    return [sessionsPerUser, messagesInPerSecond, connectionsPerUser];
  };
  assert.deepEqual(['alice', 'bob', 'carol'].map(shown), [
    [1, 7, 4],
    [3, 7, 4],
    [5, 0, 4],
  ]);
  await world.client({ clean: false });
  assert.equal((await RawClient.attempt(world, { clean: false })).code, 3);
});

test('an operator changes the limits of one user while he is there, until a date; all are told', async (t) => {
  const world = await worldWith(t, {}, { store: 'folder' });
  const { accounts } = world.parts();
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const writer = await world.client();
  const now = world.clock.epochMs();
  const override = {
    limits: { messagesInPerSecond: 1, burstMs: 1_000 },
    since: now,
    until: now + 60_000,
    reason: 'loop',
  };
  accounts.setOverride('alice', override);
  writer.send(...numbers(200).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => payloads.length === 11, 12_000);
  const [incoming] = slowedUse(accounts.known('alice')!);
  assert.equal(incoming!.slowed, true);
  assert.ok(incoming!.slowedMs >= 9_000);
  // Over: the rest comes at once.
  const ms = await world.passUntil(() => payloads.length === 200, 60_000);
  assert.ok(ms >= 45_000 && ms <= 52_000, `${ms}`);
  await world.logs.waitFor(/the limits of a user are the usual ones again/);
  assert.equal(accounts.known('alice')!.incoming, null);
});

test('an operator decides for a group: for each of its members, those who are there and those who come', async (t) => {
  const groups = [{ name: 'Students', users: ['alice', 'bob'] }];
  const world = await worldWith(t, { groups }, { store: 'folder' });
  const { accounts } = world.parts();
  await world.client();
  const now = world.clock.epochMs();
  const decided = (limits: object, until: number | null) => ({ limits, since: now, until, reason: 'the class' });
  const limitsOf = (login: string) => {
    const { messagesInPerSecond, sessionsPerUser } = world.parts().accounts.open(login).limits;
    return [messagesInPerSecond, sessionsPerUser];
  };
  accounts.setOverride('@students', decided({ messagesInPerSecond: 3, sessionsPerUser: 9 }, now + 600_000));
  accounts.setOverride('bob', decided({ messagesInPerSecond: 5 }, null));
  const during = [
    [3, 9],
    [5, 9],
    [0, 1_000],
  ];
  assert.deepEqual(['alice', 'bob', 'carol'].map(limitsOf), during);
  assert.notEqual(accounts.known('alice')!.incoming, null);
  await world.restart({ groups });
  assert.deepEqual(['alice', 'bob', 'carol'].map(limitsOf), during);
  world.clock.advance(601_000);
  await world.passUntil(() => limitsOf('alice')[0] === 0, 5_000);
  assert.deepEqual(limitsOf('bob'), [5, 1_000]);
  await world.logs.waitFor(/a group has the usual limits again/);
});

test('what an operator decided holds over a restart, also for who was not here', async (t) => {
  const world = await worldWith(t, {}, { store: 'folder' });
  const now = world.clock.epochMs();
  const decided = (until: number | null) => ({ limits: { connectionsPerUser: 1 }, since: now, until, reason: 'why' });
  world.parts().accounts.setOverride('bob', decided(null));
  world.parts().accounts.setOverride('carol', decided(now + 1_000));
  await world.restart();
  world.clock.advance(2_000);
  await eventually(
    5_000,
    "carol's to be over",
    () => world.parts().accounts.open('carol').limits.connectionsPerUser > 1,
  );
  await world.client({ as: 'bob' });
  assert.equal((await RawClient.attempt(world, { as: 'bob' })).code, 3);
  world.parts().accounts.setOverride('bob', null);
  await world.client({ as: 'bob' });
  await world.restart();
  for await (const [login] of world.parts().store.loadUsers()) assert.fail(login);
});

test('a reload changes rates of who is there, and what waited goes on', async (t) => {
  const world = await worldWith(t, { limits: { messagesInPerSecond: 1, burstMs: 1_000 } });
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  const { payloads } = collecting(reader);
  const writer = await world.client();
  writer.send(...numbers(100).map((n) => mqtt.publish('iotlab/alice/x', n)));
  await world.passUntil(() => payloads.length === 1, 0);
  const outcome = await world.reload({
    limits: { messagesInPerSecond: 0 },
    userLimits: [{ users: ['bob'], burstMs: 500 }],
  });
  assert.deepEqual(outcome.applied, ['limits.messagesInPerSecond', 'limits.burstMs', 'userLimits']);
  await world.passUntil(() => payloads.length === 100, 0);
});

test('what a user takes of every limit is what the limits are asked', async (t) => {
  const world = await worldWith(t, {});
  const client = await world.client({ clean: false });
  await client.subscribe(['iotlab/alice/a', 0], ['iotlab/alice/b', 0]);
  await client.publish('iotlab/alice/kept', 'x', { qos: 1, retain: true });
  const { accounts, ledger } = world.parts();
  const account = accounts.known('alice')!;
  const use = new Map(limitUse(account, ledger).map(({ limit, used, most }) => [limit, [used, most]]));
  assert.deepEqual(use.get('connectionsPerUser'), [1, 1_000]);
  assert.deepEqual(use.get('sessionsPerUser'), [1, 1_000]);
  assert.deepEqual(use.get('subscriptionsPerUser'), [2, 50_000]);
  assert.deepEqual(use.get('retainedMessagesPerUser'), [1, 20_000]);
  assert.deepEqual(use.get('retainedBytesPerUser'), [account.balances.retained.bytes, 32 * 1024 * 1024]);
  assert.deepEqual(use.get('memoryPerUser'), [account.heldBytes, 64 * 1024 * 1024]);
});

for (const direction of ['In', 'Out'] as const) {
  test(`what is handled is answered at once, while what came behind it waits for the rate: ${direction}`, async (t) => {
    const world = await worldWith(t, { limits: { [`messages${direction}PerSecond`]: 3, burstMs: 1_000 } });
    const reader = await world.client();
    await reader.subscribe(['iotlab/alice/#', 0]);
    collecting(reader);
    const writer = await world.client();
    const answers: number[] = [];
    const collect = async () => {
      for (;;) answers.push((await writer.next(60_000)).type);
    };
    collect().catch(() => {});
    // More than wait in a queue before the publisher does.
    const first = direction === 'In' ? 2 : 90;
    const packets = (from: number, to: number) =>
      numbers(to - from).map((n, i) => mqtt.publish('iotlab/alice/x', n, { qos: 1, id: from + i + 1 }));
    writer.send(...packets(0, first), mqtt.pingreq(), ...packets(first, 400));
    const { counters } = world.parts();
    const pubacks = () => answers.filter((type) => type === mqtt.PUBACK).length;
    await world.passUntil(() => counters.publishesReceived[1] >= 3, 0);
    for (let i = 0; i < 10; i++) {
      await world.passUntil(() => pubacks() >= counters.publishesReceived[1] - 1, 20);
      world.clock.advance(330);
    }
    if (direction === 'In') assert.ok(answers.includes(mqtt.PINGRESP));
    assert.ok(pubacks() < 400);
  });
}
