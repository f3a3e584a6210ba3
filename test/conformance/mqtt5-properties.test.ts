import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { expectGoodbye, expectRefusal } from '../support/refusals5.js';
import { useTestBroker } from '../support/test-broker.js';

// Chapter 2.2.2: which properties may stand where, how often, and with which values.
const { p } = mqtt5;
const broker = useTestBroker();
const topic = 'iotlab/alice/properties';

/** Every property of the standard once, with a value that is valid where the property is. */
const every: Readonly<Record<string, mqtt5.Property>> = {
  'Payload Format Indicator': p.payloadFormat(1),
  'Message Expiry Interval': p.messageExpiry(60),
  'Content Type': p.contentType('text'),
  'Response Topic': p.responseTopic('iotlab/alice/answers'),
  'Correlation Data': p.correlationData('42'),
  'Subscription Identifier': p.subscriptionIdentifier(7),
  'Session Expiry Interval': p.sessionExpiry(0),
  'Assigned Client Identifier': p.assignedClientIdentifier('x'),
  'Server Keep Alive': p.serverKeepAlive(10),
  'Authentication Method': p.authenticationMethod('PLAIN'),
  'Authentication Data': p.authenticationData('x'),
  'Request Problem Information': p.requestProblemInformation(1),
  'Will Delay Interval': p.willDelay(1),
  'Request Response Information': p.requestResponseInformation(1),
  'Response Information': p.responseInformation('x'),
  'Server Reference': p.serverReference('x'),
  'Reason String': p.reasonString('x'),
  'Receive Maximum': p.receiveMaximum(10),
  'Topic Alias Maximum': p.topicAliasMaximum(10),
  'Topic Alias': p.topicAlias(1),
  'Maximum QoS': p.maximumQos(1),
  'Retain Available': [0x25, Buffer.from([1])],
  'User Property': p.userProperty('name', 'value'),
  'Maximum Packet Size': p.maximumPacketSize(100_000),
  'Wildcard Subscription Available': [0x28, Buffer.from([1])],
  'Subscription Identifier Available': [0x29, Buffer.from([1])],
  'Shared Subscription Available': [0x2a, Buffer.from([1])],
};
type Name = keyof typeof every;

interface Place {
  readonly packet: (properties: readonly mqtt5.Property[]) => Buffer;
  readonly allowed: readonly Name[];
}

const ofMessages = [
  'Payload Format Indicator',
  'Message Expiry Interval',
  'Content Type',
  'Response Topic',
  'Correlation Data',
  'User Property',
];
const reasons = ['Reason String', 'User Property'];

/** What a connected client may send. */
const places: Readonly<Record<string, Place>> = {
  PUBLISH: {
    packet: (properties) => mqtt5.publish(topic, 'text', { properties }),
    allowed: [...ofMessages, 'Topic Alias'],
  },
  PUBACK: { packet: (properties) => mqtt5.puback(1, 0, properties), allowed: reasons },
  PUBREC: { packet: (properties) => mqtt5.pubrec(1, 0x80, properties), allowed: reasons },
  PUBREL: { packet: (properties) => mqtt5.pubrel(1, 0, properties), allowed: reasons },
  PUBCOMP: { packet: (properties) => mqtt5.pubcomp(1, 0, properties), allowed: reasons },
  SUBSCRIBE: {
    packet: (properties) => mqtt5.subscribe(1, [[topic, 0]], properties),
    allowed: ['Subscription Identifier', 'User Property'],
  },
  UNSUBSCRIBE: { packet: (properties) => mqtt5.unsubscribe(1, [topic], properties), allowed: ['User Property'] },
  DISCONNECT: {
    packet: (properties) => mqtt5.disconnect(0, properties),
    allowed: [...reasons, 'Session Expiry Interval'],
  },
};

const connectPlaces: Readonly<Record<string, Place>> = {
  CONNECT: {
    packet: (properties) => connectPacket5({ properties }),
    allowed: [
      ...['Session Expiry Interval', 'Receive Maximum', 'Maximum Packet Size', 'Topic Alias Maximum', 'User Property'],
      ...['Request Response Information', 'Request Problem Information'],
    ],
  },
  "a Will's": {
    packet: (properties) => connectPacket5({ will: { topic, payload: 'text', properties } }),
    allowed: [...ofMessages, 'Will Delay Interval'],
  },
};
/** Of enhanced authentication: they may stand in CONNECT, and are answered in their own way. */
const ofAuthentication = ['Authentication Method', 'Authentication Data'];

