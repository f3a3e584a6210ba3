import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId } from '../support/raw-client.js';
import { expectGoodbye } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapters 3.4 to 3.7 and 4.3: PUBACK, PUBREC, PUBREL and PUBCOMP, and the flows that they make.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/acknowledge/${++topics}`;
const answer = async (client: Client5, type: number) => mqtt5.readAcknowledgement(await client.raw.take(type));

/** Reason codes that a client may send [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]. */
const receiverCodes = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const kinds = [
  ['PUBACK [MQTT-3.4.2-1]', mqtt5.puback, receiverCodes],
  ['PUBREC [MQTT-3.5.2-1]', mqtt5.pubrec, receiverCodes],
  ['PUBREL [MQTT-3.6.2-1]', mqtt5.pubrel, [0x00, 0x92]],
  ['PUBCOMP [MQTT-3.7.2-1]', mqtt5.pubcomp, [0x00, 0x92]],
] as const;
for (const [name, packet, codes] of kinds) {
  test(`every reason code that belongs into ${name} is taken, in all lengths, and no other`, async () => {
    await using client = await Client5.connect(broker);
    for (const code of codes) client.send(packet(9, code), packet(9, code, []), packet(9, code, [p.reasonString('x')]));
    client.send(mqtt.pingreq());
    await client.raw.take(mqtt.PINGRESP);
    for (const code of [0x01, 0x18, 0x7f, 0x81, 0x82, 0x9f, 0xff]) await expectGoodbye(broker, 0x82, [packet(9, code)]);
  });
  test(`[MQTT-4.13.1-1] ${name} without a whole packet id is malformed`, async () => {
    const head = packet(1)[0]!;
    await expectGoodbye(broker, 0x81, [mqtt.packet(head)]);
    await expectGoodbye(broker, 0x81, [mqtt.packet(head, Buffer.from([0]))]);
  });
}

test('[MQTT-4.3.2-2] [MQTT-4.3.2-3] a message of QoS 1 is in flight until its PUBACK', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  let client = await Client5.connect(broker, options);
  await client.subscribe([topic, 1]);
  await client.publish(topic, 'x', { qos: 1 });
  const first = await client.message();
  assert.deepEqual([first.qos, first.dup], [1, false]);
  for (let count = 0; count < 2; count++) {
    client.cut();
    client = await Client5.connect(broker, { ...options, cleanStart: false });
    const again = await client.message();
    assert.deepEqual([again.id, again.dup], [first.id, true]);
  }
  client.send(mqtt5.puback(first.id));
  await client.expectNothing();
  await client.disconnect();
  client = await Client5.connect(broker, { ...options, cleanStart: false });
  await client.expectNothing();
  await client.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-4.3.2-4] [MQTT-4.3.2-5] behind its PUBACK the same packet id is a new message, DUP or not', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  for (const dup of [false, true, false]) {
    client.send(mqtt5.publish(topic, `${dup}`, { qos: 1, id: 7, dup }));
    assert.equal((await answer(client, mqtt.PUBACK)).id, 7);
    assert.equal((await client.message()).payload, `${dup}`);
  }
});

test('[MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6] QoS 2 from the broker: PUBLISH until PUBREC, then PUBREL until PUBCOMP', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  let client = await Client5.connect(broker, options);
  const resume = async () => {
    client.cut();
    client = await Client5.connect(broker, { ...options, cleanStart: false });
  };
  await client.subscribe([topic, 2]);
  await client.publish(topic, 'x', { qos: 2 });
  const { id, qos, dup } = await client.message();
  assert.deepEqual([qos, dup], [2, false]);
  await resume();
  const again = await client.message();
  assert.deepEqual([again.id, again.dup], [id, true]);
  client.send(mqtt5.pubrec(id));
  assert.deepEqual(await answer(client, mqtt.PUBREL), { id, code: 0, properties: {} });
  for (let count = 0; count < 2; count++) {
    await resume();
    const released = await client.raw.next();
    assert.equal(released.type, mqtt.PUBREL, 'and never the PUBLISH again');
    assert.equal(mqtt5.readAcknowledgement(released).id, id);
  }
  client.send(mqtt5.pubcomp(id));
  await client.expectNothing();
  await resume();
  await client.expectNothing();
  await client.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-4.3.3-8] [MQTT-4.3.3-10] until PUBREL the same packet id is the same message, and answered each time', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  for (const dup of [false, true, false]) client.send(mqtt5.publish(topic, 'once', { qos: 2, id: 7, dup }));
  for (let count = 0; count < 3; count++) assert.deepEqual((await answer(client, mqtt.PUBREC)).id, 7);
  assert.equal((await client.message()).payload, 'once');
  await client.expectNothing();
});

test('[MQTT-4.3.3-11] [MQTT-4.3.3-12] behind PUBCOMP it is a new message', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  for (let count = 0; count < 3; count++) {
    client.send(mqtt5.publish(topic, `${count}`, { qos: 2, id: 7, dup: count > 0 }));
    assert.equal((await answer(client, mqtt.PUBREC)).code, 0);
    client.send(mqtt5.pubrel(7));
    assert.deepEqual(await answer(client, mqtt.PUBCOMP), { id: 7, code: 0, properties: {} });
    assert.equal((await client.message()).payload, `${count}`);
  }
});

test('[MQTT-4.3.3-9] behind a PUBREC of 0x80 or more it is a new message, and no PUBREL is owed', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  client.send(mqtt5.publish('iotlab/bob/x', 'denied', { qos: 2, id: 7 }));
  assert.equal((await answer(client, mqtt.PUBREC)).code, 0x87);
  client.send(mqtt5.publish(topic, 'new', { qos: 2, id: 7, dup: true }));
  assert.equal((await answer(client, mqtt.PUBREC)).code, 0);
  assert.equal((await client.message()).payload, 'new');
  client.send(mqtt5.pubrel(7));
  assert.equal((await answer(client, mqtt.PUBCOMP)).code, 0);
});

test('[MQTT-4.3.3-11] PUBREL for a packet id that is not known is answered 0x92', async () => {
  await using client = await Client5.connect(broker);
  client.send(mqtt5.pubrel(99));
  assert.equal((await answer(client, mqtt.PUBCOMP)).code, 0x92);
  client.send(mqtt5.publish('iotlab/bob/x', 'denied', { qos: 2, id: 7 }), mqtt5.pubrel(7));
  assert.equal((await answer(client, mqtt.PUBREC)).code, 0x87);
  assert.equal((await answer(client, mqtt.PUBCOMP)).code, 0x92);
});

test('[MQTT-4.3.3-4] PUBREC for a packet id that is not known is answered with PUBREL 0x92', async () => {
  await using client = await Client5.connect(broker);
  client.send(mqtt5.pubrec(99));
  assert.deepEqual(await answer(client, mqtt.PUBREL), { id: 99, code: 0x92, properties: {} });
  client.send(mqtt5.pubcomp(99, 0x92), mqtt5.puback(98));
  await client.expectNothing('PUBACK and PUBCOMP for ids that are not known are let be');
});

for (const code of [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]) {
  test(`[MQTT-4.4.0-2] PUBACK and PUBREC with 0x${code.toString(16)} end the flow, and nothing is sent again`, async () => {
    const topic = freshTopic();
    const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
    const client = await Client5.connect(broker, options);
    await client.subscribe([topic, 2]);
    await client.publish(topic, 'one', { qos: 1 });
    client.send(mqtt5.puback((await client.message()).id, code));
    await client.publish(topic, 'two', { qos: 2 });
    client.send(mqtt5.pubrec((await client.message()).id, code, [p.reasonString('no')]));
    await client.expectNothing('no PUBREL');
    client.cut();
    const again = await Client5.connect(broker, { ...options, cleanStart: false });
    await again.expectNothing();
    await again.disconnect(0, [p.sessionExpiry(0)]);
  });
}

test('[MQTT-4.4.0-2] PUBREC with 0x10 is no error: the flow goes on', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 2]);
  await client.publish(topic, 'x', { qos: 2 });
  const { id } = await client.message();
  client.send(mqtt5.pubrec(id, 0x10));
  assert.equal((await answer(client, mqtt.PUBREL)).code, 0);
  client.send(mqtt5.pubcomp(id));
  await client.expectNothing();
});

const wrong: readonly (readonly [string, number, (id: number) => Buffer])[] = [
  ['PUBREC for QoS 1', 1, (id) => mqtt5.pubrec(id)],
  ['PUBREC with an error for QoS 1', 1, (id) => mqtt5.pubrec(id, 0x80)],
  ['PUBCOMP for QoS 1', 1, (id) => mqtt5.pubcomp(id)],
  ['PUBACK for QoS 2', 2, (id) => mqtt5.puback(id)],
  ['PUBCOMP before PUBREC', 2, (id) => mqtt5.pubcomp(id)],
];
for (const [name, qos, packet] of wrong) {
  test(`[MQTT-4.13.1-1] ${name} is a protocol error`, async () => {
    const topic = freshTopic();
    await using client = await Client5.connect(broker);
    await client.subscribe([topic, 2]);
    await client.publish(topic, 'x', { qos });
    client.send(packet((await client.message()).id));
    await client.expectDisconnect(0x82);
  });
}

test('[MQTT-4.6.0-5] [MQTT-4.6.0-6] answers and messages come in the order of the publications', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 1]);
  const mixed = [1, 2, 1, 1, 2, 2, 1];
  for (const [i, qos] of mixed.entries()) client.send(mqtt5.publish(topic, `${i}`, { qos, id: 10 + i }));
  const answers: number[] = [];
  const payloads: string[] = [];
  while (answers.length < mixed.length || payloads.length < mixed.length) {
    const packet = await client.raw.next();
    if (packet.type === mqtt.PUBLISH) payloads.push(mqtt5.readMessage(packet).payload);
    else answers.push(mqtt5.readAcknowledgement(packet).id);
  }
  assert.deepEqual(
    answers,
    mixed.map((_, i) => 10 + i),
  );
  assert.deepEqual(
    payloads,
    mixed.map((_, i) => `${i}`),
  );
});
