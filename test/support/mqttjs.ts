import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { within } from './deadline.js';
import { freshId, passwordOf } from './raw-client.js';
import type { TestBroker } from './test-broker.js';

export type Way = 'mqtts' | 'wss';
export const ways: readonly (readonly [Way, 3 | 4])[] = [
  ['mqtts', 3],
  ['mqtts', 4],
  ['wss', 3],
  ['wss', 4],
];

export const urlOf = (broker: TestBroker, way: Way) =>
  way === 'wss' ? `wss://localhost:${broker.webPort}/mqtt` : `mqtts://localhost:${broker.port}`;

/** A client, as a program of a user makes one. */
export function openClient(
  broker: TestBroker,
  way: Way,
  version: 3 | 4,
  options: IClientOptions = {},
): Promise<MqttClient> {
  return connectAsync(urlOf(broker, way), {
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

/** A test: none of so many is lost, comes twice or out of order. */
export function burst(broker: TestBroker, way: Way, version: 3 | 4, count: number): void {
  test(`mqtt.js, ${way}, protocol ${version}: a burst of ${count} messages of QoS 2, all at once`, async () => {
    const topic = `iotlab/alice/js/${way}/${version}/burst`;
    const subscriber = await openClient(broker, way, version);
    await subscriber.subscribeAsync(topic, { qos: 2 });
    const seen: number[] = [];
    const complete = new Promise<void>((resolve) => {
      subscriber.on('message', (_, payload) => {
        seen.push(Number(payload));
        if (seen.length === count) resolve();
      });
    });
    const publisher = await openClient(broker, way, version);
    await Promise.all(
      Array.from({ length: count }, (_, index) => publisher.publishAsync(topic, `${index}`, { qos: 2 })),
    );
    await within(20_000, 'the burst', complete);
    assert.deepEqual(
      seen,
      Array.from({ length: count }, (_, index) => index),
    );
    await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
  });
}
