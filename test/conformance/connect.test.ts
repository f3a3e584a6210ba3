import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, passwordOf, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { useTimedBroker } from '../support/timed-broker.js';

const broker = useTestBroker();
const timed = useTimedBroker();
const alice = { login: 'alice', password: passwordOf('alice') };

/** Sends the bytes as the first of a connection and expects to be thrown out without an answer. */
async function refusedWithoutAnswer(bytes: Uint8Array): Promise<void> {
  await using client = await RawClient.open(broker);
  client.send(bytes);
  await client.expectClose();
}

const before: readonly (readonly [string, Buffer])[] = [
  ['PUBLISH', mqtt.publish('iotlab/alice/a', 'x')],
  ['PUBACK', mqtt.puback(1)],
  ['PUBREC', mqtt.pubrec(1)],
  ['PUBREL', mqtt.pubrel(1)],
  ['PUBCOMP', mqtt.pubcomp(1)],
  ['SUBSCRIBE', mqtt.subscribe(1, ['iotlab/alice/a', 0])],
  ['UNSUBSCRIBE', mqtt.unsubscribe(1, 'iotlab/alice/a')],
  ['PINGREQ', mqtt.pingreq()],
  ['DISCONNECT', mqtt.disconnect()],
  ['CONNACK', mqtt.packet(0x20, Buffer.from([0, 0]))],
  ['packet of the reserved type 0', mqtt.packet(0x00)],
  ['packet of the reserved type 15', mqtt.packet(0xf0)],
];
for (const [name, bytes] of before) {
  test(`[MQTT-3.1.0-1] ${name} before CONNECT closes the connection`, () => refusedWithoutAnswer(bytes));
}

test('[MQTT-3.1.0-2] a second CONNECT closes the connection', async () => {
  await using client = await RawClient.connect(broker);
  client.send(connectPacket());
  await client.expectClose();
});

test('[MQTT-3.1.0-2] a second CONNECT with the same client id closes the connection', async () => {
  await using client = await RawClient.connect(broker);
  client.send(connectPacket({ clientId: client.clientId }));
  await client.expectClose();
});

for (const protocolName of ['MQTX', 'mqtt', '', 'HTTP', 'MQTTT', 'MQIsdq']) {
  test(`[MQTT-3.1.2-1] the protocol name '${protocolName}' closes the connection`, () =>
    refusedWithoutAnswer(connectPacket({ protocolName })));
}

for (const levelByte of [0, 1, 2, 3, 6, 7, 127]) {
  test(`[MQTT-3.1.2-2] protocol level ${levelByte} of MQTT is answered with CONNACK 1 and closed`, async () => {
    const { client, code, sessionPresent } = await RawClient.attempt(broker, { levelByte });
    assert.deepEqual({ code, sessionPresent }, { code: 1, sessionPresent: false });
    await client.expectClose();
  });
}

