import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

/** Sends the bytes on a connection that is in, and expects to be thrown out without an answer. */
async function closes(...bytes: Uint8Array[]): Promise<void> {
  await using client = await RawClient.connect(broker);
  client.send(...bytes);
  await client.expectClose();
}

const malformed: readonly (readonly [string, Buffer])[] = [
  ['the bytes of a UTF-16 surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['the bytes of the last UTF-16 surrogate', Buffer.from([0xed, 0xbf, 0xbf])],
  ['a lonely continuation byte', Buffer.from([0x80])],
  ['a sequence that ends too early', Buffer.from([0xe2, 0x82])],
  ['an overlong encoding', Buffer.from([0xc0, 0xaf])],
  ['an overlong encoding of three bytes', Buffer.from([0xe0, 0x80, 0xaf])],
  ['a code point beyond U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['the byte FE', Buffer.from([0xfe])],
];
const inTree = (bytes: Buffer) => Buffer.concat([Buffer.from('iotlab/alice/'), bytes]);
for (const [name, bytes] of malformed) {
  test(`[MQTT-1.5.3-1] [MQTT-3.3.2-1] ${name} in the topic of a PUBLISH closes the connection`, () =>
    closes(mqtt.publish(inTree(bytes), 'x')));
  test(`[MQTT-1.5.3-1] [MQTT-3.8.3-1] ${name} in the filter of a SUBSCRIBE closes the connection`, () =>
    closes(mqtt.subscribe(1, [inTree(bytes), 0])));
  test(`[MQTT-1.5.3-1] [MQTT-3.10.3-1] ${name} in the filter of an UNSUBSCRIBE closes the connection`, () =>
    closes(mqtt.unsubscribe(1, inTree(bytes))));
}

test('[MQTT-1.5.3-2] [MQTT-4.7.3-2] U+0000 in a topic closes the connection', () =>
  closes(mqtt.publish('iotlab/alice/a\0b', 'x')));
test('[MQTT-1.5.3-2] [MQTT-4.7.3-2] U+0000 in a filter closes the connection', () =>
  closes(mqtt.subscribe(1, ['iotlab/alice/a\0b', 0])));
test('[MQTT-1.5.3-2] U+0000 in a client id closes the connection', async () => {
  await using client = await RawClient.open(broker);
  client.send(connectPacket({ clientId: 'a\0b' }));
  await client.expectClose();
});

test('[MQTT-1.5.3-3] U+FEFF in a topic is a character like any other', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/\uFEFFbom', 0], ['iotlab/alice/bom', 1]);
  client.send(mqtt.publish('iotlab/alice/\uFEFFbom', 'with'));
  const message = await client.message();
  assert.deepEqual([message.topic, message.payload], ['iotlab/alice/\uFEFFbom', 'with']);
  client.send(mqtt.publish('iotlab/alice/bom', 'without'));
  assert.equal((await client.message()).topic, 'iotlab/alice/bom');
  await client.expectNothing();
});

const flags: readonly (readonly [string, Buffer])[] = [
  ['PUBACK', mqtt.packet(0x41, mqtt.u16(1))],
  ['PUBREC', mqtt.packet(0x52, mqtt.u16(1))],
  ['PUBREL without the bit 0010 [MQTT-3.6.1-1]', mqtt.packet(0x60, mqtt.u16(1))],
  ['PUBREL with 0011 [MQTT-3.6.1-1]', mqtt.packet(0x63, mqtt.u16(1))],
  ['PUBCOMP', mqtt.packet(0x74, mqtt.u16(1))],
  [
    'SUBSCRIBE without the bit 0010 [MQTT-3.8.1-1]',
    mqtt.packet(0x80, mqtt.u16(1), mqtt.field('iotlab/alice/a'), Buffer.from([0])),
  ],
  [
    'SUBSCRIBE with 0110 [MQTT-3.8.1-1]',
    mqtt.packet(0x86, mqtt.u16(1), mqtt.field('iotlab/alice/a'), Buffer.from([0])),
  ],
  ['UNSUBSCRIBE without the bit 0010 [MQTT-3.10.1-1]', mqtt.packet(0xa0, mqtt.u16(1), mqtt.field('iotlab/alice/a'))],
  ['PINGREQ', mqtt.packet(0xc1)],
  ['DISCONNECT [MQTT-3.14.1-1]', mqtt.packet(0xe1)],
];
for (const [name, bytes] of flags) {
  test(`[MQTT-2.2.2-1] [MQTT-2.2.2-2] reserved flags in ${name} close the connection`, () => closes(bytes));
}
test('[MQTT-2.2.2-2] reserved flags in CONNECT close the connection', async () => {
  await using client = await RawClient.open(broker);
  const bytes = connectPacket();
  bytes[0] = 0x11;
  client.send(bytes);
  await client.expectClose();
});

test('[MQTT-3.14.1-1] [MQTT-3.14.4-3] a DISCONNECT with flags is no DISCONNECT: the Will is published', async () => {
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe(['iotlab/alice/flagged', 0]);
  await using client = await RawClient.connect(broker, { will: { topic: 'iotlab/alice/flagged', payload: 'will' } });
  client.send(mqtt.packet(0xe1));
  await client.expectClose();
  assert.equal((await watcher.message()).payload, 'will');
});

for (const [name, bytes] of [
  ['0', mqtt.packet(0x00)],
  ['15', mqtt.packet(0xf0)],
  ['CONNACK', mqtt.packet(0x20, Buffer.from([0, 0]))],
  ['SUBACK', mqtt.packet(0x90, Buffer.from([0, 1, 0]))],
  ['UNSUBACK', mqtt.packet(0xb0, Buffer.from([0, 1]))],
  ['PINGRESP', mqtt.packet(0xd0)],
] as const) {
  test(`[MQTT-4.8.0-1] a packet of type ${name} from a client closes the connection`, () => closes(bytes));
}

test('[MQTT-4.8.0-1] a remaining length of five bytes closes the connection', () =>
  closes(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])));
