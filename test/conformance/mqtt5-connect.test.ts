import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, passwordOf, RawClient } from '../support/raw-client.js';
import { expectGoodbye, expectRefusal } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapter 3.1: CONNECT, its form, and who is let in.
const { p } = mqtt5;
const broker = useTestBroker();
const topic = 'iotlab/alice/connect';

/** A CONNECT of version 5 from its parts, whatever they are. */
function connectOf(parts: { name?: string; level?: number; flags?: number; payload?: readonly Uint8Array[] }): Buffer {
  const { name = 'MQTT', level = 5, flags = 0xc2, payload } = parts;
  const credentials = [mqtt.field('alice'), mqtt.field(passwordOf('alice'))];
  return mqtt.packet(
    0x10,
    mqtt.field(name),
    Buffer.from([level, flags, 0, 60, 0]),
    ...(payload ?? [mqtt.field(freshId()), ...credentials]),
  );
}

async function closesSilently(...packets: readonly Uint8Array[]): Promise<void> {
  await using client = await RawClient.open(broker);
  client.send(...packets);
  await client.expectClose();
}

const notConnect: readonly (readonly [string, Buffer])[] = [
  ['PUBLISH', mqtt5.publish(topic)],
  ['SUBSCRIBE', mqtt5.subscribe(1, [[topic, 0]])],
  ['PINGREQ', mqtt.pingreq()],
  ['DISCONNECT', mqtt5.disconnect()],
  ['AUTH', mqtt5.auth()],
];
for (const [name, packet] of notConnect) {
  test(`[MQTT-3.1.0-1] ${name} before CONNECT closes the connection, without a word`, () => closesSilently(packet));
}

test('[MQTT-3.1.0-2] a second CONNECT is a protocol error', () => expectGoodbye(broker, 0x82, [connectPacket5()]));

test('[MQTT-3.1.2-1] a protocol name that is not MQTT is let in by no version', async () => {
  await closesSilently(connectOf({ name: 'MQTX' }));
  await closesSilently(connectOf({ name: 'mqtt' }));
  await closesSilently(connectOf({ name: '' }));
});

test('[MQTT-3.1.2-2] a version that is not spoken here is refused with a CONNACK that every version can read', async () => {
  for (const level of [0, 1, 2, 6, 0x7f]) {
    await using client = await RawClient.open(broker);
    client.send(connectOf({ level }));
    const { type, body } = await client.next();
    assert.deepEqual([type, ...body.subarray(0, 2)], [mqtt.CONNACK, 0, 1]);
    await client.expectClose();
  }
});

test('[MQTT-3.1.2-3] the reserved flag of CONNECT is malformed', () =>
  expectRefusal(broker, 0x81, connectOf({ flags: 0xc3 })));

test('[MQTT-3.1.2-11] [MQTT-3.1.2-13] Will QoS or Will Retain without a Will are malformed', async () => {
  for (const flags of [0xca, 0xd2, 0xe2]) await expectRefusal(broker, 0x81, connectOf({ flags }));
});

test('[MQTT-3.1.2-12] Will QoS 0, 1 and 2 are taken, and 3 is malformed', async () => {
  for (const qos of [0, 1, 2]) await (await Client5.connect(broker, { will: { topic, qos } })).disconnect();
  await expectRefusal(broker, 0x81, connectPacket5({ will: { topic, qos: 3 } }));
});

test('[MQTT-3.1.2-9] [MQTT-3.1.3-1] a Will of which a part is missing is malformed', async () => {
  const id = mqtt.field(freshId());
  const parts = [mqtt5.properties(), mqtt.field(topic)];
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x06, payload: [id] }));
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x06, payload: [id, parts[0]!] }));
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x06, payload: [id, ...parts] }));
});

test('[MQTT-3.1.2-16] [MQTT-3.1.2-17] the flag of the user name tells whether there is one', async () => {
  const id = mqtt.field(freshId());
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x02, payload: [id, mqtt.field('alice')] }));
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x82, payload: [id] }));
});

test('[MQTT-3.1.2-18] [MQTT-3.1.2-19] the flag of the password tells whether there is one', async () => {
  const id = mqtt.field(freshId());
  const [login, password] = [mqtt.field('alice'), mqtt.field(passwordOf('alice'))];
  await expectRefusal(broker, 0x81, connectOf({ flags: 0x82, payload: [id, login, password] }));
  await expectRefusal(broker, 0x81, connectOf({ flags: 0xc2, payload: [id, login] }));
});

test('[MQTT-3.1.4-1] a CONNECT that ends too early anywhere is malformed', async () => {
  const whole = connectPacket5({ will: { topic, payload: 'p' }, properties: [p.receiveMaximum(7)] });
  const body = whole.subarray(2);
  // From the flags on: what is shorter does not even say its version.
  for (let length = 8; length < body.length; length += 3) {
    await expectRefusal(broker, 0x81, mqtt.packet(0x10, body.subarray(0, length)));
  }
  await expectRefusal(broker, 0x81, mqtt.packet(0x10, body, Buffer.from([0])));
});

test('[MQTT-3.1.3-3] the client id is the first field of the payload, and must be there', () =>
  expectRefusal(broker, 0x81, connectOf({ flags: 0x02, payload: [] })));

test('[MQTT-3.1.3-5] a client id of 1 to 23 letters and digits is taken, and a longer one, of any characters, too', async () => {
  for (const clientId of [
    'a',
    '0123456789ABCDEFGHabcdef'.slice(0, 23),
    'x'.repeat(200),
    'gr\u00fc\u00dfe/\u{1f600}+#',
  ]) {
    await (await Client5.connect(broker, { clientId })).disconnect();
  }
});

