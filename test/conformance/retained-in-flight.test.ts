// Retained messages for a new subscription take their places in the session's order as they are asked for, not as they
// are sent: what is published meanwhile is behind them, also when all of it is sent again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { startTestBroker } from '../support/test-broker.js';

const reader = { clientId: 'reader', clean: false };
const window = 3;

for (const qos of [1, 2]) {
  test(`[MQTT-4.4.0-1] [MQTT-3.3.1-1] a retained message of QoS ${qos} in flight comes again after a restart: in its place, with DUP`, async () => {
    await using broker = await startTestBroker({ store: 'folder', config: { limits: { inflightMessages: window } } });
    await using publisher = await RawClient.connect(broker);
    await publisher.publish('iotlab/alice/kept', 'kept', { qos, retain: true });
    const client = await RawClient.connect(broker, reader);
    await client.subscribe(['iotlab/alice/live', qos]);
    const publish = async (from: number, to: number) => {
      for (let i = from; i < to; i++) await publisher.publish('iotlab/alice/live', `${i}`, { qos });
    };
    // The window is full: the retained message waits, and so does what comes behind it.
    await publish(0, window);
    await client.subscribe(['iotlab/alice/kept', qos]);
    await publish(window, 3 * window);
    for (const payload of ['0', '1']) assert.equal((await client.receive()).payload, payload);
    const inFlight = [
      await client.take(mqtt.PUBLISH),
      await client.take(mqtt.PUBLISH),
      await client.take(mqtt.PUBLISH),
    ];
    assert.deepEqual(
      inFlight.map((packet) => mqtt.readMessage(packet).payload),
      ['2', 'kept', '3'],
    );

    await broker.restart();
    await using again = await RawClient.connect(broker, reader);
    const order: [string, boolean][] = [];
    for (let count = 0; count < 2 * window + 1; count++) {
      const { payload, dup } = await again.receive();
      order.push([payload, dup]);
    }
    assert.deepEqual(order.slice(0, window), [
      ['2', true],
      ['kept', true],
      ['3', true],
    ]);
    assert.deepEqual(
      order.slice(window).map(([payload]) => payload),
      ['4', '5', '6', '7'],
    );
  });
}
