import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { doorFor, startTestBroker, useTestBroker } from '../support/test-broker.js';

// The ways to another user's messages that lead through sessions: client ids, groups, and rules that have changed.
const broker = useTestBroker({ users: ['alice', 'al', 'bob'], relay: true });

/** Names under which somebody might hope to meet the session `id` of `owner`. */
const disguises: readonly (readonly [string, (owner: string, id: string) => string])[] = [
  ['the same name', (_, id) => id],
  ['the owner and the name', (owner, id) => `${owner}/${id}`],
  ['a path', (owner, id) => `../${owner}/${id}`],
  ['a deeper path', (owner, id) => `x/../../${owner}/${id}`],
  ['percent encoding', (owner, id) => `..%2f${owner}%2f${id}`],
  ['a colon', (owner, id) => `${owner}:${id}`],
  ['a pipe', (owner, id) => `${owner}|${id}`],
  ['an empty level', (_, id) => `/${id}`],
];
for (const [name, disguise] of disguises) {
  for (const level of [3, 4] as const) {
    for (const clean of [true, false]) {
      test(`bob's session is his, to whom takes ${name}, level ${level}, clean ${clean}`, async () => {
        const id = freshId('s');
        const door = doorFor(broker, level);
        const bob = await RawClient.connect(door, { as: 'bob', clientId: id, clean: false });
        await bob.subscribe(['iotlab/bob/#', 2]);
        const attack = async () => {
          const clientId = disguise('bob', id);
          const { client, code, sessionPresent } = await RawClient.attempt(door, { level, clean, clientId });
          assert.deepEqual([code, sessionPresent], [0, false]);
          await client.expectNothing();
          // Whatever she does in her session, it is hers.
          await client.unsubscribe('iotlab/bob/#');
          client.send(mqtt.puback(1), mqtt.pubrec(1), mqtt.pubrel(1), mqtt.pubcomp(1));
          await client.take(mqtt.PUBCOMP);
          await client.disconnect();
          // Once more, clean, so that nothing is left that her next visit could find.
          await (await RawClient.connect(door, { level, clientId })).disconnect();
        };
        await attack();
        await bob.expectNothing('bob stays connected');
        await using publisher = await RawClient.connect(door, { as: 'bob' });
        await publisher.publish('iotlab/bob/live', 'live', { qos: 2 });
        const { id: packetId, payload } = await bob.message();
        assert.equal(payload, 'live');
        await attack();
        bob.cut();
        await publisher.publish('iotlab/bob/waiting', 'waiting', { qos: 1 });
        await attack();
        await using again = await RawClient.connect(door, { as: 'bob', clientId: id, clean: false });
        const first = await again.receive();
        assert.deepEqual([first.payload, first.id, first.dup], ['live', packetId, true]);
        assert.equal((await again.receive()).payload, 'waiting');
        await again.expectNothing();
      });
    }
  }
}

test('logins and client ids that spell the same together are two sessions', async () => {
  const alice = await RawClient.connect(broker, { as: 'alice', clientId: 'x', clean: false });
  for (const clientId of ['ice/x', 'icex', '/ice/x']) {
    await using al = await RawClient.connect(broker, { as: 'al', clientId, clean: false });
    await alice.expectNothing();
    await al.expectNothing();
  }
  await alice.disconnect();
});

test('a group of the same name is each one of its own', async () => {
  await using alice = await RawClient.connect(broker);
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  assert.deepEqual(await alice.subscribe(['$share/g/iotlab/alice/shared', 1]), [1]);
  assert.deepEqual(await bob.subscribe(['$share/g/iotlab/bob/shared', 1]), [1]);
  assert.deepEqual(await alice.subscribe(['$share/g/iotlab/bob/shared', 1]), [0x80]);
  await using publisher = await RawClient.connect(broker, { as: 'bob' });
  for (let count = 0; count < 10; count += 1) await publisher.publish('iotlab/bob/shared', `${count}`, { qos: 1 });
  for (let count = 0; count < 10; count += 1) assert.equal((await bob.receive()).payload, `${count}`);
  await alice.expectNothing();
});

