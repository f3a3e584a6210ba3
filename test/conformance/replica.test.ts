import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { within } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// What the service promises beyond the specification, and where it is better than mosquitto.
const broker = useTestBroker();

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion} is spoken`, async () => {
    await using client = await RawClient.open(broker, { maxVersion, minVersion: maxVersion });
    assert.equal(client.tls?.getProtocol(), maxVersion);
    client.send(connectPacket());
    assert.equal((await client.next()).body[1], 0);
  });
}

test('TLS 1.1 is refused', async () => {
  const ciphers = 'DEFAULT@SECLEVEL=0';
  await assert.rejects(RawClient.open(broker, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers }));
});

test('a plaintext client gets its connection closed and not one byte', async () => {
  const socket = net.connect(broker.port, broker.host);
  let received = 0;
  socket.on('data', (bytes) => {
    received += bytes.length;
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(connectPacket());
  await within(10_000, 'closing a plaintext connection', closed);
  assert.equal(received, 0);
});

test('the same client id of two users is two sessions', async () => {
  const clientId = 'mqttSerialBridge';
  const alice = await RawClient.connect(broker, { clientId, clean: false });
  await alice.subscribe(['iotlab/alice/bridge', 1]);
  for (const clean of [false, true]) {
    const { client: bob, sessionPresent } = await RawClient.attempt(broker, { as: 'bob', clientId, clean });
    assert.equal(sessionPresent, false);
    await alice.expectNothing('alice stays');
    await alice.publish('iotlab/alice/bridge', 'x', { qos: 1 });
    assert.equal((await alice.receive()).payload, 'x');
    await bob.expectNothing();
    await bob.disconnect();
  }
  await alice.disconnect();
  await using publisher = await RawClient.connect(broker);
  await publisher.publish('iotlab/alice/bridge', 'waiting', { qos: 1 });
  const bob = await RawClient.connect(broker, { as: 'bob', clientId, clean: true });
  await bob.expectNothing();
  await bob.disconnect();
  const { client, sessionPresent } = await RawClient.attempt(broker, { clientId, clean: false });
  assert.equal(sessionPresent, true, "bob's clean session has not purged alice's");
  await using again = client;
  assert.equal((await again.receive()).payload, 'waiting');
});

for (const filter of [
  '#',
  '+',
  '+/x',
  '+/+/#',
  '/#',
  'iotlab/#',
  'iotlab/+',
  'iotlab/+/x',
  'iotlab/+/#',
  'iotlab/bob',
  'iotlab/bob/#',
  'iotlab/bob/x',
  'iotlab/al/x',
  'iotlab/alicex/#',
  'iotlab//alice/#',
  'IOTLAB/alice/#',
  'iotlab/Alice/#',
  '/iotlab/alice/#',
  'iotlab/%u/#',
  'iotlab/<alice>/test',
  '$SYS/#',
  '$SYS/broker/clients/total',
  '$share/g/#',
  '$share/g/iotlab/bob/#',
  '$share/g/iotlab/+/x',
  '$share/g/$SYS/#',
  '$queue/iotlab/bob/#',
]) {
  test(`subscribing to '${filter}' gets 0x80 in 3.1 and 3.1.1`, async () => {
    for (const level of [3, 4] as const) {
      await using client = await RawClient.connect(broker, { level });
      assert.deepEqual(await client.subscribe([filter, 0], ['iotlab/alice/x', 1], [filter, 2]), [0x80, 1, 0x80]);
      await client.expectNothing();
    }
  });
}

for (const filter of [
  'iotlab/alice',
  'iotlab/alice/#',
  'iotlab/alice/+',
  'iotlab/alice/+/#',
  'iotlab/alice/',
  'iotlab/alice//',
  'iotlab/alice/<x>/y',
  '$share/g/iotlab/alice/#',
  '$share/g/iotlab/alice',
]) {
  test(`subscribing to '${filter}' is granted in 3.1 and 3.1.1`, async () => {
    for (const level of [3, 4] as const) {
      await using client = await RawClient.connect(broker, { level });
      assert.deepEqual(await client.subscribe([filter, 2]), [2]);
    }
  });
}

for (const filter of [
  '$share',
  '$share/',
  '$share/g',
  '$share//iotlab/alice/x',
  '$share/+/iotlab/alice/x',
  '$share/g/',
]) {
  test(`the malformed shared filter '${filter}' is never granted`, async () => {
    await using client = await RawClient.connect(broker);
    client.send(mqtt.subscribe(1, [filter, 0]));
    const answer = await client.next().catch(() => null);
    if (answer) assert.deepEqual([answer.type, ...answer.body], [mqtt.SUBACK, 0, 1, 0x80]);
  });
}

test('iotlab/<login> itself is readable and writable', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice', 1], ['iotlab/alice/#', 0]);
  await client.publish('iotlab/alice', 'x', { qos: 1 });
  assert.equal((await client.receive()).topic, 'iotlab/alice');
  await client.expectNothing();
});

test('a Will on a denied topic: CONNECT is accepted, the Will is dropped', async () => {
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await bob.subscribe(['iotlab/bob/#', 0]);
  const client = await RawClient.connect(broker, { will: { topic: 'iotlab/bob/will', payload: 'x', retain: true } });
  client.cut();
  await using own = await RawClient.connect(broker);
  await own.subscribe(['iotlab/alice/will/after', 0]);
  (await RawClient.connect(broker, { will: { topic: 'iotlab/alice/will/after', payload: 'x' } })).cut();
  await own.message();
  await bob.expectNothing();
  await bob.subscribe(['iotlab/bob/#', 0]);
  await bob.expectNothing();
});

for (const qos of [1, 2]) {
  for (const count of [50, 2000]) {
    test(`${count} PUBLISH of QoS ${qos}, DISCONNECT, close, without reading an answer: all arrive`, async () => {
      const topic = `iotlab/alice/hasty/${qos}/${count}`;
      await using watcher = await RawClient.connect(broker);
      await watcher.subscribe([topic, 0]);
      const hasty = await RawClient.open(broker);
      hasty.socket.pause();
      hasty.send(
        connectPacket({ clientId: freshId() }),
        ...Array.from({ length: count }, (_, index) => mqtt.publish(topic, `${index}`, { qos, id: index + 1 })),
        ...(qos === 2 ? Array.from({ length: count }, (_, index) => mqtt.pubrel(index + 1)) : []),
        mqtt.disconnect(),
      );
      hasty.socket.end();
      for (let index = 0; index < count; index += 1) assert.equal((await watcher.message()).payload, `${index}`);
      await watcher.expectNothing();
      hasty.socket.destroy();
    });
  }
}

for (const qos of [1, 2]) {
  test(`500 PUBLISH of QoS ${qos} behind CONNECT and a close without DISCONNECT: all arrive, then the Will`, async () => {
    const topic = `iotlab/alice/hasty/cut/${qos}`;
    await using watcher = await RawClient.connect(broker);
    await watcher.subscribe([topic, 0]);
    const hasty = await RawClient.open(broker);
    hasty.socket.pause();
    hasty.send(
      connectPacket({ clientId: freshId(), will: { topic, payload: 'will' } }),
      ...Array.from({ length: 500 }, (_, index) => mqtt.publish(topic, `${index}`, { qos, id: index + 1 })),
      ...(qos === 2 ? Array.from({ length: 500 }, (_, index) => mqtt.pubrel(index + 1)) : []),
    );
    hasty.socket.end();
    for (let index = 0; index < 500; index += 1) assert.equal((await watcher.message()).payload, `${index}`);
    assert.equal((await watcher.message()).payload, 'will');
    hasty.socket.destroy();
  });
}

test('50 PUBLISH and a reset of the connection that nobody could foresee do the broker no harm', async () => {
  const client = await RawClient.connect(broker);
  client.send(
    ...Array.from({ length: 50 }, (_, index) => mqtt.publish('iotlab/alice/reset', '', { qos: 1, id: index + 1 })),
  );
  client.cut();
  await using other = await RawClient.connect(broker);
  await other.expectNothing();
});