for (const [place, { packet, allowed }] of Object.entries(places)) {
  for (const [name, property] of Object.entries(every)) {
    if (allowed.includes(name)) continue;
    test(`[MQTT-4.13.1-1] ${name} does not belong into ${place}`, () =>
      expectGoodbye(broker, 0x82, [packet([property])]));
  }
  test(`what belongs into ${place} is taken, all at once, and User Properties more than once`, async () => {
    await using client = await Client5.connect(broker);
    client.send(packet([...allowed.map((name) => every[name]!), p.userProperty('name', 'value')]), mqtt.pingreq());
    if (place === 'DISCONNECT') await client.raw.expectClose();
    else await client.raw.take(mqtt.PINGRESP);
  });
  for (const name of allowed) {
    if (name === 'User Property') continue;
    test(`[MQTT-4.13.1-1] ${name} is a protocol error in ${place} the second time`, () =>
      expectGoodbye(broker, 0x82, [packet([every[name]!, every[name]!])]));
  }
  test(`[MQTT-2.2.2-2] in ${place} a property that does not exist is malformed`, async () => {
    for (const id of [0x00, 0x04, 0x0a, 0x0c, 0x2b, 0x7f]) {
      await expectGoodbye(broker, 0x81, [packet([[id, Buffer.from([0])]])]);
    }
  });
  test(`[MQTT-4.13.1-1] in ${place} properties that end in the middle of one are malformed`, async () => {
    for (const name of allowed) {
      const [id, value] = every[name]!;
      for (const cut of new Set([0, value.length - 1])) {
        await expectGoodbye(broker, 0x81, [packet([[id, value.subarray(0, cut)]])]);
      }
    }
  });
}

for (const [place, { packet, allowed }] of Object.entries(connectPlaces)) {
  for (const [name, property] of Object.entries(every)) {
    if (allowed.includes(name) || (place === 'CONNECT' && ofAuthentication.includes(name))) continue;
    test(`[MQTT-3.1.4-1] ${name} does not belong into ${place} properties`, () =>
      expectRefusal(broker, 0x82, packet([property])));
  }
  test(`what belongs into ${place} properties is taken, all at once, and User Properties more than once`, async () => {
    await using client = await RawClient.open(broker);
    client.send(packet([...allowed.map((name) => every[name]!), p.userProperty('name', 'value')]));
    assert.equal((await client.next()).body[1], 0);
  });
  for (const name of allowed) {
    if (name === 'User Property') continue;
    test(`[MQTT-3.1.4-1] ${name} is a protocol error in ${place} properties the second time`, () =>
      expectRefusal(broker, 0x82, packet([every[name]!, every[name]!])));
  }
  test(`[MQTT-2.2.2-2] in ${place} properties one that does not exist is malformed`, async () => {
    for (const id of [0x00, 0x04, 0x0a, 0x0c, 0x2b, 0x7f])
      await expectRefusal(broker, 0x81, packet([[id, Buffer.from([0])]]));
  });
  test(`[MQTT-3.1.4-1] ${place} properties that end in the middle of one are malformed`, async () => {
    for (const name of allowed) {
      const [id, value] = every[name]!;
      for (const cut of new Set([0, value.length - 1])) {
        await expectRefusal(broker, 0x81, packet([[id, value.subarray(0, cut)]]));
      }
    }
  });
}

test('[MQTT-4.13.1-1] properties that are longer than their packet are malformed', async () => {
  const head = [mqtt.field(topic)];
  await expectGoodbye(broker, 0x81, [mqtt.packet(0x30, ...head, Buffer.from([5, 1, 1]))]);
  await expectGoodbye(broker, 0x81, [mqtt.packet(0x30, ...head)]);
  await expectGoodbye(broker, 0x81, [mqtt.packet(0x82, Buffer.from([0, 1]))]);
  await expectGoodbye(broker, 0x81, [mqtt.packet(0x40, Buffer.from([0, 1, 0, 3, 0x1f]))]);
  await expectGoodbye(broker, 0x81, [mqtt.packet(0xe0, Buffer.from([0, 5, 0x11, 0, 0]))]);
});

test('[MQTT-4.13.1-1] bytes behind the properties of an acknowledgement or DISCONNECT are malformed', async () => {
  for (const head of [0x40, 0x50, 0x62, 0x70]) {
    await expectGoodbye(broker, 0x81, [mqtt.packet(head, Buffer.from([0, 1, 0, 0, 0]))]);
  }
  await expectGoodbye(broker, 0x81, [mqtt.packet(0xe0, Buffer.from([0, 0, 0]))]);
});

test('[MQTT-4.13.1-1] values that are not allowed are protocol errors', async () => {
  const publish = (property: mqtt5.Property) => mqtt5.publish(topic, '', { properties: [property] });
  await expectGoodbye(broker, 0x82, [publish(p.payloadFormat(2))]);
  await expectGoodbye(broker, 0x82, [mqtt5.subscribe(1, [[topic, 0]], [p.subscriptionIdentifier(0)])]);
  for (const property of [
    p.receiveMaximum(0),
    p.maximumPacketSize(0),
    p.requestProblemInformation(2),
    p.requestResponseInformation(2),
  ]) {
    await expectRefusal(broker, 0x82, connectPacket5({ properties: [property] }));
  }
  await expectRefusal(broker, 0x82, connectPacket5({ will: { topic, properties: [p.payloadFormat(2)] } }));
});

test('[MQTT-2.2.2-1] no properties are a length of 0, in whatever the broker sends', async () => {
  await using client = await Client5.connect(broker);
  client.send(mqtt5.subscribe(1, [[topic, 0]]));
  assert.deepEqual((await client.raw.next()).body, Buffer.from([0, 1, 0, 0]));
  client.send(mqtt5.publish(topic));
  assert.deepEqual((await client.raw.next()).body, Buffer.concat([mqtt.field(topic), Buffer.from([0])]));
  client.send(mqtt5.unsubscribe(1, [topic]));
  assert.deepEqual((await client.raw.next()).body, Buffer.from([0, 1, 0, 0]));
});
