import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IClientOptions, MqttClient } from 'mqtt';
import { within } from './support/deadline.js';
import { burst, openClient, urlOf, type Way, ways } from './support/mqttjs.js';
import { freshId, passwordOf } from './support/raw-client.js';
import { useTestBroker } from './support/test-broker.js';

// The same with mqtt.js, as programs of users do; over WebSocket it is what they do in a browser, too.
const broker = useTestBroker({ seams: { web: true } });

const open = (way: Way, version: 3 | 4, options: IClientOptions = {}) => openClient(broker, way, version, options);

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

  // More than may wait in a queue.
  burst(broker, way, version, 2_000);

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
  const client = connect(urlOf(broker, way), {
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
