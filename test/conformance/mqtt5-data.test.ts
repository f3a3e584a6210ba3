import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId } from '../support/raw-client.js';
import { expectGoodbye, expectRefusal } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapters 1.5 and 2 of the standard: how data is represented, and what all packets have in common.
const { p } = mqtt5;
const broker = useTestBroker();
const topic = 'iotlab/alice/data';

const malformed: readonly (readonly [string, Buffer])[] = [
  ['a UTF-16 surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['the last UTF-16 surrogate', Buffer.from([0xed, 0xbf, 0xbf])],
  ['a continuation byte alone', Buffer.from([0x61, 0x80])],
  ['a sequence that ends too early', Buffer.from([0xe2, 0x82])],
  ['an overlong encoding', Buffer.from([0xc0, 0xaf])],
  ['a code point beyond U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
];
const nul = Buffer.from('a\0b');
const inTree = (bytes: Buffer) => Buffer.concat([Buffer.from('iotlab/alice/'), bytes]);

/** Packets of a connected client with a string in them, by the string's name. */
const strings: readonly (readonly [string, (text: Buffer) => Buffer])[] = [
  ['the topic of PUBLISH [MQTT-3.3.2-1] [MQTT-4.7.3-2]', (text) => mqtt5.publish(inTree(text))],
  ['Content Type [MQTT-3.3.2-19]', (text) => mqtt5.publish(topic, '', { properties: [p.contentType(text)] })],
  [
    'Response Topic [MQTT-3.3.2-13]',
    (text) => mqtt5.publish(topic, '', { properties: [p.responseTopic(inTree(text))] }),
  ],
  [
    'the name of a User Property [MQTT-1.5.7-1]',
    (text) => mqtt5.publish(topic, '', { properties: [p.userProperty(text, 'value')] }),
  ],
  [
    'the value of a User Property [MQTT-1.5.7-1]',
    (text) => mqtt5.publish(topic, '', { properties: [p.userProperty('name', text)] }),
  ],
  ['the filter of SUBSCRIBE [MQTT-3.8.3-1] [MQTT-4.7.3-2]', (text) => mqtt5.subscribe(1, [[inTree(text), 0]])],
  ['a User Property of SUBSCRIBE', (text) => mqtt5.subscribe(1, [[topic, 0]], [p.userProperty('name', text)])],
  ['the filter of UNSUBSCRIBE [MQTT-3.10.3-1]', (text) => mqtt5.unsubscribe(1, [inTree(text)])],
  ['a User Property of UNSUBSCRIBE', (text) => mqtt5.unsubscribe(1, [topic], [p.userProperty(text, 'value')])],
  ['the Reason String of PUBACK', (text) => mqtt5.puback(1, 0x80, [p.reasonString(text)])],
  ['the Reason String of PUBREC', (text) => mqtt5.pubrec(1, 0x80, [p.reasonString(text)])],
  ['the Reason String of PUBREL', (text) => mqtt5.pubrel(1, 0x92, [p.reasonString(text)])],
  ['the Reason String of PUBCOMP', (text) => mqtt5.pubcomp(1, 0x92, [p.reasonString(text)])],
  ['the Reason String of DISCONNECT', (text) => mqtt5.disconnect(0, [p.reasonString(text)])],
];
for (const [name, packet] of strings) {
  test(`[MQTT-1.5.4-1] what is not UTF-8 is malformed in ${name}`, async () => {
    for (const [, bytes] of malformed) await expectGoodbye(broker, 0x81, [packet(bytes)]);
  });
  test(`[MQTT-1.5.4-2] U+0000 is malformed in ${name}`, () => expectGoodbye(broker, 0x81, [packet(nul)]));
}

const will = { topic };
const connectStrings: readonly (readonly [string, (text: Buffer) => Buffer])[] = [
  ['the client id [MQTT-3.1.3-4]', (clientId) => connectPacket5({ clientId })],
  ['the user name [MQTT-3.1.3-12]', (login) => connectPacket5({ login })],
  ['a User Property of CONNECT', (text) => connectPacket5({ properties: [p.userProperty(text, '')] })],
  ['the Authentication Method', (text) => connectPacket5({ properties: [p.authenticationMethod(text)] })],
  ['the Will Topic [MQTT-3.1.3-11]', (text) => connectPacket5({ will: { topic: inTree(text) } })],
  ["the Will's Content Type", (text) => connectPacket5({ will: { ...will, properties: [p.contentType(text)] } })],
  [
    "the Will's Response Topic",
    (text) => connectPacket5({ will: { ...will, properties: [p.responseTopic(inTree(text))] } }),
  ],
  [
    "the Will's User Property",
    (text) => connectPacket5({ will: { ...will, properties: [p.userProperty('name', text)] } }),
  ],
];
for (const [name, packet] of connectStrings) {
  test(`[MQTT-1.5.4-1] [MQTT-1.5.4-2] what is not UTF-8, and U+0000, are malformed in ${name}`, async () => {
    for (const [, bytes] of [...malformed, ['U+0000', nul] as const]) await expectRefusal(broker, 0x81, packet(bytes));
  });
}

test('[MQTT-1.5.4-3] U+FEFF is a character like any other, wherever it stands', async () => {
  await using client = await Client5.connect(broker, { clientId: `\uFEFF${freshId()}` });
  await client.subscribe(['iotlab/alice/\uFEFFbom', 0], ['iotlab/alice/bom', 1]);
  const properties = [p.contentType('\uFEFFx'), p.userProperty('\uFEFF', 'y\uFEFF')];
  await client.publish('iotlab/alice/\uFEFFbom', '', { properties });
  const message = await client.message();
  assert.equal(message.topic, 'iotlab/alice/\uFEFFbom');
  assert.deepEqual(message.properties, { contentType: '\uFEFFx', user: [['\uFEFF', 'y\uFEFF']] });
  await client.expectNothing();
});

/** A PUBLISH with these bytes from its properties' length on. */
const publishWith = (...rest: readonly number[]) => mqtt.packet(0x30, mqtt.field(topic), Buffer.from(rest));
/** A SUBSCRIBE with a subscription identifier of these bytes. */
const subscribeWith = (...identifier: readonly number[]) =>
  mqtt.packet(
    0x82,
    Buffer.from([0, 1, identifier.length + 1, 0x0b, ...identifier]),
    mqtt.field(topic),
    Buffer.from([0]),
  );

test('[MQTT-1.5.5-1] a variable byte integer that could be shorter, or never ends, is malformed', async () => {
  await expectGoodbye(broker, 0x81, [publishWith(0x80, 0x00)]);
  await expectGoodbye(broker, 0x81, [publishWith(0x82, 0x80, 0x00, 0x01, 0x00)]);
  await expectGoodbye(broker, 0x81, [publishWith(0xff, 0xff, 0xff, 0xff, 0x01)]);
  await expectGoodbye(broker, 0x81, [subscribeWith(0x81, 0x00)]);
  await expectGoodbye(broker, 0x81, [subscribeWith(0x80, 0x80, 0x80, 0x80)]);
  await expectGoodbye(broker, 0x81, [subscribeWith(0xff, 0xff, 0xff, 0xff, 0x01)]);
});

test('[MQTT-1.5.5-1] so is the length of a packet', async () => {
  const publish = mqtt5.publish(topic, 'x');
  const overlong = Buffer.concat([Buffer.from([0x30, publish[1]! | 0x80, 0x00]), publish.subarray(2)]);
  await expectGoodbye(broker, 0x81, [overlong]);
  await expectGoodbye(broker, 0x81, [Buffer.from([0xc0, 0x80, 0x80, 0x00])]);
  await expectGoodbye(broker, 0x81, [Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])]);
  const connect = connectPacket5({ clientId: 'short', as: null });
  await expectRefusal(
    broker,
    0x81,
    Buffer.concat([Buffer.from([0x10, connect[1]! | 0x80, 0x00]), connect.subarray(2)]),
  );
});

