import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { expectGoodbye } from '../support/refusals5.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapter 3.3.2.3.4: topic aliases, the clients' and the broker's.
const { p } = mqtt5;
const broker = useTestBroker();
let topics = 0;
const freshTopic = () => `iotlab/alice/alias/${++topics}`;
const aliased = (topic: string, alias: number, payload = '', options: mqtt5.Publish5Options = {}) =>
  mqtt5.publish(topic, payload, { ...options, properties: [p.topicAlias(alias), ...(options.properties ?? [])] });

test('[MQTT-3.3.2-12] every alias from 1 to the maximum stands for its topic, at every QoS', async () => {
  await using client = await Client5.connect(broker);
  const maximum = client.connack.properties.topicAliasMaximum!;
  const tree = freshTopic();
  await client.subscribe([`${tree}/#`, 0]);
  for (let alias = 1; alias <= maximum; alias++) client.send(aliased(`${tree}/${alias}`, alias, 'set'));
  for (let alias = 1; alias <= maximum; alias++) assert.equal((await client.message()).topic, `${tree}/${alias}`);
  for (let alias = maximum; alias >= 1; alias--) {
    const qos = alias % 3;
    client.send(aliased('', alias, `${alias}`, qos > 0 ? { qos, id: alias } : {}));
    const { topic, payload, properties } = await client.message();
    assert.deepEqual([topic, payload, properties], [`${tree}/${alias}`, `${alias}`, {}]);
  }
});

test('[MQTT-3.3.2-8] [MQTT-3.3.2-9] alias 0, and one above the maximum, are 0x94', async () => {
  for (const alias of [0, 65, 65_535]) {
    await expectGoodbye(broker, 0x94, [aliased(freshTopic(), alias)]);
    await expectGoodbye(broker, 0x94, [aliased('', alias)]);
    await expectGoodbye(broker, 0x94, [aliased(freshTopic(), alias, '', { qos: 1, id: 1 })]);
  }
});

test('[MQTT-3.3.2-9] where CONNACK allows none, every alias is 0x94', async () => {
  await using own = await startTestBroker({ config: { limits: { topicAliasMaximum: 0 } } });
  await expectGoodbye(own, 0x94, [aliased(freshTopic(), 1)]);
  await using client = await Client5.connect(own, { properties: [p.topicAliasMaximum(10)] });
  const topic = freshTopic();
  await client.subscribe([topic, 0]);
  await client.publish(topic, 'x');
  assert.deepEqual((await client.message()).topic, topic);
});

test('[MQTT-3.3.2-7] an alias that stands for nothing yet is a protocol error', async () => {
  await expectGoodbye(broker, 0x82, [aliased('', 1)]);
  await expectGoodbye(broker, 0x82, [aliased('', 1, '', { qos: 2, id: 1 })]);
});

