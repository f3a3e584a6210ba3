import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { Client5 } from '../support/client5.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// MQTT 5 has words for what earlier versions were silent about. None of them may tell of anybody else.
const { p } = mqtt5;
const broker = useTestBroker({ users: ['alice', 'bob', 'al'] });

/** Every answer that alice can get about `login`'s tree, with the name taken out. */
async function answersAbout(client: Client5, login: string): Promise<string> {
  const topic = `iotlab/${login}/x`;
  const answers: unknown[] = [];
  for (const qos of [1, 2]) {
    for (const retain of [false, true]) {
      const { code, properties } = await client.publishWith(topic, 'x', { qos, retain });
      answers.push([code, properties]);
    }
    const properties = [p.responseTopic(topic)];
    const response = await client.publishWith('iotlab/alice/x', 'x', { qos, properties });
    answers.push([response.code, response.properties]);
  }
  for (const filter of [topic, `iotlab/${login}/#`, `$share/g/${topic}`]) {
    for (const options of [0, 0x10, 0x20]) {
      const { codes, properties } = await client.subscribeWith([[filter, options]]);
      answers.push([codes, properties]);
    }
    answers.push(await client.unsubscribe(filter));
  }
  return JSON.stringify(answers).replaceAll(`iotlab/${login}`, 'iotlab/LOGIN');
}

test('what alice is told about a topic does not depend on who is there, subscribes, keeps or exists', async () => {
  await using bob = await Client5.connect(broker, { as: 'bob', properties: [p.sessionExpiry(60)] });
  await bob.subscribe(['iotlab/bob/#', 2], ['$share/g/iotlab/bob/x', 2]);
  await bob.publish('iotlab/bob/x', 'kept', { qos: 1, retain: true });
  await bob.receive();
  await using alice = await Client5.connect(broker);
  const aboutBob = await answersAbout(alice, 'bob');
  assert.equal(await answersAbout(alice, 'nobody'), aboutBob);
  assert.equal(await answersAbout(alice, 'al'), aboutBob);
  assert.ok(aboutBob.includes('135'), '0x87 is what it says');
  await bob.disconnect(0, [p.sessionExpiry(0)]);
  await using cleaner = await Client5.connect(broker, { as: 'bob' });
  await cleaner.publish('iotlab/bob/x', '', { qos: 1, retain: true });
});

test('a refused CONNECT says the same, whether there is such a user or not', async () => {
  for (const [login, password] of [
    ['bob', 'wrong'],
    ['nobody', 'wrong'],
    ['alice', ''],
  ] as const) {
    await using client = await Client5.attempt(broker, { login, password });
    assert.deepEqual(client.connack, { code: 0x87, sessionPresent: false, properties: {} });
  }
});

test('0x10 is about the own tree alone', async () => {
  await using alice = await Client5.connect(broker);
  await using bob = await Client5.connect(broker, { as: 'bob' });
  await bob.subscribe(['iotlab/bob/#', 0]);
  assert.equal(await alice.publish('iotlab/alice/x', '', { qos: 1 }), 0x10);
});

test("bob with alice's client id takes nothing over, and she hears nothing of it", async () => {
  const clientId = freshId();
  const options = { clientId, properties: [p.sessionExpiry(60)] };
  await using alice = await Client5.connect(broker, options);
  await alice.subscribe(['iotlab/alice/#', 1]);
  for (const cleanStart of [false, true]) {
    const bob = await Client5.connect(broker, { ...options, as: 'bob', cleanStart });
    assert.equal(bob.connack.sessionPresent, false);
    await bob.disconnect(0, [p.sessionExpiry(0)]);
  }
  await alice.expectNothing();
  await alice.disconnect(0, [p.sessionExpiry(0)]);
});

test('nor by the client id that was assigned to her', async () => {
  const alice = await Client5.connect(broker, { clientId: '', properties: [p.sessionExpiry(60)] });
  await alice.subscribe(['iotlab/alice/#', 1]);
  const clientId = alice.connack.properties.assignedClientIdentifier!;
  await using bob = await Client5.connect(broker, { as: 'bob', clientId, cleanStart: false });
  assert.equal(bob.connack.sessionPresent, false);
  await alice.expectNothing();
  await alice.disconnect(0, [p.sessionExpiry(0)]);
});

test("a Will that waits is not called off by another user's client of the same id", async () => {
  const clock = new ManualClock();
  await using own = await startTestBroker({ seams: { clock } });
  const patient = { keepaliveSeconds: 0 } as const;
  await using watcher = await Client5.connect(own, patient);
  await watcher.subscribe(['iotlab/alice/#', 0]);
  const clientId = freshId();
  const will = { topic: 'iotlab/alice/will', payload: 'gone', properties: [p.willDelay(10)] };
  const alice = await Client5.connect(own, { ...patient, clientId, will, properties: [p.sessionExpiry(60)] });
  alice.cut();
  await alice.raw.closed();
  for (const cleanStart of [false, true]) {
    await (await Client5.connect(own, { ...patient, as: 'bob', clientId, cleanStart })).disconnect();
    await watcher.expectNothing();
  }
  for (let i = 0; i < 11; i++) {
    await new Promise(setImmediate);
    clock.advance(1_000);
  }
  assert.equal((await watcher.receive()).payload, 'gone');
});

