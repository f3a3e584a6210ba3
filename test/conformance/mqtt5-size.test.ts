import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Maximum Packet Size, the client's and the broker's.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/size/${String(++topics).padStart(3, '0')}`;
/** Where one more byte takes one more for a length: of the packet, and of its properties. */
const payloads = ['x', 'x'.repeat(95), 'x'.repeat(127), 'x'.repeat(128), 'x'.repeat(200), 'x'.repeat(16_400)];

interface Case {
  readonly name: string;
  readonly qos: number;
  readonly sent: readonly mqtt5.Property[];
  readonly identifier?: number;
}
const cases: readonly Case[] = [0, 1, 2].flatMap((qos) => [
  { name: 'as it came', qos, sent: [] },
  { name: 'with properties', qos, sent: [p.contentType('t'.repeat(90)), p.userProperty('n', 'v')] },
  { name: 'that expires', qos, sent: [p.messageExpiry(60)] },
  { name: 'with an identifier', qos, sent: [], identifier: 300 },
]);

/** What the receiver is sent, in bytes. */
const sizeOf = (topic: string, payload: string, { qos, sent, identifier }: Case) =>
  mqtt5.publish(topic, payload, {
    ...(qos > 0 ? { qos, id: 1 } : {}),
    properties: [...sent, ...(identifier === undefined ? [] : [p.subscriptionIdentifier(identifier)])],
  }).length;

for (const each of cases) {
  test(`[MQTT-3.1.2-24] [MQTT-3.1.2-25] a message ${each.name}, QoS ${each.qos}, of just the size comes, one that is a byte larger does not`, async () => {
    await using publisher = await Client5.connect(broker);
    for (const payload of payloads) {
      const topic = freshTopic();
      const size = sizeOf(topic, payload, each);
      for (const aliases of [[], [p.topicAliasMaximum(10)]]) {
        await using fits = await Client5.connect(broker, { properties: [p.maximumPacketSize(size), ...aliases] });
        await using less = await Client5.connect(broker, { properties: [p.maximumPacketSize(size - 1), ...aliases] });
        for (const client of [fits, less]) {
          const properties = each.identifier === undefined ? [] : [p.subscriptionIdentifier(each.identifier)];
          await client.subscribeWith([[topic, 2]], properties);
        }
        for (let count = 0; count < 2; count++) {
          await publisher.publish(topic, payload, { qos: each.qos, properties: each.sent });
          const packet = await fits.raw.take(mqtt.PUBLISH);
          assert.ok(packet.body.length + 2 <= size);
          const { id, payload: came } = mqtt5.readMessage(packet);
          assert.equal(came, payload);
          if (each.qos === 1) fits.send(mqtt5.puback(id));
          if (each.qos === 2) {
            fits.send(mqtt5.pubrec(id), mqtt5.pubcomp(id));
            await fits.raw.take(mqtt.PUBREL);
          }
          await less.expectNothing(`${size - 1} bytes and no more`);
        }
      }
    }
  });
}

test('[MQTT-3.1.2-24] a message comes with an alias where there is room for one, and else without', async () => {
  const topic = freshTopic();
  await using publisher = await Client5.connect(broker);
  const bare = mqtt5.publish(topic, 'payload').length;
  for (let room = 0; room <= 5; room++) {
    await using client = await Client5.connect(broker, {
      properties: [p.maximumPacketSize(bare + room), p.topicAliasMaximum(5)],
    });
    await client.subscribe([topic, 0]);
    await publisher.publish(topic, 'payload');
    const { body } = await client.raw.take(mqtt.PUBLISH);
    assert.ok(body.length + 2 <= bare + room);
    assert.equal(mqtt5.readMessage({ type: mqtt.PUBLISH, flags: 0, body }).topic, topic);
  }
});

for (const qos of [1, 2]) {
  test(`[MQTT-3.1.2-25] what is too large is as if delivered: those behind it come, and nothing is sent again, QoS ${qos}`, async () => {
    const topic = freshTopic();
    const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
    const large = 'x'.repeat(500);
    const first = await Client5.connect(broker, options);
    await first.subscribe([topic, 2]);
    await first.disconnect();
    await using publisher = await Client5.connect(broker);
    for (const payload of ['1', large, '2', large, '3']) await publisher.publish(topic, payload, { qos });
    const small = { ...options, cleanStart: false, properties: [...options.properties, p.maximumPacketSize(200)] };
    const second = await Client5.connect(broker, small);
    for (const payload of ['1', '2', '3']) assert.equal((await second.receive()).payload, payload);
    await second.expectNothing();
    await publisher.publish(topic, large, { qos });
    await publisher.publish(topic, '4', { qos });
    assert.equal((await second.receive()).payload, '4');
    await second.disconnect();
    const third = await Client5.connect(broker, { ...options, cleanStart: false });
    await third.expectNothing('it was done with');
    await third.disconnect(0, [p.sessionExpiry(0)]);
  });

  test(`[MQTT-3.1.2-25] so is one that is in flight when the client comes back and takes less, QoS ${qos}`, async () => {
    const topic = freshTopic();
    const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
    const first = await Client5.connect(broker, options);
    await first.subscribe([topic, 2]);
    await using publisher = await Client5.connect(broker);
    for (const payload of ['x'.repeat(500), 'small']) await publisher.publish(topic, payload, { qos });
    await first.message();
    await first.message();
    first.cut();
    const small = { ...options, cleanStart: false, properties: [...options.properties, p.maximumPacketSize(200)] };
    const second = await Client5.connect(broker, small);
    assert.equal((await second.receive()).payload, 'small');
    await second.expectNothing();
    await second.disconnect(0, [p.sessionExpiry(0)]);
  });
}

test('[MQTT-3.1.2-25] retained messages that are too large are passed over', async () => {
  const tree = freshTopic();
  await using publisher = await Client5.connect(broker);
  for (const [leaf, payload] of [
    ['a', 'small'],
    ['b', 'x'.repeat(500)],
    ['c', 'small'],
  ] as const) {
    await publisher.publish(`${tree}/${leaf}`, payload, { qos: 2, retain: true });
  }
  for (const properties of [[p.maximumPacketSize(200)], [p.maximumPacketSize(200), p.sessionExpiry(60)]]) {
    const client = await Client5.connect(broker, { properties });
    await client.subscribe([`${tree}/#`, 2]);
    const came = [(await client.receive()).topic, (await client.receive()).topic];
    assert.deepEqual(came.sort(), [`${tree}/a`, `${tree}/c`]);
    await client.expectNothing();
    await client.disconnect(0, [p.sessionExpiry(0)]);
  }
});