test('[MQTT-3.3.2-7] aliases end with their connection, also when the session goes on', async () => {
  const options = { clientId: freshId(), properties: [p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  first.send(aliased(freshTopic(), 1, '', { qos: 1, id: 1 }));
  await first.raw.take(mqtt.PUBACK);
  await first.disconnect();
  await expectGoodbye(broker, 0x82, [aliased('', 1)], { ...options, cleanStart: false });
  await (await Client5.connect(broker, { clientId: options.clientId })).disconnect();
});

test('an alias can be given another topic, and is then for that one', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([`${topic}/#`, 0]);
  for (const leaf of ['a', 'a', 'b', 'a']) {
    client.send(aliased(`${topic}/${leaf}`, 5), aliased('', 5));
    for (let i = 0; i < 2; i++) assert.equal((await client.message()).topic, `${topic}/${leaf}`);
  }
});

test('aliases of two clients are each their own', async () => {
  const topic = freshTopic();
  await using one = await Client5.connect(broker);
  await using other = await Client5.connect(broker);
  await one.subscribe([`${topic}/#`, 0]);
  one.send(aliased(`${topic}/one`, 1));
  assert.equal((await one.message()).topic, `${topic}/one`);
  other.send(aliased(`${topic}/other`, 1), aliased('', 1));
  for (let i = 0; i < 2; i++) assert.equal((await one.message()).topic, `${topic}/other`);
  one.send(aliased('', 1));
  assert.equal((await one.message()).topic, `${topic}/one`);
});

test('an alias is set by a PUBLISH that is denied, and what comes by it is denied too', async () => {
  await using client = await Client5.connect(broker);
  client.send(aliased('iotlab/bob/x', 1, '', { qos: 1, id: 1 }), aliased('', 1, '', { qos: 1, id: 2 }));
  for (const id of [1, 2]) {
    const answer = mqtt5.readAcknowledgement(await client.raw.take(mqtt.PUBACK));
    assert.deepEqual([answer.id, answer.code], [id, 0x87]);
  }
});

test('a wildcard is as little a topic with an alias as without one', () =>
  expectGoodbye(broker, 0x90, [aliased('iotlab/alice/#', 1)]));

test('an alias goes with all that a message has: properties, RETAIN, QoS 2, a large payload, earlier versions', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 2]);
  await using older = await RawClient.connect(broker);
  await older.subscribe([topic, 2]);
  const properties = [p.userProperty('b', '1'), p.contentType('t'), p.userProperty('a', '2')];
  const payload = 'large '.repeat(20_000);
  for (const given of [topic, '']) {
    client.send(aliased(given, 1, payload, { qos: 2, id: 9, retain: true, properties }));
    await client.raw.take(mqtt.PUBREC);
    client.send(mqtt5.pubrel(9));
    await client.raw.take(mqtt.PUBCOMP);
    const message = await client.receive();
    assert.deepEqual([message.topic, message.payload, message.qos], [topic, payload, 2]);
    assert.deepEqual(message.properties, {
      contentType: 't',
      user: [
        ['b', '1'],
        ['a', '2'],
      ],
    });
    const plain = await older.receive();
    assert.deepEqual([plain.topic, plain.payload, plain.qos], [topic, payload, 2]);
  }
  await using late = await Client5.connect(broker);
  await late.subscribe([topic, 0]);
  assert.deepEqual((await late.message()).properties, {
    contentType: 't',
    user: [
      ['b', '1'],
      ['a', '2'],
    ],
  });
  await client.publish(topic, '', { retain: true });
});

test('[MQTT-3.3.2-17] [MQTT-3.3.2-18] what is taken out from between the properties leaves the others as they were, and no payload stays none', async () => {
  await using client = await Client5.connect(broker);
  const topic = freshTopic();
  await client.subscribe([topic, 0]);
  const [first, second, third] = [p.contentType('t'), p.userProperty('a', 'b'), p.correlationData('c')];
  for (const name of [topic, '']) {
    const properties = [first, p.topicAlias(1), second, p.messageExpiry(60), third];
    client.send(mqtt5.publish(name, '', { properties }));
    const came = await client.message();
    assert.deepEqual([came.topic, came.payload], [topic, '']);
    const { messageExpiry, ...others } = came.properties;
    assert.ok(messageExpiry !== undefined);
    assert.deepEqual(others, mqtt5.readProperties(mqtt5.properties([first, second, third]), 0).properties);
  }
});

test('packet ids of any size go with an alias that the broker sets', async () => {
  await using client = await Client5.connect(broker, { properties: [p.topicAliasMaximum(1)] });
  await using publisher = await Client5.connect(broker);
  const topic = freshTopic();
  await client.subscribe([topic, 2]);
  // One that is acknowledged with another id keeps its place in the window.
  for (let i = 0; i < 300; i++) {
    await publisher.publish(topic, `${i}`, { qos: 1 + (i % 2) });
    assert.equal((await client.receive()).payload, `${i}`);
  }
});

test('the same message sent again with DUP and an alias is not delivered twice', async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker);
  await client.subscribe([topic, 0]);
  client.send(aliased(topic, 1, 'once', { qos: 2, id: 3 }), aliased('', 1, 'once', { qos: 2, id: 3, dup: true }));
  await client.raw.take(mqtt.PUBREC);
  await client.raw.take(mqtt.PUBREC);
  assert.equal((await client.message()).payload, 'once');
  await client.expectNothing();
});

/** PUBLISH packets with the topics and aliases that stand in them. */
async function next(client: Client5): Promise<{ topic: string; alias: number | undefined }> {
  const { topic, properties } = mqtt5.readMessage(await client.raw.take(mqtt.PUBLISH));
  return { topic, alias: properties.topicAlias };
}

test('[MQTT-3.1.2-27] a client that says nothing of aliases, or 0, is sent none', async () => {
  const topic = freshTopic();
  await using publisher = await Client5.connect(broker);
  for (const properties of [[], [p.topicAliasMaximum(0)]]) {
    await using client = await Client5.connect(broker, { properties });
    await client.subscribe([topic, 0]);
    for (let count = 0; count < 3; count++) {
      publisher.send(aliased(topic, 1));
      assert.deepEqual(await next(client), { topic, alias: undefined });
    }
  }
});