test('Response Information is where the one who asks may be answered', async () => {
  for (const as of ['alice', 'bob']) {
    await using client = await Client5.connect(broker, { as, properties: [p.requestResponseInformation(1)] });
    assert.equal(client.connack.properties.responseInformation, `iotlab/${as}/`);
  }
});

test("on a topic that everybody may use: identifiers, No Local and aliases are each client's own", async () => {
  const acl = [
    { access: 'readwrite', topic: 'iotlab/%u/#' },
    { access: 'readwrite', topic: 'common/#' },
  ] as const;
  await using own = await startTestBroker({ config: { acl } });
  const clientId = freshId();
  await using alice = await Client5.connect(own, { clientId });
  await using bob = await Client5.connect(own, { as: 'bob', clientId, properties: [p.topicAliasMaximum(5)] });
  await alice.subscribeWith([['common/topic', 0]], [p.subscriptionIdentifier(5)]);
  await bob.subscribeWith([['common/topic', 0 | 0x04]], [p.subscriptionIdentifier(9)]);
  await bob.subscribeWith([['$share/g/common/topic', 0]], [p.subscriptionIdentifier(10)]);
  alice.send(mqtt5.publish('common/topic', 'x', { properties: [p.topicAlias(3)] }));
  assert.deepEqual((await alice.message()).properties, { subscriptionIdentifiers: [5] });
  // The client id is the same, the user is not: it is not bob's own message.
  const copies = [await bob.message(), await bob.message()];
  assert.deepEqual(copies.map(({ properties }) => properties.subscriptionIdentifiers?.[0]).sort(), [10, 9]);
  await bob.publish('common/topic', 'y');
  assert.deepEqual((await alice.message()).properties, { subscriptionIdentifiers: [5] });
  assert.deepEqual((await bob.message()).properties.subscriptionIdentifiers, [10]);
  await bob.expectNothing();
  await alice.expectNothing();
});

test("a Response Topic in somebody else's tree comes to nobody, on a topic that everybody may use neither", async () => {
  const acl = [
    { access: 'readwrite', topic: 'iotlab/%u/#' },
    { access: 'readwrite', topic: 'common/#' },
  ] as const;
  await using own = await startTestBroker({ config: { acl } });
  await using alice = await Client5.connect(own);
  await using bob = await Client5.connect(own, { as: 'bob' });
  await bob.subscribe(['common/#', 1]);
  const ask = (topic: string) => alice.publish('common/x', '', { qos: 1, properties: [p.responseTopic(topic)] });
  assert.equal(await ask('iotlab/bob/answers'), 0x87);
  await bob.expectNothing();
  for (const topic of ['common/answers', 'iotlab/alice/answers']) {
    assert.equal(await ask(topic), 0);
    assert.equal((await bob.receive()).properties.responseTopic, topic);
  }
});

test("alice at her limits is told so; bob's are his", async () => {
  const limits = { connectionsPerUser: 2, subscriptionsPerUser: 2, retainedMessagesPerUser: 1 };
  await using own = await startTestBroker({ config: { limits } });
  const use = async (as: string) => {
    const client = await Client5.connect(own, { as });
    const other = await Client5.connect(own, { as });
    const tree = `iotlab/${as}`;
    assert.deepEqual(await client.subscribe([`${tree}/a`, 0], [`${tree}/b`, 0], [`${tree}/c`, 0]), [0, 0, 0x97]);
    assert.equal(await other.publish(`${tree}/x`, 'kept', { qos: 1, retain: true }), 0x10);
    assert.equal(await other.publish(`${tree}/y`, 'kept', { qos: 1, retain: true }), 0x97);
    await using third = await Client5.attempt(own, { as });
    assert.equal(third.connack.code, 0x97);
    return [client, other];
  };
  const clients = [...(await use('alice')), ...(await use('bob'))];
  for (const client of clients) {
    await client.expectNothing();
    client.cut();
  }
});

test('a session that changes its version stays within its tree', async () => {
  const options = { clientId: freshId(), clean: false };
  const older = await RawClient.connect(broker, options);
  assert.deepEqual(await older.subscribe(['iotlab/alice/#', 1], ['iotlab/bob/#', 1], ['#', 1]), [1, 0x80, 0x80]);
  await older.disconnect();
  await using bob = await Client5.connect(broker, { as: 'bob' });
  await bob.publish('iotlab/bob/x', 'secret', { qos: 1 });
  await using alice = await Client5.connect(broker, { clientId: options.clientId, cleanStart: false });
  assert.equal(alice.connack.sessionPresent, true);
  await bob.publish('iotlab/bob/x', 'secret', { qos: 1 });
  await alice.expectNothing();
  assert.deepEqual(await alice.unsubscribe('iotlab/bob/#', '#', 'iotlab/alice/#'), [0x11, 0x11, 0]);
});