test('[MQTT-4.8.0-1] a PINGREQ with a body closes the connection', () => closes(mqtt.packet(0xc0, Buffer.from([1]))));
test('[MQTT-4.8.0-1] a DISCONNECT with a body closes the connection', () =>
  closes(mqtt.packet(0xe0, Buffer.from([0]))));
test('[MQTT-4.8.0-1] a PUBACK of one byte closes the connection', () => closes(mqtt.packet(0x40, Buffer.from([1]))));
test('[MQTT-4.8.0-1] a PUBACK of three bytes closes the connection', () =>
  closes(mqtt.packet(0x40, Buffer.from([0, 1, 0]))));
test('[MQTT-4.8.0-1] a PUBLISH whose topic is longer than the packet closes the connection', () =>
  closes(mqtt.packet(0x30, mqtt.u16(100), Buffer.from('iotlab/alice/a'))));
test('[MQTT-4.8.0-1] a PUBLISH of QoS 1 without room for a packet id closes the connection', () =>
  closes(mqtt.packet(0x32, mqtt.field('iotlab/alice/a'), Buffer.from([1]))));
test('[MQTT-4.8.0-1] an empty PUBLISH closes the connection', () => closes(mqtt.packet(0x30)));

test('[MQTT-2.3.1-1] a PUBLISH of QoS 1 with packet id 0 closes the connection', () =>
  closes(mqtt.publish('iotlab/alice/a', 'x', { qos: 1, id: 0 })));
test('[MQTT-2.3.1-1] a PUBLISH of QoS 2 with packet id 0 closes the connection', () =>
  closes(mqtt.publish('iotlab/alice/a', 'x', { qos: 2, id: 0 })));
test('[MQTT-2.3.1-1] a SUBSCRIBE with packet id 0 closes the connection', () =>
  closes(mqtt.subscribe(0, ['iotlab/alice/a', 0])));