test('[MQTT-3.1.3-8] a client id that is too long is refused as such', () =>
  expectRefusal(broker, 0x85, connectPacket5({ clientId: 'x'.repeat(1_025) })));

test('[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] without a client id one is made, new each time, and told', async () => {
  const assigned = new Set<string>();
  for (const cleanStart of [true, false]) {
    await using client = await Client5.connect(broker, { clientId: '', cleanStart });
    const id = client.connack.properties.assignedClientIdentifier;
    assert.ok(id !== undefined && id.length > 0);
    assert.equal(client.connack.sessionPresent, false);
    assigned.add(id);
  }
  assert.equal(assigned.size, 2);
  await using named = await Client5.connect(broker);
  assert.equal(named.connack.properties.assignedClientIdentifier, undefined);
});

test('[MQTT-3.1.3-7] a session under an assigned client id is resumed by that id', async () => {
  const first = await Client5.connect(broker, { clientId: '', properties: [p.sessionExpiry(60)] });
  await first.subscribe([topic, 1]);
  const clientId = first.connack.properties.assignedClientIdentifier!;
  await first.disconnect();
  const again = await Client5.connect(broker, { clientId, cleanStart: false });
  assert.equal(again.connack.sessionPresent, true);
  await again.publish(topic, 'still', { qos: 1 });
  assert.equal((await again.receive()).payload, 'still');
  await again.disconnect();
});

test('[MQTT-3.1.3-11] a Will Topic that nobody could publish to is refused', async () => {
  for (const bad of ['', 'iotlab/alice/#', 'iotlab/+/x']) {
    await expectRefusal(broker, 0x90, connectPacket5({ will: { topic: bad } }));
  }
});

test('[MQTT-3.3.2-14] so is a Response Topic of a Will with a wildcard', () =>
  expectRefusal(broker, 0x82, connectPacket5({ will: { topic, properties: [p.responseTopic('iotlab/alice/+')] } })));

const logins: readonly (readonly [string, Parameters<typeof connectPacket5>[0]])[] = [
  ['a wrong password', { password: 'wrong' }],
  ['an unknown user', { login: 'nobody' }],
  ['no user name', { as: null }],
  ['a user name alone', { as: null, login: 'alice' }],
  ['a password alone', { as: null, password: passwordOf('alice') }],
  ['an empty password', { password: '' }],
];
for (const [name, options] of logins) {
  test(`[MQTT-3.1.4-2] ${name} is 0x87, never 0x86`, () => expectRefusal(broker, 0x87, connectPacket5(options)));
}

test('[MQTT-3.1.4-3] the connection that has the client id is told 0x8E, and closed', async () => {
  const clientId = freshId();
  await using first = await Client5.connect(broker, { clientId });
  await using second = await Client5.connect(broker, { clientId });
  assert.match((await first.expectDisconnect(0x8e)).reasonString ?? '', /same client id/);
  await second.expectNothing();
});

test('[MQTT-3.1.4-3] a client of an earlier version is taken over too, and takes over', async () => {
  const clientId = freshId();
  await using older = await RawClient.connect(broker, { clientId });
  await using newer = await Client5.connect(broker, { clientId });
  await older.expectClose();
  await using oldest = await RawClient.connect(broker, { clientId, level: 3 });
  await newer.expectDisconnect(0x8e);
  await oldest.expectNothing();
});

test('[MQTT-3.1.4-3] what the older connection was owed comes before it is told to go', async () => {
  const clientId = freshId();
  await using first = await Client5.connect(broker, { clientId });
  for (let id = 1; id <= 50; id++) first.send(mqtt5.publish(topic, `${id}`, { qos: 1, id }));
  await using second = await Client5.connect(broker, { clientId });
  for (let id = 1; id <= 50; id++) assert.equal((await first.raw.next()).type, mqtt.PUBACK);
  await first.expectDisconnect(0x8e);
  await second.expectNothing();
});

test('[MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2] CONNACK comes first and once, also when more was sent behind CONNECT', async () => {
  await using client = await RawClient.open(broker);
  client.send(
    connectPacket5(),
    mqtt5.subscribe(1, [[topic, 1]]),
    mqtt5.publish(topic, 'early', { qos: 1, id: 2 }),
    mqtt.pingreq(),
  );
  const types: number[] = [];
  while (types.at(-1) !== mqtt.PINGRESP) types.push((await client.next()).type);
  assert.equal(types[0], mqtt.CONNACK);
  assert.deepEqual(
    types.toSorted((a, b) => a - b),
    [mqtt.CONNACK, mqtt.PUBLISH, mqtt.PUBACK, mqtt.SUBACK, mqtt.PINGRESP],
  );
});

test('[MQTT-3.1.4-6] nothing behind a CONNECT that is refused is handled', async () => {
  await using watcher = await Client5.connect(broker);
  await watcher.subscribe(['iotlab/alice/#', 1]);
  for (const connect of [
    connectPacket5({ password: 'wrong' }),
    connectOf({ flags: 0xc3 }),
    connectPacket5({ properties: [p.authenticationMethod('X')] }),
  ]) {
    await using client = await RawClient.open(broker);
    client.send(connect, mqtt5.publish(topic, 'never', { qos: 1, id: 1 }));
    assert.notEqual((await client.next()).body[1], 0);
    await client.expectClose();
  }
  await watcher.expectNothing();
});
