import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { within } from './support/deadline.js';
import { freshId, passwordOf } from './support/raw-client.js';
import { useTestBroker } from './support/test-broker.js';

// The same with mqtt.js, as programs of users do; over WebSocket it is what they do in a browser, too.
const broker = useTestBroker({ seams: { web: true } });

type Way = 'mqtts' | 'wss';
const ways: readonly (readonly [Way, 3 | 4])[] = [
  ['mqtts', 3],
  ['mqtts', 4],
  ['wss', 3],
  ['wss', 4],
];

const urlOf = (way: Way) =>
  way === 'wss' ? `wss://localhost:${broker.webPort}/mqtt` : `mqtts://localhost:${broker.port}`;

function open(way: Way, version: 3 | 4, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(urlOf(way), {
    ca: broker.ca,
    username: 'alice',
    password: passwordOf('alice'),
    protocolVersion: version,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    clientId: freshId('js'),
    reconnectPeriod: 0,
    ...options,
  });
}

const nextMessage = (client: MqttClient) =>
  within(
    5_000,
    'a message',
    new Promise<string[]>((resolve) => {
      client.once('message', (topic, payload) => resolve([topic, String(payload)]));
    }),
  );

for (const [way, version] of ways) {
  for (const qos of [0, 1, 2] as const) {
    test(`mqtt.js, ${way}, protocol ${version}: publish and subscribe at QoS ${qos}`, async () => {
      const client = await open(way, version);
      const topic = `iotlab/alice/js/${way}/${version}/${qos}`;
      const [granted] = await client.subscribeAsync(topic, { qos });
      assert.equal(granted?.qos, qos);
      const message = nextMessage(client);
      await client.publishAsync(topic, 'hello', { qos });
      assert.deepEqual(await message, [topic, 'hello']);
      await client.endAsync();
    });
  }

  test(`mqtt.js, ${way}, protocol ${version}: a burst of 5 000 messages of QoS 2, all at once`, async () => {
    const topic = `iotlab/alice/js/${way}/${version}/burst`;
    const subscriber = await open(way, version);
    await subscriber.subscribeAsync(topic, { qos: 2 });
    const seen: number[] = [];
    const complete = new Promise<void>((resolve) => {
      subscriber.on('message', (_, payload) => {
        seen.push(Number(payload));
        if (seen.length === 5_000) resolve();
      });
    });
    const publisher = await open(way, version);
    await Promise.all(
      Array.from({ length: 5_000 }, (_, index) => publisher.publishAsync(topic, `${index}`, { qos: 2 })),
    );
    await within(20_000, 'the burst', complete);
    assert.deepEqual(
      seen,
      Array.from({ length: 5_000 }, (_, index) => index),
    );
    await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
  });

  test(`mqtt.js, ${way}, protocol ${version}: bad credentials are refused with return code 5`, async () => {
    for (const options of [{ password: 'wrong' }, { username: 'nobody' }]) {
      await assert.rejects(open(way, version, options), { code: 5 });
    }
  });

  test(`mqtt.js, ${way}, protocol ${version}: a stored session gets what it missed`, async () => {
    const topic = `iotlab/alice/js/${way}/${version}/stored`;
    const options = { clean: false, clientId: freshId('js') };
    const first = await open(way, version, options);
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    const publisher = await open(way, version);
    await publisher.publishAsync(topic, 'missed', { qos: 1 });
    await publisher.endAsync();
    const second = await connectLate(way, version, options);
    assert.deepEqual(await second.message, [topic, 'missed']);
    await second.client.endAsync();
  });
}

/** The messages of a stored session come right behind the CONNACK, before anybody could listen for them. */
async function connectLate(way: Way, version: 3 | 4, options: IClientOptions) {
  const { connect } = await import('mqtt');
  const client = connect(urlOf(way), {
    ca: broker.ca,
    username: 'alice',
    password: passwordOf('alice'),
    protocolVersion: version,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    reconnectPeriod: 0,
    ...options,
  });
  return { client, message: nextMessage(client) };
}
