import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { expectGoodbye, expectRefusal } from '../support/refusals5.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapters 3.14, 3.15, 4.12 and 4.13: how connections end, and AUTH.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/disconnect/${++topics}`;

const clientCodes = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
test("[MQTT-3.14.2-1] [MQTT-4.13.2-1] a client may leave with each reason code that is a client's, and is closed without an answer", async () => {
  for (const code of clientCodes) {
    for (const properties of [undefined, [], [p.reasonString('x'), p.userProperty('a', 'b')]]) {
      await using client = await Client5.connect(broker);
      client.send(mqtt5.disconnect(code, properties));
      await client.raw.expectClose();
    }
  }
  await using client = await Client5.connect(broker);
  client.send(mqtt5.disconnect());
  await client.raw.expectClose();
});

test('[MQTT-3.14.2-1] and with no other', async () => {
  for (const code of [0x01, 0x10, 0x84, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x9c, 0x9d, 0xff]) {
    await expectGoodbye(broker, 0x82, [mqtt5.disconnect(code)]);
  }
});

const onlyFromBrokers: readonly (readonly [name: string, first: number, body: readonly number[]])[] = [
  ['CONNACK', 0x20, [0, 0, 0]],
  ['SUBACK', 0x90, [0, 1, 0, 0]],
  ['UNSUBACK', 0xb0, [0, 1, 0, 0]],
  ['PINGRESP', 0xd0, []],
];
for (const [name, first, body] of onlyFromBrokers) {
  test(`[MQTT-4.13.1-1] ${name} from a client is unexpected, 0x82, and malformed with reserved bits, 0x81`, async () => {
    await expectGoodbye(broker, 0x82, [mqtt.packet(first, Buffer.from(body))]);
    for (const bit of [1, 2, 4, 8]) await expectGoodbye(broker, 0x81, [mqtt.packet(first | bit, Buffer.from(body))]);
  });
}

test('[MQTT-4.13.1-1] a packet of the forbidden type 0 is malformed', async () => {
  for (const first of [0, 1, 2, 4, 8]) await expectGoodbye(broker, 0x81, [mqtt.packet(first, Buffer.alloc(0))]);
});

test('[MQTT-3.14.4-1] what comes behind DISCONNECT is not handled', async () => {
  const topic = freshTopic();
  await using watcher = await Client5.connect(broker);
  await watcher.subscribe([topic, 1]);
  await using client = await Client5.connect(broker);
  client.send(mqtt5.publish(topic, 'before', { qos: 1, id: 1 }), mqtt5.disconnect());
  client.send(mqtt5.publish(topic, 'behind', { qos: 1, id: 2 }));
  assert.equal((await watcher.receive()).payload, 'before');
  await client.raw.closed();
  await watcher.expectNothing();
});

test('what came before DISCONNECT is handled, all of it, as in earlier versions', async () => {
  const topic = freshTopic();
  await using watcher = await Client5.connect(broker);
  await watcher.subscribe([topic, 0]);
  const raw = await RawClient.open(broker);
  raw.send(
    connectPacket5(),
    ...Array.from({ length: 50 }, (_, i) => mqtt5.publish(topic, `${i}`, { qos: 1, id: i + 1 })),
    mqtt5.disconnect(),
  );
  raw.socket.end();
  for (let i = 0; i < 50; i++) assert.equal((await watcher.receive()).payload, `${i}`);
});

test('[MQTT-3.14.0-1] nobody is told DISCONNECT before CONNACK', async () => {
  for (const packets of [
    [mqtt.pingreq()],
    [mqtt.packet(0x10, Buffer.alloc(3))],
    [connectPacket5({ password: 'wrong' })],
    [connectPacket5({ properties: [p.receiveMaximum(0)] })],
    [connectPacket5({ properties: [p.maximumPacketSize(5)] })],
    [mqtt.packet(0x10, Buffer.alloc(1_000_000))],
  ]) {
    await using client = await RawClient.open(broker);
    client.send(...packets);
    await client.closed();
    assert.ok(client.waiting.every(({ type }) => type === mqtt.CONNACK));
  }
});

test('[MQTT-3.14.2-2] [MQTT-3.14.4-2] DISCONNECT of the broker has a reason and a Reason String, nothing else, and closes', async () => {
  await using client = await Client5.connect(broker, {
    properties: [p.sessionExpiry(60), p.requestProblemInformation(0)],
  });
  client.send(mqtt5.publish('', 'x'));
  const told = await client.expectDisconnect(0x82);
  assert.deepEqual(Object.keys(told), ['reasonString'], 'which is sent also to who did not ask for any (3.1.2.11.7)');
  await (await Client5.connect(broker, { clientId: client.clientId })).disconnect();
});