test('[MQTT-2.3.1-1] an UNSUBSCRIBE with packet id 0 closes the connection', () =>
  closes(mqtt.unsubscribe(0, 'iotlab/alice/a')));

test('[MQTT-2.3.1-4] packet ids that the broker gives are neither 0 nor in use', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/ids', 1]);
  await using publisher = await RawClient.connect(broker);
  for (let count = 0; count < 20; count += 1) await publisher.publish('iotlab/alice/ids', 'x', { qos: 1 });
  const ids = new Set<number>();
  for (let count = 0; count < 20; count += 1) ids.add((await client.message()).id);
  assert.equal(ids.size, 20);
  assert.ok(!ids.has(0));
});

test('[MQTT-2.3.1-5] [MQTT-3.3.1-2] a message at QoS 0 has neither packet id nor DUP', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/zero', 2]);
  client.send(mqtt.publish('iotlab/alice/zero', 'payload'));
  const { flags: bits, body } = await client.next();
  assert.equal(bits, 0);
  assert.deepEqual(body, Buffer.concat([mqtt.field('iotlab/alice/zero'), Buffer.from('payload')]));
});

test('[MQTT-2.3.1-6] [MQTT-2.3.1-7] every acknowledgement has the packet id of its packet, byte for byte', async () => {
  await using client = await RawClient.connect(broker);
  const id = 0xabcd;
  const answers = async (...bytes: Uint8Array[]) => {
    client.send(...bytes);
    const { type, flags: bits, body } = await client.next();
    return [(type << 4) | bits, ...body];
  };
  const topic = 'iotlab/alice/acks';
  assert.deepEqual(await answers(mqtt.publish(topic, 'x', { qos: 1, id })), [0x40, 0xab, 0xcd]);
  assert.deepEqual(await answers(mqtt.publish(topic, 'x', { qos: 2, id })), [0x50, 0xab, 0xcd]);
  assert.deepEqual(await answers(mqtt.pubrel(id)), [0x70, 0xab, 0xcd]);
  assert.deepEqual(await answers(mqtt.subscribe(id, [topic, 0])), [0x90, 0xab, 0xcd, 0]);
  assert.deepEqual(await answers(mqtt.unsubscribe(id, topic)), [0xb0, 0xab, 0xcd]);
  assert.deepEqual(await answers(mqtt.pingreq()), [0xd0]);
});

test('a packet may arrive in pieces of one byte, and many packets in one piece', async () => {
  await using client = await RawClient.open(broker);
  const topic = 'iotlab/alice/pieces';
  for (const byte of Buffer.concat([connectPacket({ clientId: freshId() }), mqtt.subscribe(1, [topic, 0])])) {
    await new Promise<void>((resolve) => client.socket.write(Buffer.from([byte]), () => resolve()));
  }
  assert.equal((await client.next()).type, mqtt.CONNACK);
  assert.equal((await client.next()).type, mqtt.SUBACK);
  client.send(...Array.from({ length: 500 }, (_, index) => mqtt.publish(topic, `${index}`)));
  for (let index = 0; index < 500; index += 1) assert.equal((await client.message()).payload, `${index}`);
});

test('a packet of 20 KB in TCP segments of 32 bytes arrives whole', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/firmware', 1]);
  const firmware = Buffer.alloc(20_000, 'firmware');
  const bytes = mqtt.publish('iotlab/alice/firmware', firmware, { qos: 1, id: 1 });
  for (let start = 0; start < bytes.length; start += 32) client.socket.write(bytes.subarray(start, start + 32));
  const { payloadBytes } = mqtt.readMessage(await client.take(mqtt.PUBLISH));
  assert.ok(payloadBytes.equals(firmware));
});

test('a message of 3 MB passes', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/big', 0]);
  const big = Buffer.alloc(3_000_000, 'big');
  client.send(mqtt.publish('iotlab/alice/big', big));
  assert.ok((await client.message(20_000)).payloadBytes.equals(big));
});
