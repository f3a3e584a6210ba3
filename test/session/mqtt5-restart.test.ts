// What MQTT 5 has a session, a message and a Will wait for, over a stop in order and a power cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, type Client5Options } from '../support/client5.js';
import { type DiskBroker, everyWay, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';

const { p } = mqtt5;
const topic = 'iotlab/alice/x';
const second = 1_000;
const kept = (seconds: number, ...more: mqtt5.Property[]): Client5Options => ({
  ...patient,
  clientId: 'reader',
  cleanStart: false,
  properties: [p.sessionExpiry(seconds), ...more],
});

/** Nobody waits for an answer to DISCONNECT: what it changed is on the disk a moment later. */
const stored = (broker: DiskBroker) => new Promise<void>((resolve) => broker.parts().store.committed(() => resolve()));

async function publish(broker: DiskBroker, payload: string, options: mqtt5.Publish5Options = {}): Promise<void> {
  await using publisher = await Client5.connect(broker, patient);
  await publisher.publish(topic, payload, { qos: 1, ...options });
}

/** A session with a subscription, whose client has said goodbye. */
async function leave(broker: DiskBroker, options: Client5Options, ...bye: Parameters<Client5['disconnect']>) {
  const client = await Client5.connect(broker, options);
  await client.subscribe([topic, 2]);
  await client.disconnect(...bye);
  await stored(broker);
}

async function isThere(broker: DiskBroker, options: Client5Options): Promise<boolean> {
  const client = await Client5.connect(broker, options);
  await client.disconnect();
  return client.connack.sessionPresent;
}

for (const [way, end] of everyWay) {
  test(`${way}: a session is kept for as long as its client asked, the time without a broker included`, async () => {
    for (const [before, down, behind, expected] of [
      [20, 0, 30, true],
      [20, 0, 50, false],
      [20, 30, 0, true],
      [20, 41, 0, false],
    ] as const) {
      await using broker = await startDiskBroker();
      await leave(broker, kept(60));
      await broker.pass(before * second);
      await end(broker, down * second);
      await broker.pass(behind * second);
      assert.equal(await isThere(broker, kept(60)), expected, `${before} + ${down} + ${behind} s`);
    }
  });

  test(`${way}: what DISCONNECT said of the expiry holds`, async () => {
    await using broker = await startDiskBroker();
    await leave(broker, kept(60), 0, [p.sessionExpiry(300)]);
    await end(broker);
    await broker.pass(200 * second);
    assert.equal(await isThere(broker, kept(60)), true);
    await leave(broker, kept(60), 0, [p.sessionExpiry(0)]);
    await end(broker);
    assert.equal(await isThere(broker, kept(60)), false);
  });

  test(`${way}: for a client that was connected the time begins then`, async () => {
    await using broker = await startDiskBroker();
    for (const [waits, expected] of [
      [50, true],
      [61, false],
    ] as const) {
      const client = await Client5.connect(broker, kept(60));
      await broker.pass(500 * second);
      await end(broker);
      await client.raw.closed();
      await broker.pass(waits * second);
      assert.equal(await isThere(broker, kept(60)), expected);
    }
  });

  test(`${way}: a session that was resumed to end with its connection has ended`, async () => {
    await using broker = await startDiskBroker();
    await leave(broker, kept(60));
    const client = await Client5.connect(broker, kept(0));
    assert.equal(client.connack.sessionPresent, true);
    await end(broker);
    await client.raw.closed();
    assert.equal(await isThere(broker, kept(60)), false);
  });

  test(`${way}: subscriptions keep their options and identifiers`, async () => {
    await using broker = await startDiskBroker();
    const client = await Client5.connect(broker, kept(600));
    await client.subscribeWith([['iotlab/alice/#', 2 | 0x08]], [p.subscriptionIdentifier(300)]);
    await client.subscribeWith([['iotlab/alice/+', 1]], [p.subscriptionIdentifier(2)]);
    await client.subscribeWith([['iotlab/alice/own', 0 | 0x04]], [p.subscriptionIdentifier(7)]);
    await client.subscribeWith([[`$share/g/${topic}/shared`, 1 | 0x08]], [p.subscriptionIdentifier(9)]);
    await client.disconnect();
    await end(broker);
    await using again = await Client5.connect(broker, kept(600));
    await publish(broker, 'live', { retain: true });
    const live = await again.receive();
    assert.deepEqual([live.retain, live.properties.subscriptionIdentifiers?.sort()], [true, [2, 300]]);
    await again.publish('iotlab/alice/own', 'own', { qos: 2 });
    const own = await again.receive();
    assert.deepEqual(
      [own.qos, own.properties.subscriptionIdentifiers?.sort()],
      [2, [2, 300]],
      'No Local does not count',
    );
    await again.unsubscribe('iotlab/alice/#', 'iotlab/alice/+');
    await again.publish('iotlab/alice/own', 'own', { qos: 2 });
    await again.publish(`${topic}/shared`, 'shared', { qos: 1, retain: true });
    const shared = await again.receive();
    assert.deepEqual([shared.payload, shared.retain, shared.properties.subscriptionIdentifiers], ['shared', true, [9]]);
    await again.expectNothing();
  });

  test(`${way}: a message has as many identifiers as filters match, and nobody else waits for that`, async () => {
    await using broker = await startDiskBroker();
    const reader = await Client5.connect(broker, kept(600));
    const levels = 'iotlab/alice/a/b/c/d/e/f/g/h/i'.split('/');
    const identifiers = Array.from({ length: 300 }, (_, index) => index + 1);
    for (const identifier of identifiers) {
      const filter = levels.map((level, at) => (at > 1 && (identifier >> (at - 2)) & 1 ? '+' : level)).join('/');
      await reader.subscribeWith([[filter, 1]], [p.subscriptionIdentifier(identifier)]);
    }
    const writer = await Client5.connect(broker, { keepaliveSeconds: 0 });
    for (const stays of [true, false]) {
      if (!stays) await reader.disconnect();
      assert.equal(await writer.publish(levels.join('/'), `${stays}`, { qos: 1 }), 0);
      assert.equal(broker.parts().store.fault, null);
    }
    await end(broker);
    await using again = await Client5.connect(broker, kept(600));
    const { properties, payload } = await again.receive();
    assert.ok(payload !== '');
    assert.deepEqual(
      properties.subscriptionIdentifiers?.sort((a, b) => a - b),
      identifiers,
    );
  });

  test(`${way}: queued and retained messages keep all their properties, and what is left of their time`, async () => {
    await using broker = await startDiskBroker();
    const reader = await Client5.connect(broker, kept(600));
    await reader.subscribeWith([[topic, 2 | 0x10]], [p.subscriptionIdentifier(5)]);
    await reader.disconnect();
    const properties = [
      p.userProperty('z', '1'),
      p.contentType('text/plain'),
      p.userProperty('a', '2'),
      p.messageExpiry(100),
      p.responseTopic('iotlab/alice/answers'),
      p.payloadFormat(1),
      p.correlationData(Buffer.from([0, 255])),
      p.userProperty('z', '1'),
    ];
    await publish(broker, 'one', { retain: true, properties });
    await publish(broker, 'two', { qos: 2, properties });
    await broker.pass(20 * second);
    await end(broker, 20 * second);
    await broker.pass(20 * second);
    const expected = {
      payloadFormat: 1,
      messageExpiry: 40,
      contentType: 'text/plain',
      responseTopic: 'iotlab/alice/answers',
      correlationData: '\u0000\u00ff',
      user: [
        ['z', '1'],
        ['a', '2'],
        ['z', '1'],
      ],
    };
    await using again = await Client5.connect(broker, kept(600));
    for (const payload of ['one', 'two']) {
      const message = await again.receive();
      assert.equal(message.payload, payload);
      assert.deepEqual(message.properties, { ...expected, subscriptionIdentifiers: [5] });
    }
    await using late = await Client5.connect(broker, patient);
    await late.subscribe([topic, 1]);
    assert.deepEqual((await late.receive()).properties, expected);
  });

  test(`${way}: what expired while there was no broker is not delivered, and leaves the store`, async () => {
    await using broker = await startDiskBroker();
    await leave(broker, kept(6_000));
    for (const qos of [1, 2]) await publish(broker, 'expires', { qos, properties: [p.messageExpiry(50)] });
    await publish(broker, 'stays', { retain: true });
    await publish(broker, 'expires', { retain: true, properties: [p.messageExpiry(50)] });
    await end(broker, 60 * second);
    await broker.pass(100 * second);
    const again = await Client5.connect(broker, kept(6_000));
    assert.equal((await again.receive()).payload, 'stays');
    await again.expectNothing();
    await again.subscribe([topic, 1]);
    await again.expectNothing('nothing is retained');
    await again.disconnect(0, [p.sessionExpiry(0)]);
    await broker.restart();
    const rows = [...(await broker.disk.rows()).values()].map((value) => value.toString('latin1'));
    assert.ok(rows.every((value) => !value.includes('expires')));
  });

  test(`${way}: an exchange of QoS 2 that was begun goes on, long behind the message's time`, async () => {
    await using broker = await startDiskBroker();
    await leave(broker, kept(6_000));
    await publish(broker, 'begun', { qos: 2, properties: [p.messageExpiry(10)] });
    const first = await Client5.connect(broker, kept(6_000));
    const { id } = await first.message();
    first.send(mqtt5.pubrec(id));
    await first.raw.take(mqtt.PUBREL);
    first.cut();
    await first.raw.closed();
    await end(broker, 100 * second);
    const again = await Client5.connect(broker, kept(6_000));
    const released = await again.raw.next();
    assert.deepEqual([released.type, mqtt5.readAcknowledgement(released).id], [mqtt.PUBREL, id]);
    again.send(mqtt5.pubcomp(id));
    await again.expectNothing();
  });

  test(`${way}: a session goes on with a client of another version`, async () => {
    await using broker = await startDiskBroker();
    await leave(broker, kept(600));
    await publish(broker, 'one', { properties: [p.contentType('t')] });
    await end(broker);
    const older = { ...patient, clientId: 'reader', clean: false };
    const second = await RawClient.attempt(broker, older);
    assert.equal(second.sessionPresent, true);
    assert.equal((await second.client.message()).payload, 'one');
    second.client.cut();
    await second.client.closed();
    await end(broker);
    const third = await Client5.connect(broker, kept(600));
    const { payload, properties, dup } = await third.receive();
    assert.deepEqual([payload, properties, dup], ['one', { contentType: 't' }, true]);
    await third.disconnect();
  });
}
