import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// Publishers of each version to receivers of each version, by every way that a message can take, to the byte.
const { p } = mqtt5;
// Relayed: what is between the versions is tried here, thousands of times, and not TLS.
const broker = useTestBroker({ relay: true });

interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly properties: readonly mqtt5.Property[];
}

interface Connecting {
  readonly clientId?: string;
  readonly keeps?: boolean;
  readonly will?: Message & { readonly retain: boolean };
}

/** One version of MQTT, from a test's side. */
interface Version {
  readonly name: string;
  readonly level: mqtt.Level;
}
const versions: readonly Version[] = [
  { name: '3.1', level: 3 },
  { name: '3.1.1', level: 4 },
  { name: '5', level: 5 },
];

async function open({ level }: Version, { clientId = freshId(), keeps = false, will }: Connecting): Promise<RawClient> {
  const client = await RawClient.open(broker.relayed, {}, clientId);
  if (level === 5) {
    const properties = keeps ? [p.sessionExpiry(600)] : [];
    client.send(connectPacket5({ clientId, cleanStart: !keeps, properties, will }));
  } else client.send(connectPacket({ clientId, level, clean: !keeps, will }));
  assert.equal((await client.next()).body[1], 0);
  return client;
}

async function subscribe({ level }: Version, client: RawClient, filter: string): Promise<void> {
  client.send(level === 5 ? mqtt5.subscribe(1, [[filter, 2]]) : mqtt.subscribe(1, [filter, 2]));
  assert.equal((await client.take(mqtt.SUBACK)).body.at(-1), 2);
}

/** Publishes, to the end of the flow. */
async function publish(
  { level }: Version,
  client: RawClient,
  { topic, payload, qos, properties }: Message,
  retain: boolean,
): Promise<void> {
  const options = { qos, retain, ...(qos > 0 ? { id: client.nextId() } : {}) };
  client.send(
    level === 5 ? mqtt5.publish(topic, payload, { ...options, properties }) : mqtt.publish(topic, payload, options),
  );
  if (qos === 1) await client.take(mqtt.PUBACK);
  if (qos === 2) {
    await client.take(mqtt.PUBREC);
    client.send(mqtt.pubrel(options.id!));
    await client.take(mqtt.PUBCOMP);
  }
}

/** The next packet must be this message, and nothing of it different. */
async function expectMessage(receiver: Version, client: RawClient, message: Message, retain: boolean): Promise<void> {
  const { type, flags, body } = await client.next();
  assert.equal(type, mqtt.PUBLISH);
  const { topic, payload, qos, properties } = message;
  const id = qos > 0 ? body.subarray(2 + Buffer.byteLength(topic), 4 + Buffer.byteLength(topic)) : Buffer.alloc(0);
  const expected = Buffer.concat([
    mqtt.field(topic),
    id,
    receiver.level === 5 ? mqtt5.properties(properties) : Buffer.alloc(0),
    payload,
  ]);
  assert.ok(body.equals(expected), `${body.subarray(0, 200).toString('hex')} for ${message.topic}`);
  assert.equal(flags, (qos << 1) | (retain ? 1 : 0));
  if (qos === 0) return;
  const packetId = id.readUInt16BE(0);
  assert.notEqual(packetId, 0);
  if (qos === 1) client.send(mqtt.puback(packetId));
  else {
    client.send(mqtt.pubrec(packetId));
    assert.equal((await client.next()).type, mqtt.PUBREL);
    client.send(mqtt.pubcomp(packetId));
  }
}

const everything = [
  p.userProperty('z', '1'),
  p.payloadFormat(0),
  p.contentType('application/octet-stream'),
  p.userProperty('a', '\u00e4'),
  p.responseTopic('iotlab/alice/answers'),
  p.correlationData(Buffer.from([0, 255, 1])),
  p.userProperty('z', '1'),
];
const payloads: readonly Buffer[] = [
  Buffer.alloc(0),
  Buffer.from([0, 255, 0x30, 10, 13]),
  // More than is copied on its way.
  Buffer.alloc(100_000, 'large '),
];

/** The ways that a message can take from one to the other. */
const ways: Readonly<Record<string, (from: Version, to: Version, message: Message) => Promise<void>>> = {
  async live(from, to, message) {
    await using receiver = await open(to, {});
    await subscribe(to, receiver, message.topic);
    await using publisher = await open(from, {});
    for (const retain of [false, true]) {
      await publish(from, publisher, message, retain);
      await expectMessage(to, receiver, message, false);
    }
    await publish(from, publisher, { ...message, payload: Buffer.alloc(0), properties: [] }, true);
  },

  async queued(from, to, message) {
    const clientId = freshId();
    const absent = await open(to, { clientId, keeps: true });
    await subscribe(to, absent, message.topic);
    await absent.disconnect();
    await using publisher = await open(from, {});
    await publish(from, publisher, message, false);
    // At QoS 0 nothing else says that it has been taken: until then, who comes back would be there for it.
    await publisher.expectNothing();
    const receiver = await open(to, { clientId, keeps: true });
    if (message.qos > 0) await expectMessage(to, receiver, message, false);
    await receiver.expectNothing();
    await receiver.disconnect();
    await (await open(to, { clientId })).disconnect();
  },

  async retained(from, to, message) {
    if (message.payload.length === 0) return;
    await using publisher = await open(from, {});
    await publish(from, publisher, message, true);
    await publisher.expectNothing();
    await using receiver = await open(to, {});
    await subscribe(to, receiver, message.topic);
    await expectMessage(to, receiver, message, true);
    await publish(from, publisher, { ...message, payload: Buffer.alloc(0), properties: [] }, true);
  },

  async Will(from, to, message) {
    // CONNECT has less room.
    if (message.payload.length > 50_000) return;
    await using receiver = await open(to, {});
    await subscribe(to, receiver, message.topic);
    for (const retain of [false, true]) {
      (await open(from, { will: { ...message, retain } })).cut();
      await expectMessage(to, receiver, message, false);
      if (!retain || message.payload.length === 0) continue;
      await using late = await open(to, {});
      await subscribe(to, late, message.topic);
      await expectMessage(to, late, message, true);
    }
    await using cleaner = await open(from, {});
    await publish(from, cleaner, { ...message, payload: Buffer.alloc(0), properties: [] }, true);
  },
};

let topics = 0;
for (const from of versions) {
  for (const to of versions) {
    for (const [way, take] of Object.entries(ways)) {
      for (const properties of from.level === 5 ? [[], everything] : [[]]) {
        const more = properties.length > 0 ? ', with properties' : '';
        test(`${from.name} to ${to.name}, ${way}, every QoS${more}`, async () => {
          for (const qos of [0, 1, 2]) {
            for (const payload of payloads) {
              await take(from, to, { topic: `iotlab/alice/matrix/${++topics}/\u00e4`, payload, qos, properties });
            }
          }
        });
      }
    }
  }
}
