import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5 } from '../support/client5.js';
import * as mqtt5 from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const { p } = mqtt5;
const broker = useTestBroker();

test('CONNACK tells the limits, and only what differs from what was asked for', async () => {
  await using client = await Client5.connect(broker, { properties: [p.sessionExpiry(10)] });
  assert.deepEqual(client.connack, {
    code: 0,
    sessionPresent: false,
    properties: { maximumPacketSize: 16 * 1024 * 1024, topicAliasMaximum: 64 },
  });
});

test('a session expiry above the limit is capped, and told so', async () => {
  await using client = await Client5.connect(broker, { properties: [p.sessionExpiry(0xffffffff)] });
  assert.equal(client.connack.properties.sessionExpiry, 14 * 24 * 60 * 60);
});

test('Response Information is where the user may be answered, when asked for', async () => {
  await using client = await Client5.connect(broker, { properties: [p.requestResponseInformation(1)] });
  assert.equal(client.connack.properties.responseInformation, 'iotlab/alice/');
});

test('a wrong password is 0x87, and not a word more', async () => {
  await using client = await Client5.attempt(broker, { password: 'wrong' });
  assert.deepEqual(client.connack, { code: 0x87, sessionPresent: false, properties: {} });
  await client.raw.closed();
});

test('properties reach receivers in order, and those of earlier versions without them', async () => {
  await using alice = await Client5.connect(broker);
  await using older = await RawClient.connect(broker);
  await alice.subscribe(['iotlab/alice/#', 2]);
  await older.subscribe(['iotlab/alice/#', 2]);
  for (const qos of [0, 1, 2]) {
    const properties = [
      p.userProperty('b', '1'),
      p.messageExpiry(60),
      p.contentType('text/plain'),
      p.userProperty('a', '2'),
      p.responseTopic('iotlab/alice/answer'),
      p.correlationData('42'),
      p.userProperty('b', '1'),
      p.payloadFormat(1),
    ];
    assert.equal(await alice.publish('iotlab/alice/x', 'hello', { qos, properties }), 0);
    const message = await alice.receive();
    assert.deepEqual(message.properties, {
      messageExpiry: 60,
      contentType: 'text/plain',
      responseTopic: 'iotlab/alice/answer',
      correlationData: '42',
      payloadFormat: 1,
      user: [
        ['b', '1'],
        ['a', '2'],
        ['b', '1'],
      ],
    });
    assert.deepEqual([message.topic, message.payload, message.qos], ['iotlab/alice/x', 'hello', qos]);
    const plain = await older.receive();
    assert.deepEqual([plain.topic, plain.payload, plain.qos], ['iotlab/alice/x', 'hello', qos]);
  }
});

test('what is denied is said, with what helps', async () => {
  await using alice = await Client5.connect(broker);
  const denied = await alice.publishWith('iotlab/<alice>/x', '', { qos: 1 });
  assert.equal(denied.code, 0x87);
  assert.match(denied.properties.reasonString ?? '', /<alice>.* is meant to be replaced/);
  assert.equal(await alice.publish('iotlab/bob/x', '', { qos: 2 }), 0x87);
  const suback = await alice.subscribeWith([
    ['iotlab/alice/#', 1],
    ['iotlab/bob/#', 1],
    ['a/#/b', 0],
  ]);
  assert.deepEqual(suback.codes, [1, 0x87, 0x8f]);
  assert.match(suback.properties.reasonString ?? '', /iotlab\/bob\/# is outside of what alice may use/);
  assert.deepEqual(await alice.unsubscribe('iotlab/alice/#', 'iotlab/alice/#'), [0, 0x11]);
  assert.equal(await alice.publish('iotlab/alice/x', '', { qos: 1 }), 0x10);
});