test('[MQTT-3.1.2-3] a reserved flag in CONNECT closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ flags: 0xc3 })));

test('[MQTT-3.1.2-9] a Will flag without Will fields closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), flags: 0x06 })));

test('[MQTT-3.1.2-11] [MQTT-3.1.2-13] Will QoS without the Will flag closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ flags: 0xc2 | 0x08 })));

test('[MQTT-3.1.2-11] [MQTT-3.1.2-15] Will Retain without the Will flag closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ flags: 0xc2 | 0x20 })));

test('[MQTT-3.1.2-14] Will QoS 3 closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ will: { topic: 'iotlab/alice/w', qos: 3 } })));

test('[MQTT-3.1.2-18] a user name without its flag closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), login: 'alice', flags: 0x02 })));

test('[MQTT-3.1.2-19] a user name flag without a user name closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), flags: 0x82 })));

test('[MQTT-3.1.2-20] a password without its flag closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ ...alice, clientId: freshId(), flags: 0x82 })));

test('[MQTT-3.1.2-21] a password flag without a password closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), login: 'alice', flags: 0xc2 })));

test('[MQTT-3.1.2-22] a password flag without a user name flag closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), password: 'x', flags: 0x42 })));

test('[MQTT-3.1.2-24] silence for one and a half times the keepalive closes the connection, and not sooner', async () => {
  await using witness = await RawClient.connect(timed.broker, { keepaliveSeconds: 0 });
  await using client = await RawClient.connect(timed.broker, { keepaliveSeconds: 1 });
  await timed.pass(1_400);
  await witness.expectNothing();
  assert.equal(client.isOver, false);
  await timed.pass(3_000);
  await client.expectClose();
});

test('[MQTT-3.1.2-24] packets of any kind keep the connection open', async () => {
  await using client = await RawClient.connect(timed.broker, { keepaliveSeconds: 1 });
  for (let turn = 0; turn < 8; turn += 1) {
    await timed.pass(1_000);
    if (turn % 2 === 0) await client.publish('iotlab/alice/alive', 'x', { qos: 1 });
    else await client.expectNothing();
  }
});

test('[MQTT-3.1.2-24] a keepalive of 0 turns the deadline off', async () => {
  await using silent = await RawClient.connect(timed.broker, { keepaliveSeconds: 0 });
  await using impatient = await RawClient.connect(timed.broker, { keepaliveSeconds: 1 });
  await timed.pass(5_000);
  await impatient.expectClose();
  await silent.expectNothing();
});

test('[MQTT-3.1.3-2] a client id names one session: another id sees nothing of it', async () => {
  await using one = await RawClient.connect(broker, { clean: false });
  await one.subscribe(['iotlab/alice/ids', 1]);
  await one.disconnect();
  const { client, sessionPresent } = await RawClient.attempt(broker, { clean: false });
  await using other = client;
  assert.equal(sessionPresent, false);
  await other.publish('iotlab/alice/ids', 'x', { qos: 1 });
  await other.expectNothing();
});

test('[MQTT-3.1.3-3] a CONNECT without a client id field closes the connection', () =>
  refusedWithoutAnswer(mqtt.packet(0x10, mqtt.field('MQTT'), Buffer.from([4, 0x02, 0, 60]))));

test('[MQTT-3.1.3-4] [MQTT-1.5.3-1] a client id that is not UTF-8 closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ clientId: Buffer.from([0x61, 0xff, 0x62]) })));

test('[MQTT-3.1.3-5] client ids of 1 to 23 letters and digits are taken', async () => {
  for (const clientId of ['a', 'Z', '0', '0123456789abcdefghijklm', 'NOPQRSTUVWXYZnopqrstuvw', 'xyz']) {
    await using client = await RawClient.connect(broker, { clientId });
    await client.expectNothing();
  }
});

test('longer client ids, and any character in them, are taken too', async () => {
  for (const clientId of ['x'.repeat(200), 'a/b', 'a+b#', 'été', '__proto__', 'constructor', ' ', '%u', '../x']) {
    await using client = await RawClient.connect(broker, { clientId });
    await client.expectNothing();
  }
});

test('[MQTT-3.1.3-6] [MQTT-3.1.3-7] an empty client id with a clean session is given one of its own', async () => {
  await using one = await RawClient.connect(broker, { clientId: '' });
  await using two = await RawClient.connect(broker, { clientId: '' });
  await one.expectNothing();
  await two.expectNothing();
});

test('[MQTT-3.1.3-8] an empty client id without a clean session is answered with CONNACK 2 and closed', async () => {
  const { client, code } = await RawClient.attempt(broker, { clientId: '', clean: false });
  assert.equal(code, 2);
  await client.expectClose();
});

test('[MQTT-3.1.3-10] a Will topic that is not UTF-8 closes the connection', () =>
  refusedWithoutAnswer(connectPacket({ will: { topic: Buffer.from([0xc3, 0x28]) } })));

test('[MQTT-3.1.3-11] a user name that is not UTF-8 closes the connection', () =>
  refusedWithoutAnswer(mqtt.connect({ clientId: freshId(), login: Buffer.from([0xed, 0xa0, 0x80]), password: 'x' })));

for (const topic of ['iotlab/alice/+', 'iotlab/alice/#', '']) {
  test(`[MQTT-3.1.4-1] [MQTT-4.7.1-1] the Will topic '${topic}' closes the connection`, () =>
    refusedWithoutAnswer(connectPacket({ will: { topic } })));
}

test('[MQTT-3.1.4-1] bytes behind the last field of CONNECT close the connection', () =>
  refusedWithoutAnswer(
    mqtt.packet(0x10, mqtt.field('MQTT'), Buffer.from([4, 0x02, 0, 60]), mqtt.field(freshId()), Buffer.from([1, 2, 3])),
  ));

test('[MQTT-3.1.4-1] a CONNECT that never comes to its end is not waited for without end', async () => {
  await using client = await RawClient.open(broker);
  client.send(connectPacket().subarray(0, 12));
  client.socket.end();
  await client.expectClose();
});

test('[MQTT-3.1.4-2] [MQTT-3.1.3-2] the same client id again closes the older connection', async () => {
  await using old = await RawClient.connect(broker);
  await using young = await RawClient.connect(broker, { clientId: old.clientId });
  await old.expectClose();
  await young.expectNothing();
});

test('[MQTT-3.1.4-2] the Will of a connection that was taken over is published', async () => {
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe(['iotlab/alice/takeover/will', 0]);
  await using old = await RawClient.connect(broker, { will: { topic: 'iotlab/alice/takeover/will', payload: 'gone' } });
  await using young = await RawClient.connect(broker, { clientId: old.clientId });
  assert.equal((await watcher.message()).payload, 'gone');
  await young.expectNothing();
});

test('[MQTT-3.1.4-3] [MQTT-3.1.4-4] a good CONNECT is answered with 20 02 00 00', async () => {
  await using client = await RawClient.open(broker);
  client.send(connectPacket());
  const { type, flags, body } = await client.next();
  assert.deepEqual([type, flags, ...body], [mqtt.CONNACK, 0, 0, 0]);
});

test('[MQTT-3.1.4-5] what follows a refused CONNECT is not processed', async () => {
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe(['iotlab/alice/refused', 0]);
  await using client = await RawClient.open(broker);
  client.send(
    connectPacket({ password: 'wrong' }),
    mqtt.subscribe(1, ['iotlab/alice/refused', 0]),
    mqtt.publish('iotlab/alice/refused', 'x'),
    mqtt.publish('iotlab/alice/refused', 'kept', { retain: true }),
  );
  const connack = await client.next();
  assert.deepEqual([...connack.body], [0, 5]);
  await client.expectClose();
  await watcher.expectNothing();
  await watcher.subscribe(['iotlab/alice/refused', 0]);
  await watcher.expectNothing();
});

test('packets behind CONNECT are processed without waiting for the CONNACK', async () => {
  await using client = await RawClient.open(broker);
  client.send(
    connectPacket(),
    mqtt.subscribe(7, ['iotlab/alice/eager', 1]),
    mqtt.publish('iotlab/alice/eager', 'x'),
    mqtt.pingreq(),
  );
  const types = [];
  for (let count = 0; count < 4; count += 1) types.push((await client.next()).type);
  assert.deepEqual(types, [mqtt.CONNACK, mqtt.SUBACK, mqtt.PUBLISH, mqtt.PINGRESP]);
});

test('[MQTT-3.2.2-1] a clean session is never present', async () => {
  await using kept = await RawClient.connect(broker, { clean: false });
  await kept.disconnect();
  const { client, sessionPresent } = await RawClient.attempt(broker, { clientId: kept.clientId });
  await using again = client;
  assert.equal(sessionPresent, false);
  await again.expectNothing();
});

test('[MQTT-3.2.2-2] [MQTT-3.2.2-3] session present tells whether there is a stored session', async () => {
  const clientId = freshId();
  const first = await RawClient.attempt(broker, { clientId, clean: false });
  assert.equal(first.sessionPresent, false);
  await first.client.disconnect();
  const second = await RawClient.attempt(broker, { clientId, clean: false });
  assert.equal(second.sessionPresent, true);
  await second.client.disconnect();
  const clean = await RawClient.attempt(broker, { clientId, clean: true });
  await clean.client.disconnect();
  const third = await RawClient.attempt(broker, { clientId, clean: false });
  assert.equal(third.sessionPresent, false, 'the clean session has thrown the stored one away');
  await third.client.disconnect();
  await RawClient.attempt(broker, { clientId, clean: true }).then(({ client }) => client.disconnect());
});

test('[MQTT-3.2.2-4] [MQTT-3.2.2-5] a refusal says no session and closes', async () => {
  const clientId = freshId();
  await (await RawClient.connect(broker, { clientId, clean: false })).disconnect();
  const { client, code, sessionPresent } = await RawClient.attempt(broker, { clientId, clean: false, password: 'no' });
  assert.deepEqual({ code, sessionPresent }, { code: 5, sessionPresent: false });
  await client.expectClose();
});

const badCredentials = [
  ['a wrong password', { password: 'wrong' }],
  ['an empty password', { password: '' }],
  ['an unknown user', { as: 'nobody' }],
  ['no password', { as: null, login: 'alice' }],
  ['no user name and no password', { as: null }],
  ['an empty user name', { as: '' }],
  ['a user name in capitals', { as: 'ALICE', password: passwordOf('alice') }],
  ['a user name with a NUL-like suffix', { as: 'alice ', password: passwordOf('alice') }],
  ['a password with a suffix', { password: `${passwordOf('alice')} ` }],
  ['a user name of 60 000 characters', { as: 'a'.repeat(60_000), password: 'x' }],
  ['the user name __proto__', { as: '__proto__' }],
  ['the user name constructor', { as: 'constructor' }],
] as const;
for (const [name, options] of badCredentials) {
  for (const level of [3, 4] as const) {
    test(`${name}, level ${level}: CONNACK 20 02 00 05, then close`, async () => {
      const { client, bytes } = await RawClient.attempt(broker, { level, ...options });
      assert.deepEqual([...bytes], [0, 5]);
      await client.expectClose();
    });
  }
}