test('a group on a topic that everybody may read is one group for each user', async () => {
  await using common = await startTestBroker({ config: { acl: open } });
  await using alice = await RawClient.connect(common);
  await using bob = await RawClient.connect(common, { as: 'bob' });
  for (const client of [alice, bob]) assert.deepEqual(await client.subscribe(['$share/g/common/x', 1]), [1]);
  await using publisher = await RawClient.connect(common, { as: 'al' });
  for (let count = 0; count < 6; count += 1) await publisher.publish('common/x', `${count}`, { qos: 1 });
  for (const client of [alice, bob]) {
    for (let count = 0; count < 6; count += 1) assert.equal((await client.receive()).payload, `${count}`);
    await client.expectNothing();
  }
});

test('what alice unsubscribes is not what bob has subscribed', async () => {
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await bob.subscribe(['iotlab/bob/mine/#', 0]);
  await using alice = await RawClient.connect(broker);
  await alice.unsubscribe('iotlab/bob/mine/#', '#', '+/+/+/#');
  await bob.publish('iotlab/bob/mine/x', 'still', { qos: 1 });
  assert.equal((await bob.receive()).payload, 'still');
});

test("a stored session with a denied filter among others does not get the other's messages", async () => {
  const options = { clientId: freshId(), clean: false };
  const alice = await RawClient.connect(broker, options);
  const filters = [
    ['iotlab/alice/own', 2],
    ['iotlab/bob/#', 2],
    ['#', 1],
  ] as const;
  assert.deepEqual(await alice.subscribe(...filters), [2, 0x80, 0x80]);
  await alice.disconnect();
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await bob.publish('iotlab/bob/secret', 'secret', { qos: 1 });
  await using publisher = await RawClient.connect(broker);
  await publisher.publish('iotlab/alice/own', 'own', { qos: 1 });
  await using again = await RawClient.connect(broker, options);
  assert.equal((await again.receive()).payload, 'own');
  await bob.publish('iotlab/bob/secret', 'secret', { qos: 1 });
  await again.expectNothing();
});

const open = [
  { access: 'readwrite', topic: 'iotlab/%u/#' },
  { access: 'readwrite', topic: 'common/#' },
] as const;
const closed = [{ access: 'readwrite', topic: 'iotlab/%u/#' }] as const;

test('rules that have become narrower hold for stored sessions, queued messages, retained messages and Wills', async () => {
  await using own = await startTestBroker({ store: 'folder', config: { acl: open } });
  const options = { clientId: freshId(), clean: false };
  const alice = await RawClient.connect(own, options);
  assert.deepEqual(await alice.subscribe(['common/#', 2], ['iotlab/alice/#', 2], ['$share/g/common/#', 1]), [2, 2, 1]);
  await alice.disconnect();
  const bob = await RawClient.connect(own, { as: 'bob' });
  for (const qos of [1, 2]) await bob.publish('common/x', 'queued while it was allowed', { qos });
  await bob.publish('common/kept', 'retained while it was allowed', { qos: 1, retain: true });
  await bob.disconnect();

  await own.restart({ acl: closed });
  const { client, sessionPresent } = await RawClient.attempt(own, options);
  assert.equal(sessionPresent, true);
  await client.expectNothing('what was queued is not delivered any more');
  await using publisher = await RawClient.connect(own);
  await publisher.publish('iotlab/alice/x', 'own', { qos: 2 });
  assert.equal((await client.receive()).payload, 'own');
  assert.deepEqual(await client.subscribe(['common/#', 2]), [0x80]);
  await client.disconnect();

  await own.restart({ acl: [...closed, { access: 'write', topic: 'common/#' }] });
  await using writer = await RawClient.connect(own, { as: 'bob' });
  await writer.publish('common/x', 'written, and readable by nobody', { qos: 1 });
  await using again = await RawClient.connect(own, options);
  await again.expectNothing();
});