test('[MQTT-3.1.2-26] [MQTT-3.3.2-11] the broker sets at most as many aliases as the client takes', async () => {
  const tree = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.topicAliasMaximum(2)] });
  await client.subscribe([`${tree}/#`, 1]);
  await using publisher = await Client5.connect(broker);
  const seen = new Map<number, string>();
  for (let round = 0; round < 2; round++) {
    for (const leaf of ['a', 'b', 'c', 'd']) {
      await publisher.publish(`${tree}/${leaf}`, '', { qos: 1, properties: [p.contentType('kept')] });
      const { topic, properties, id } = mqtt5.readMessage(await client.raw.take(mqtt.PUBLISH));
      client.send(mqtt5.puback(id));
      assert.equal(properties.contentType, 'kept');
      const alias = properties.topicAlias;
      if (alias === undefined) assert.equal(topic, `${tree}/${leaf}`);
      else {
        assert.ok(alias === 1 || alias === 2);
        if (topic === '') assert.equal(seen.get(alias), `${tree}/${leaf}`);
        else seen.set(alias, topic);
      }
    }
  }
  assert.equal(seen.size, 2);
});

test('[MQTT-3.3.2-4] [MQTT-3.3.2-17] properties of any length go with an alias that the broker sets', async () => {
  await using client = await Client5.connect(broker, { properties: [p.topicAliasMaximum(1)] });
  await using publisher = await Client5.connect(broker);
  const topic = freshTopic();
  await client.subscribe([topic, 2]);
  // As many bytes as their length takes one, two and three bytes for; the alias adds three.
  for (const bytes of [1, 110, 118, 119, 121, 122, 300, 16_374, 16_375, 16_378, 16_379, 20_000]) {
    const properties = [p.userProperty('n', 'v'.repeat(bytes)), p.contentType('t')];
    for (const qos of [0, 1, 2]) {
      await publisher.publish(topic, 'x', { qos, properties });
      const came = await client.receive();
      const { topicAlias, ...read } = came.properties;
      assert.equal(topicAlias, 1);
      assert.deepEqual([came.topic, came.payload], [topic, 'x']);
      assert.deepEqual(read, mqtt5.readProperties(mqtt5.properties(properties), 0).properties, `${bytes} bytes`);
    }
  }
});

test('[MQTT-3.3.2-7] the broker sets its aliases anew on each connection', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.topicAliasMaximum(5), p.sessionExpiry(60)] };
  await using publisher = await Client5.connect(broker);
  for (const cleanStart of [true, false, false]) {
    const client = await Client5.connect(broker, { ...options, cleanStart });
    if (cleanStart) await client.subscribe([topic, 0]);
    for (const expected of [
      { topic, alias: 1 },
      { topic: '', alias: 1 },
    ]) {
      await publisher.publish(topic, 'x');
      assert.deepEqual(await next(client), expected);
    }
    await client.disconnect();
  }
  await (await Client5.connect(broker, { clientId: options.clientId })).disconnect();
});

test('[MQTT-3.3.2-7] what is sent again on a new connection has its topic', async () => {
  const topic = freshTopic();
  const options = { clientId: freshId(), properties: [p.topicAliasMaximum(5), p.sessionExpiry(60)] };
  const first = await Client5.connect(broker, options);
  await first.subscribe([topic, 1]);
  for (const payload of ['1', '2', '3']) await first.publish(topic, payload, { qos: 1 });
  for (const expected of [topic, '', '']) assert.equal((await next(first)).topic, expected);
  first.cut();
  const again = await Client5.connect(broker, { ...options, cleanStart: false });
  for (const payload of ['1', '2', '3']) {
    const message = await again.receive();
    assert.deepEqual([message.topic, message.payload, message.dup], [topic, payload, true]);
  }
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test("an alias of a publisher is never a receiver's", async () => {
  const topic = freshTopic();
  await using client = await Client5.connect(broker, { properties: [p.topicAliasMaximum(64)] });
  await client.subscribe([topic, 2]);
  for (const qos of [0, 1, 2]) {
    client.send(aliased(topic, 40 + qos, '', qos > 0 ? { qos, id: qos } : {}));
    const { properties } = mqtt5.readMessage(await client.raw.take(mqtt.PUBLISH));
    assert.equal(properties.topicAlias, 1);
  }
});