test('[MQTT-3.1.2-25] the publisher hears nothing of it and does not wait, and who takes more gets the message', async () => {
  // Its clock stands still: who waits for a reader waits for ever.
  await using own = await startTestBroker({ seams: { clock: new ManualClock() } });
  const topic = freshTopic();
  await using small = await Client5.connect(own, { properties: [p.maximumPacketSize(50)] });
  await using other = await RawClient.connect(own);
  for (const client of [small, other]) await client.subscribe([topic, 1]);
  await using publisher = await Client5.connect(own);
  for (const qos of [0, 1, 2, 0, 1]) {
    assert.equal(await publisher.publish(topic, 'x'.repeat(100), { qos }), 0);
    assert.equal((await other.receive()).payload.length, 100);
  }
  await small.expectNothing();
});

const longName = 'n'.repeat(150);
test('[MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.9.2-1] [MQTT-3.14.2-3] a Reason String that would make an answer too large is left out', async () => {
  const options = { properties: [p.maximumPacketSize(40)] };
  const denied = `iotlab/bob/${longName}`;
  await using client = await Client5.connect(broker, options);
  for (const qos of [1, 2]) {
    assert.deepEqual(await client.publishWith(denied, '', { qos }), { id: qos, code: 0x87, properties: {} });
  }
  assert.deepEqual(await client.subscribeWith([[denied, 0]]), { id: 3, codes: [0x87], properties: {} });
  client.send(mqtt5.publish('', 'x'));
  assert.deepEqual(await client.expectDisconnect(0x82), {});
  await using told = await Client5.connect(broker, { properties: [p.maximumPacketSize(1_000)] });
  assert.ok((await told.publishWith(denied, '', { qos: 1 })).properties.reasonString);
});

test('[MQTT-3.11.2-1] [MQTT-3.9.2-1] a SUBACK or UNSUBACK that cannot be sent at all ends the connection: 0x95', async () => {
  const filters = Array.from({ length: 40 }, () => freshTopic());
  for (const packet of [
    mqtt5.subscribe(
      1,
      filters.map((filter) => [filter, 0] as const),
    ),
    mqtt5.unsubscribe(1, filters),
  ]) {
    await using client = await Client5.connect(broker, { properties: [p.maximumPacketSize(30)] });
    client.send(packet);
    assert.deepEqual(await client.expectDisconnect(0x95), {});
  }
});

test('[MQTT-3.2.2-15] a packet larger than CONNACK allows is 0x95; one of just the size is taken', async () => {
  await using own = await startTestBroker({ config: { limits: { packetBytes: 5_000 } } });
  const topic = freshTopic();
  const overhead = mqtt5.publish(topic, 'x'.repeat(200)).length - 200;
  await using client = await Client5.connect(own);
  assert.equal(client.connack.properties.maximumPacketSize, 5_000);
  client.send(mqtt5.publish(topic, 'x'.repeat(5_000 - overhead)));
  await client.expectNothing();
  client.send(mqtt5.publish(topic, 'x'.repeat(5_001 - overhead)));
  await client.expectDisconnect(0x95);
});