test('[MQTT-1.5.5-1] the broker writes the shortest: property lengths and identifiers on both sides of a border', async () => {
  await using client = await Client5.connect(broker);
  for (const identifier of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
    await client.subscribeWith([[topic, 0]], [p.subscriptionIdentifier(identifier)]);
    for (const length of [100, 110, 116, 118, 119, 120, 121, 122, 123, 124, 125, 16_300, 16_380]) {
      const contentType = 'x'.repeat(length);
      client.send(mqtt5.publish(topic, '', { properties: [p.contentType(contentType)] }));
      const packet = await client.raw.take(mqtt.PUBLISH);
      assert.deepEqual(mqtt5.readMessage(packet).properties, { subscriptionIdentifiers: [identifier], contentType });
      const inBytes = mqtt5.properties([p.subscriptionIdentifier(identifier), p.contentType(contentType)]).length;
      assert.equal(packet.body.length, 2 + topic.length + inBytes, `${identifier}, ${length}`);
    }
  }
});

const reserved: readonly (readonly [string, Uint8Array])[] = [
  ['PUBACK', mqtt.packet(0x41, mqtt.u16(1))],
  ['PUBREC', mqtt.packet(0x52, mqtt.u16(1))],
  ['PUBREL [MQTT-3.6.1-1]', mqtt.packet(0x60, mqtt.u16(1))],
  ['PUBREL with all bits [MQTT-3.6.1-1]', mqtt.packet(0x6f, mqtt.u16(1))],
  ['PUBCOMP', mqtt.packet(0x71, mqtt.u16(1))],
  ['SUBSCRIBE [MQTT-3.8.1-1]', Buffer.concat([Buffer.from([0x80]), mqtt5.subscribe(1, [[topic, 0]]).subarray(1)])],
  ['UNSUBSCRIBE [MQTT-3.10.1-1]', Buffer.concat([Buffer.from([0xa0]), mqtt5.unsubscribe(1, [topic]).subarray(1)])],
  ['PINGREQ', mqtt.packet(0xc1)],
  ['DISCONNECT [MQTT-3.14.1-1]', mqtt.packet(0xe2)],
  ['AUTH [MQTT-3.15.1-1]', mqtt.packet(0xf1, Buffer.from([0x18, 0]))],
];
for (const [name, packet] of reserved) {
  test(`[MQTT-2.1.3-1] reserved bits of the first byte of ${name} are malformed`, () =>
    expectGoodbye(broker, 0x81, [packet]));
}

