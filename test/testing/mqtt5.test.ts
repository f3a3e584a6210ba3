import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAsync } from 'mqtt';
import { startBroker } from '../../src/testing/index.js';
import { Client5 } from '../support/client5.js';
import * as mqtt5 from '../support/packets5.js';

const deadline = { timeout: 20_000 };
const { p } = mqtt5;
const start = () => startBroker({ users: { alice: 'alice-secret' } });

test('connectOptions gives mqtt.js the version that is asked for', deadline, async () => {
  await using broker = await start();
  for (const [protocolVersion, protocol] of [
    [3, '3.1'],
    [4, '3.1.1'],
    [5, '5'],
  ] as const) {
    const client = await connectAsync(broker.connectOptions('alice', { protocolVersion }));
    assert.equal((await broker.waitForClient({ login: 'alice' })).protocol, protocol);
    await client.endAsync();
    await broker.waitForDisconnect({ login: 'alice' });
  }
  assert.throws(() => broker.connectOptions('alice', { protocolVersion: 6 as 5 }), /5 is MQTT 5/);
});

test('waitForMessage shows the properties, in their order', deadline, async () => {
  await using broker = await start();
  await using client = await Client5.connect(broker);
  const properties = [
    p.userProperty('b', '1'),
    p.contentType('text/plain'),
    p.userProperty('a', '2'),
    p.messageExpiry(60),
    p.correlationData('n1'),
    p.responseTopic('iotlab/alice/answer'),
    p.payloadFormat(1),
  ];
  await client.publish('iotlab/alice/x', 'hello', { qos: 1, properties });
  assert.deepEqual((await broker.waitForMessage('iotlab/alice/x')).properties, {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 60,
    contentType: 'text/plain',
    responseTopic: 'iotlab/alice/answer',
    correlationData: Buffer.from('n1'),
    userProperties: [
      ['b', '1'],
      ['a', '2'],
    ],
  });
  await client.publish('iotlab/alice/plain', 'hello', { qos: 1 });
  assert.equal((await broker.waitForMessage('iotlab/alice/plain')).properties, null);
});

test('sendDisconnect ends the connection with any reason', deadline, async () => {
  await using broker = await start();
  for (const code of [0x8b, 0x9c, 0x00]) {
    await using client = await Client5.connect(broker);
    const fault = broker.faults.sendDisconnect(code, { clientId: client.clientId }).once();
    client.send(mqtt5.publish('iotlab/alice/lost', ''));
    await client.expectDisconnect(code);
    assert.equal(fault.hits, 1);
  }
  assert.equal(broker.messages('iotlab/alice/lost').length, 0);
  assert.throws(() => broker.faults.sendDisconnect(256), /from 0 to 255/);
});
