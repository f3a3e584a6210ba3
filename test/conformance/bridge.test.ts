import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as mqtt from '../support/packets.js';
import { freshId, RawClient, type RawConnectOptions } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// A bridge says by the bit 0x80 of the protocol level that it is one. No document has it; mosquitto does, on both sides.
const broker = useTestBroker({ store: 'folder' });

let topics = 0;
const freshTopic = () => `iotlab/alice/bridge/${++topics}`;
const bridge = (options: RawConnectOptions = {}): RawConnectOptions => ({ levelByte: 4 | 0x80, ...options });
const seen = ({ payload, qos, retain }: mqtt.Message) => [String(payload), qos, retain];

for (const level of [3, 4] as const) {
  test(`level ${level} with 0x80: let in, gets what others publish, and not what it publishes itself`, async () => {
    const topic = freshTopic();
    await using own = await RawClient.connect(broker, { level, levelByte: level | 0x80 });
    await using other = await RawClient.connect(broker);
    for (const client of [own, other]) assert.deepEqual(await client.subscribe([topic, 2]), [2]);
    for (const qos of [0, 1, 2]) {
      await own.publish(topic, 'own', { qos });
      assert.deepEqual(seen(await other.receive()), ['own', qos, false]);
      await own.expectNothing('no echo');
      await other.publish(topic, 'theirs', { qos });
      assert.deepEqual(seen(await own.receive()), ['theirs', qos, false]);
      assert.deepEqual(seen(await other.receive()), ['theirs', qos, false]);
    }
  });
}

test('an unknown level with 0x80 is answered with CONNACK 1', async () => {
  for (const levelByte of [0x80, 0x82, 0x83, 0x85, 0xff]) {
    const { client, bytes } = await RawClient.attempt(broker, { levelByte });
    assert.deepEqual([...bytes], [0, 1]);
    await client.expectClose();
  }
  const { client, bytes } = await RawClient.attempt(broker, { level: 3, levelByte: 0x84 });
  assert.deepEqual([...bytes], [0, 1]);
  await client.expectClose();
});

test('live messages keep the retain flag that they were published with, deletions too; for others they lose it', async () => {
  const topic = freshTopic();
  await using own = await RawClient.connect(broker, bridge());
  await using other = await RawClient.connect(broker);
  for (const client of [own, other]) await client.subscribe([topic, 2]);
  for (const qos of [0, 1, 2]) {
    for (const payload of ['kept', '']) {
      await other.publish(topic, payload, { qos, retain: true });
      assert.deepEqual(seen(await own.receive()), [payload, qos, true]);
      assert.deepEqual(seen(await other.receive()), [payload, qos, false]);
    }
  }
});

test('what a bridge publishes retained is retained', async () => {
  const topic = freshTopic();
  await using own = await RawClient.connect(broker, bridge());
  await own.publish(topic, 'kept', { qos: 1, retain: true });
  await using other = await RawClient.connect(broker);
  await other.subscribe([topic, 1]);
  assert.deepEqual(seen(await other.receive()), ['kept', 1, true]);
});

test('a bridge that is away misses no message, and gets each with its retain flag, over a restart too', async () => {
  const topic = freshTopic();
  const own = await RawClient.connect(broker, bridge({ clean: false }));
  const { clientId } = own;
  await own.subscribe([`${topic}/#`, 1]);
  await own.disconnect();
  const publish = async (name: string) => {
    await using other = await RawClient.connect(broker);
    await other.publish(`${topic}/${name}`, name, { qos: 1, retain: true });
    await other.publish(`${topic}/${name}`, `${name}, live`, { qos: 1 });
  };
  const expected = (name: string) => [
    [name, 1, true],
    [`${name}, live`, 1, false],
  ];
  await publish('first');
  await broker.restart();
  await publish('second');
  await using again = await RawClient.connect(broker, bridge({ clean: false, clientId }));
  const got: unknown[] = [];
  while (got.length < 4) got.push(seen(await again.receive()));
  assert.deepEqual(got, [...expected('first'), ...expected('second')]);
  // The subscription is still a bridge's.
  await again.publish(`${topic}/echo`, 'x', { qos: 1 });
  await again.expectNothing('no echo');
});

test('its other connections, and other clients of the same user, are others', async () => {
  const topic = freshTopic();
  await using own = await RawClient.connect(broker, bridge());
  await using second = await RawClient.connect(broker, bridge());
  for (const client of [own, second]) await client.subscribe([topic, 1]);
  await own.publish(topic, 'x', { qos: 1 });
  assert.deepEqual(seen(await second.receive()), ['x', 1, false]);
  await own.expectNothing('no echo');
});

test('a subscription made again without the bit is an ordinary one', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const own = await RawClient.connect(broker, bridge({ clean: false, clientId }));
  await own.subscribe([topic, 1]);
  await own.disconnect();
  await using plain = await RawClient.connect(broker, { clean: false, clientId });
  await plain.publish(topic, 'no echo yet', { qos: 1 });
  await plain.expectNothing('the subscription is the bridge’s still');
  await plain.subscribe([topic, 1]);
  await plain.publish(topic, 'echo', { qos: 1, retain: true });
  assert.deepEqual(seen(await plain.receive()), ['echo', 1, false]);
});

test('the Will of a bridge does not come back to it', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([topic, 1]);
  const will = { topic, payload: 'gone', qos: 1 };
  const own = await RawClient.connect(broker, bridge({ clean: false, clientId, will }));
  await own.subscribe([topic, 1]);
  own.cut();
  assert.deepEqual(seen(await watcher.receive()), ['gone', 1, false]);
  await using again = await RawClient.connect(broker, bridge({ clean: false, clientId }));
  await again.expectNothing('no Will');
});

test('a shared subscription gives what a bridge publishes to another member', async () => {
  const topic = freshTopic();
  await using own = await RawClient.connect(broker, bridge());
  await using other = await RawClient.connect(broker);
  for (const client of [own, other]) await client.subscribe([`$share/g/${topic}`, 1]);
  for (const payload of ['1', '2', '3']) {
    await own.publish(topic, payload, { qos: 1 });
    assert.deepEqual(seen(await other.receive()), [payload, 1, false]);
  }
  await own.expectNothing('no echo');
});

test('a bridge is confined to its user’s tree as everybody is', async () => {
  await using own = await RawClient.connect(broker, bridge());
  assert.deepEqual(await own.subscribe(['#', 0], ['iotlab/bob/#', 0], ['$SYS/#', 0]), [0x80, 0x80, 0x80]);
});