test('[MQTT-3.1.2-29] who asked for no reasons gets none in SUBACK, PUBACK, PUBREC and UNSUBACK', async () => {
  await using client = await Client5.connect(broker, { properties: [p.requestProblemInformation(0)] });
  const denied = 'iotlab/bob/x';
  for (const qos of [1, 2]) {
    assert.deepEqual((await client.publishWith(denied, '', { qos })).properties, {});
  }
  assert.deepEqual(
    (
      await client.subscribeWith([
        [denied, 0],
        ['a/#/b', 0],
      ])
    ).properties,
    {},
  );
  client.send(mqtt5.pubrel(99), mqtt5.pubrec(98));
  assert.deepEqual(mqtt5.readAcknowledgement(await client.raw.take(mqtt.PUBCOMP)).properties, {});
  assert.deepEqual(mqtt5.readAcknowledgement(await client.raw.take(mqtt.PUBREL)).properties, {});
  await using told = await Client5.connect(broker, { properties: [p.requestProblemInformation(1)] });
  assert.ok((await told.publishWith(denied, '', { qos: 1 })).properties.reasonString);
  assert.ok((await told.subscribeWith([[denied, 0]])).properties.reasonString);
});

test('[MQTT-3.1.2-29] User Properties of messages come all the same', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.requestProblemInformation(0)] });
  await client.subscribe([topic, 0]);
  await client.publish(topic, '', { properties: [p.userProperty('a', 'b')] });
  assert.deepEqual((await client.receive()).properties, { user: [['a', 'b']] });
});

test("an operator's word, a stop of the broker and a login that is revoked: each with its reason", async () => {
  const own = await startTestBroker();
  await using kicked = await Client5.connect(own, { clientId: freshId() });
  await using revoked = await Client5.connect(own, { as: 'bob' });
  await using stopped = await Client5.connect(own, { as: 'al' });
  const connections = [...own.parts().connections];
  connections.find(({ client }) => client?.clientId === kicked.clientId)!.close('kicked');
  connections.find(({ client }) => client?.clientId === revoked.clientId)!.close('revoked');
  assert.match((await kicked.expectDisconnect(0x98)).reasonString ?? '', /operator/);
  assert.match((await revoked.expectDisconnect(0x87)).reasonString ?? '', /account/);
  const stop = own.stop();
  assert.match((await stopped.expectDisconnect(0x8b)).reasonString ?? '', /stopped/);
  await stop;
});

test('[MQTT-3.14.4-1] the reason is the very last, behind all that was owed', async () => {
  const own = await startTestBroker();
  const topic = freshTopic();
  await using client = await Client5.connect(own);
  await client.subscribe([topic, 0]);
  for (let id = 1; id <= 30; id++) client.send(mqtt5.publish(topic, 'x'.repeat(2_000), { qos: 1, id }));
  for (let count = 0; count < 2; count++) await client.raw.next();
  const stop = own.stop();
  await client.raw.closed();
  const types = client.raw.waiting.map(({ type }) => type);
  assert.equal(types.at(-1), mqtt.DISCONNECT);
  assert.equal(types.filter((type) => type === mqtt.DISCONNECT).length, 1);
  await stop;
});

test('[MQTT-4.12.0-1] an Authentication Method is 0x8C, whichever it is, with data or without', async () => {
  for (const method of ['SCRAM-SHA-256', 'PLAIN', '']) {
    await expectRefusal(broker, 0x8c, connectPacket5({ properties: [p.authenticationMethod(method)] }));
    const properties = [p.authenticationData('x'), p.authenticationMethod(method)];
    await expectRefusal(broker, 0x8c, connectPacket5({ properties }));
  }
});

test('[MQTT-4.13.1-1] Authentication Data without a method is a protocol error', () =>
  expectRefusal(broker, 0x82, connectPacket5({ properties: [p.authenticationData('x')] })));

test('[MQTT-4.12.0-4] [MQTT-4.12.0-6] [MQTT-3.15.2-1] the broker sends no AUTH, and takes none: 0x82', async () => {
  const packets = [
    mqtt5.auth(0x00),
    mqtt5.auth(0x18, [p.authenticationMethod('PLAIN')]),
    mqtt5.auth(0x19, [p.authenticationMethod('PLAIN'), p.authenticationData('x')]),
    mqtt.packet(0xf0),
    mqtt5.auth(0x55),
  ];
  for (const packet of packets) await expectGoodbye(broker, 0x82, [packet]);
  await using client = await Client5.connect(broker);
  assert.equal(client.connack.properties.authenticationMethod, undefined);
});

test('[MQTT-4.12.0-6] AUTH behind a CONNECT that is being answered is as stray', async () => {
  await using client = await RawClient.open(broker);
  client.send(connectPacket5(), mqtt5.auth());
  assert.equal((await client.next()).type, mqtt.CONNACK);
  assert.equal((await client.next()).body[0], 0x82);
  await client.expectClose();
});

test('[MQTT-4.13.2-1] whatever the reason is, the connection is closed, whether the client reads it or not', async () => {
  await using client = await Client5.connect(broker);
  client.raw.socket.pause();
  client.send(mqtt5.publish('', 'x'));
  await broker.logs.waitFor(/disconnected|connection ended/);
  client.raw.socket.resume();
  await client.expectDisconnect(0x82);
});
