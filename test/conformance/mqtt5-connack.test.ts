import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

// Chapter 3.2: what CONNACK tells, and what it does not.
const { p } = mqtt5;
const broker = useTestBroker();
const expiry = p.sessionExpiry(60);

test('[MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] session present is the only flag, and true when a session is resumed', async () => {
  const clientId = freshId();
  const flags = async (cleanStart: boolean): Promise<number> => {
    await using client = await RawClient.open(broker);
    client.send(connectPacket5({ clientId, cleanStart, properties: [expiry] }));
    const { body } = await client.next();
    assert.equal(body[1], 0);
    client.send(mqtt5.disconnect());
    await client.closed();
    return body[0]!;
  };
  assert.deepEqual([await flags(false), await flags(false), await flags(true), await flags(false)], [0, 1, 0, 1]);
  await (await Client5.connect(broker, { clientId })).disconnect();
});

test('[MQTT-3.2.2-6] [MQTT-3.2.2-7] a refusal never says that a session is present, and closes', async () => {
  const clientId = freshId();
  await (await Client5.connect(broker, { clientId, properties: [expiry] })).disconnect();
  await using client = await Client5.attempt(broker, { clientId, cleanStart: false, password: 'wrong' });
  assert.deepEqual(client.connack, { code: 0x87, sessionPresent: false, properties: {} });
  await client.raw.expectClose();
  await (await Client5.connect(broker, { clientId })).disconnect();
});

test('[MQTT-3.2.2-9] what is available is not said to be: all QoS, retained messages, wildcards, identifiers, groups', async () => {
  await using client = await Client5.connect(broker);
  assert.deepEqual(Object.keys(client.connack.properties).sort(), ['maximumPacketSize', 'topicAliasMaximum']);
});

test('the limits are those of the configuration, and an alias maximum of 0 is left out', async () => {
  await using own = await startTestBroker({
    config: { limits: { receiveMaximum: 7, packetBytes: 5_000, topicAliasMaximum: 0 } },
  });
  await using client = await Client5.connect(own);
  assert.deepEqual(client.connack.properties, { receiveMaximum: 7, maximumPacketSize: 5_000 });
});

test('Session Expiry Interval is told only when it is not what was asked for', async () => {
  await using own = await startTestBroker({ config: { storage: { sessionExpiryMs: 100_000 } } });
  for (const [asked, told] of [
    [0, undefined],
    [99, undefined],
    [100, undefined],
    [101, 100],
    [0xffffffff, 100],
  ] as const) {
    const client = await Client5.connect(own, { properties: [p.sessionExpiry(asked)] });
    assert.equal(client.connack.properties.sessionExpiry, told, `${asked}`);
    await client.disconnect(0, [p.sessionExpiry(0)]);
  }
});

test('[MQTT-3.1.2-28] Response Information comes when it is asked for, and only then', async () => {
  for (const [properties, told] of [
    [[], undefined],
    [[p.requestResponseInformation(0)], undefined],
    [[p.requestResponseInformation(1)], 'iotlab/alice/'],
  ] as const) {
    await using client = await Client5.connect(broker, { properties });
    assert.equal(client.connack.properties.responseInformation, told);
  }
});

test('Response Information is left out where it would make CONNACK too large', async () => {
  await using large = await Client5.connect(broker, { properties: [p.requestResponseInformation(1)] });
  assert.equal(large.connack.properties.responseInformation, 'iotlab/alice/');
  const bytes = (information: boolean) => 2 + 2 + 1 + 5 + 3 + (information ? 3 + 'iotlab/alice/'.length : 0);
  for (const [size, told] of [
    [bytes(true), 'iotlab/alice/'],
    [bytes(true) - 1, undefined],
    [bytes(false), undefined],
  ] as const) {
    const properties = [p.requestResponseInformation(1), p.maximumPacketSize(size)];
    await using client = await Client5.connect(broker, { properties });
    assert.equal(client.connack.properties.responseInformation, told, `${size}`);
  }
});

test('[MQTT-3.1.2-24] a client that takes no packet as large as CONNACK gets none', async () => {
  for (const size of [1, 4, 12]) {
    await using client = await RawClient.open(broker);
    client.send(connectPacket5({ properties: [p.maximumPacketSize(size)] }));
    await client.expectClose();
  }
});

test('[MQTT-3.1.2-24] [MQTT-3.2.2-19] [MQTT-3.2.2-20] nor a refusal that is larger than what it takes', async () => {
  for (const size of [1, 4]) {
    await using client = await RawClient.open(broker);
    client.send(connectPacket5({ password: 'wrong', properties: [p.maximumPacketSize(size)] }));
    await client.expectClose();
  }
  await using client = await Client5.attempt(broker, { password: 'wrong', properties: [p.maximumPacketSize(5)] });
  assert.equal(client.connack.code, 0x87);
});

test('[MQTT-3.2.2-8] a user with as many connections as allowed is told 0x97', async () => {
  await using own = await startTestBroker({ config: { limits: { connectionsPerUser: 2 } } });
  await using first = await Client5.connect(own);
  await using second = await Client5.connect(own);
  await using third = await Client5.attempt(own);
  const reasonString = 'the user has as many connections as are allowed (limits.connectionsPerUser)';
  assert.deepEqual(third.connack, { code: 0x97, sessionPresent: false, properties: { reasonString } });
  await third.raw.expectClose();
  await using other = await Client5.connect(own, { as: 'bob' });
  for (const client of [first, second, other]) await client.expectNothing();
});

test('[MQTT-3.2.2-8] so is one with as many sessions as allowed; a session that is not kept is let in', async () => {
  await using own = await startTestBroker({ config: { limits: { sessionsPerUser: 1 } } });
  const properties = [expiry];
  const clientId = freshId();
  await (await Client5.connect(own, { clientId, properties })).disconnect();
  await using second = await Client5.attempt(own, { properties });
  assert.equal(second.connack.code, 0x97);
  await (await Client5.connect(own)).disconnect();
  await using again = await Client5.connect(own, { clientId, cleanStart: false, properties });
  assert.equal(again.connack.sessionPresent, true);
});

test('[MQTT-3.2.0-2] whatever follows, there is one CONNACK', async () => {
  await using client = await Client5.connect(broker);
  await client.subscribe(['iotlab/alice/#', 0]);
  await client.publish('iotlab/alice/x', '', { qos: 2 });
  client.send(mqtt5.disconnect());
  await client.raw.closed();
  assert.ok(client.raw.waiting.every(({ type }) => type !== mqtt.CONNACK));
});