for (const type of [0, 2, 9, 11, 13]) {
  test(`[MQTT-4.13.1-1] a packet of type ${type} does not come from a client`, async () => {
    await using client = await Client5.connect(broker);
    client.send(mqtt.packet(type << 4, mqtt.u16(1)));
    const { code } = mqtt5.readDisconnect(await client.raw.take(mqtt.DISCONNECT));
    assert.ok(code === 0x81 || code === 0x82);
    await client.raw.expectClose();
  });
}

test('[MQTT-2.2.1-2] a message of QoS 0 has no packet id, in either direction', async () => {
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 2]);
  client.send(mqtt5.publish(topic, 'payload'));
  const { flags, body } = await client.raw.take(mqtt.PUBLISH);
  assert.equal(flags & 6, 0);
  assert.deepEqual(body, Buffer.concat([mqtt.field(topic), Buffer.from([0]), Buffer.from('payload')]));
});

const zeroIds: readonly (readonly [string, Buffer])[] = [
  ['PUBLISH of QoS 1', mqtt5.publish(topic, '', { qos: 1, id: 0 })],
  ['PUBLISH of QoS 2', mqtt5.publish(topic, '', { qos: 2, id: 0 })],
  ['SUBSCRIBE', mqtt5.subscribe(0, [[topic, 0]])],
  ['UNSUBSCRIBE', mqtt5.unsubscribe(0, [topic])],
  ['PUBACK', mqtt5.puback(0)],
  ['PUBREC', mqtt5.pubrec(0)],
  ['PUBREL', mqtt5.pubrel(0)],
  ['PUBCOMP', mqtt5.pubcomp(0)],
];
for (const [name, packet] of zeroIds) {
  test(`[MQTT-2.2.1-3] packet id 0 in ${name} is a protocol error`, () => expectGoodbye(broker, 0x82, [packet]));
}

test('[MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] the broker gives no packet id that is in use', async () => {
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 2]);
  await using publisher = await Client5.connect(broker);
  for (let count = 0; count < 15; count++) await publisher.publish(topic, `${count}`, { qos: 1 + (count % 2) });
  const ids = new Set<number>();
  for (let count = 0; count < 15; count++) {
    const { id } = await client.message();
    assert.notEqual(id, 0);
    ids.add(id);
  }
  assert.equal(ids.size, 15);
});

test('[MQTT-2.2.1-5] [MQTT-2.2.1-6] answers have the packet id of what they answer', async () => {
  await using client = await Client5.connect(broker);
  for (const id of [1, 255, 256, 0x1234, 65_535]) {
    client.send(mqtt5.subscribe(id, [[topic, 0]]));
    assert.equal(mqtt5.readAnswers(await client.raw.next()).id, id);
    client.send(mqtt5.unsubscribe(id, [topic]));
    assert.equal(mqtt5.readAnswers(await client.raw.next()).id, id);
    for (const qos of [1, 2]) {
      client.send(mqtt5.publish(topic, '', { qos, id }));
      const answer = await client.raw.next();
      assert.equal(answer.type, qos === 1 ? mqtt.PUBACK : mqtt.PUBREC);
      assert.equal(mqtt5.readAcknowledgement(answer).id, id);
    }
    client.send(mqtt5.pubrel(id));
    const released = await client.raw.next();
    assert.equal(released.type, mqtt.PUBCOMP);
    assert.equal(mqtt5.readAcknowledgement(released).id, id);
  }
});
