import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client5, type Client5Options } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTimedBroker } from '../support/timed-broker.js';

// Chapters 3.1.2.4, 3.1.2.11.2, 4.1 and 4.4: what belongs to a client id, and for how long.
const { p } = mqtt5;
const sessionExpiryMs = 1_000_000;
const { broker, pass } = useTimedBroker({ config: { storage: { sessionExpiryMs } } });
let topics = 0;
const freshTopic = () => `iotlab/alice/session/${++topics}`;
/** Clients stay for as long as the test says. */
const patient = { keepaliveSeconds: 0 } as const;
const connect = (options: Client5Options) => Client5.connect(broker, { ...patient, ...options });
const kept = (seconds = 60, options: Client5Options = {}): Client5Options => ({
  clientId: freshId(),
  ...options,
  properties: [p.sessionExpiry(seconds), ...(options.properties ?? [])],
});

/** Connects without Clean Start and an expiry, and tells whether there was a session; there is none behind it. */
async function visit({ clientId }: Client5Options): Promise<boolean> {
  const client = await connect({ clientId: clientId!, cleanStart: false });
  await client.disconnect();
  return client.connack.sessionPresent;
}

async function queue(topic: string, payload: string, qos = 1): Promise<void> {
  await using publisher = await connect({});
  await publisher.publish(topic, payload, { qos });
}

test('[MQTT-3.1.2-4] [MQTT-3.1.4-4] Clean Start discards everything: subscriptions, queue, what was begun', async () => {
  const topic = freshTopic();
  const options = kept();
  const first = await connect(options);
  await first.subscribe([topic, 2]);
  first.send(mqtt5.publish(topic, 'begun', { qos: 2, id: 9 }));
  await first.raw.take(mqtt.PUBREC);
  await first.message();
  first.cut();
  await queue(topic, 'queued');
  const anew = await connect(options);
  assert.equal(anew.connack.sessionPresent, false);
  await queue(topic, 'live');
  await anew.expectNothing();
  anew.send(mqtt5.pubrel(9));
  assert.equal(mqtt5.readAcknowledgement(await anew.raw.take(mqtt.PUBCOMP)).code, 0x92);
  await anew.disconnect();
  assert.equal(await visit(options), true, 'and begins a session of its own');
});

test('[MQTT-3.1.2-5] [MQTT-4.4.0-1] [MQTT-4.5.0-1] without it the session goes on: what was begun comes first, and with its ids', async () => {
  const topic = freshTopic();
  const options = kept();
  const first = await connect(options);
  await first.subscribe([topic, 2]);
  await queue(topic, 'one');
  await queue(topic, 'two', 2);
  await queue(topic, 'three', 2);
  const begun = [await first.message(), await first.message(), await first.message()];
  first.send(mqtt5.pubrec(begun[1]!.id));
  await first.raw.take(mqtt.PUBREL);
  first.cut();
  await queue(topic, 'four');
  const again = await connect({ ...options, cleanStart: false });
  assert.equal(again.connack.sessionPresent, true);
  const seen: string[] = [];
  for (let count = 0; count < 4; count++) {
    const packet = await again.raw.next();
    if (packet.type === mqtt.PUBREL) seen.push(`PUBREL ${mqtt5.readAcknowledgement(packet).id}`);
    else {
      const { payload, id, dup } = mqtt5.readMessage(packet);
      seen.push(payload === 'four' ? `four ${dup}` : `${payload} ${id} ${dup}`);
    }
  }
  const [one, two, three] = begun.map(({ id }) => id);
  assert.deepEqual(seen, [`one ${one} true`, `PUBREL ${two}`, `three ${three} true`, 'four false']);
  await again.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.1.2-6] without Clean Start and without a session a new one begins', async () => {
  const client = await connect(kept(60, { cleanStart: false }));
  assert.equal(client.connack.sessionPresent, false);
  await client.disconnect(0, [p.sessionExpiry(0)]);
});

test('[MQTT-3.1.3-2] a session is found by the client id of its user, and by nothing else', async () => {
  const options = kept();
  await (await connect(options)).disconnect();
  for (const clientId of [`${options.clientId}x`, `${options.clientId}`.toUpperCase(), ` ${options.clientId}`]) {
    assert.equal(await visit({ clientId }), false);
  }
  const bob = await connect({ ...options, as: 'bob', cleanStart: false });
  assert.equal(bob.connack.sessionPresent, false);
  await bob.disconnect(0, [p.sessionExpiry(0)]);
  assert.equal(await visit(options), true);
});

test('[MQTT-3.1.2-23] [MQTT-4.1.0-2] a session is kept for as long as asked, to the second, and not longer', async () => {
  for (const seconds of [1, 10, 90]) {
    const options = kept(seconds);
    await (await connect(options)).disconnect();
    await pass(seconds * 1_000 - 100);
    assert.equal(await visit(options), true, `${seconds} s, before`);
    await (await connect(options)).disconnect();
    await pass(seconds * 1_000);
    assert.equal(await visit(options), false, `${seconds} s, behind`);
  }
});

test('[MQTT-3.1.2-23] without an expiry, or with 0, it ends with the connection, however that ends', async () => {
  for (const properties of [[], [p.sessionExpiry(0)]]) {
    for (const end of ['disconnect', 'cut'] as const) {
      const options = { clientId: freshId(), properties };
      const client = await connect(options);
      if (end === 'disconnect') await client.disconnect();
      else client.cut();
      assert.equal(await visit(options), false);
    }
  }
});

test('[MQTT-4.1.0-1] a session does not end while its client is there, however short its expiry', async () => {
  const topic = freshTopic();
  const options = kept(1);
  const client = await connect(options);
  await client.subscribe([topic, 1]);
  await pass(20_000);
  await queue(topic, 'still');
  assert.equal((await client.receive()).payload, 'still');
  await client.disconnect();
  assert.equal(await visit(options), true);
});

test('the time counts from the end of the connection, and from the end of the last one', async () => {
  const options = kept(10);
  const first = await connect(options);
  await pass(8_000);
  await first.disconnect();
  await pass(8_000);
  const second = await connect({ ...options, cleanStart: false });
  assert.equal(second.connack.sessionPresent, true);
  await second.disconnect();
  await pass(8_000);
  assert.equal(await visit(options), true);
});

test('each CONNECT says anew how long the session is kept', async () => {
  const options = kept(60);
  await (await connect(options)).disconnect();
  await (await connect({ ...options, cleanStart: false, properties: [p.sessionExpiry(2)] })).disconnect();
  await pass(3_000);
  assert.equal(await visit(options), false);
});

test('without an expiry a kept session is resumed, and ends with the connection', async () => {
  const topic = freshTopic();
  const options = kept();
  const first = await connect(options);
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await queue(topic, 'queued');
  const again = await connect({ clientId: options.clientId!, cleanStart: false });
  assert.equal(again.connack.sessionPresent, true);
  assert.equal((await again.receive()).payload, 'queued');
  await again.disconnect();
  assert.equal(await visit(options), false);
});

test('an expiry above the limit is capped, told, and kept to', async () => {
  const options = kept(0xffffffff);
  const client = await connect(options);
  assert.equal(client.connack.properties.sessionExpiry, sessionExpiryMs / 1_000);
  await client.disconnect();
  await pass(sessionExpiryMs - 2_000);
  const again = await connect({ ...options, cleanStart: false });
  assert.equal(again.connack.sessionPresent, true);
  await again.disconnect(0, [p.sessionExpiry(0xffffffff)]);
  await pass(sessionExpiryMs + 1_000);
  assert.equal(await visit(options), false);
});

test('DISCONNECT may make it shorter, longer, or end it at once', async () => {
  for (const [asked, then, stillThereMs, goneMs] of [
    [60, 2, 1_000, 2_000],
    [2, 60, 50_000, 60_000],
    [60, 0, null, 0],
    [0xffffffff, 5, 4_000, 5_000],
  ] as const) {
    if (stillThereMs !== null) {
      const options = kept(asked);
      await (await connect(options)).disconnect(0, [p.sessionExpiry(then)]);
      await pass(stillThereMs);
      assert.equal(await visit(options), true, `${asked}, then ${then}`);
    }
    const options = kept(asked);
    await (await connect(options)).disconnect(0, [p.sessionExpiry(then)]);
    await pass(goneMs);
    assert.equal(await visit(options), false, `${asked}, then ${then}`);
  }
});

test('DISCONNECT may not begin to have a session kept: 0x82; 0 again is none of that', async () => {
  for (const properties of [[], [p.sessionExpiry(0)]]) {
    await using client = await connect({ properties });
    client.send(mqtt5.disconnect(0, [p.sessionExpiry(10)]));
    await client.expectDisconnect(0x82);
    await using other = await connect({ properties });
    other.send(mqtt5.disconnect(0, [p.sessionExpiry(0)]));
    await other.raw.expectClose();
  }
});

test('[MQTT-3.1.4-3] [MQTT-3.1.2-5] a connection that takes over goes on with the session of the one before', async () => {
  const topic = freshTopic();
  const options = kept();
  await using first = await connect(options);
  await first.subscribe([topic, 1]);
  await queue(topic, 'unanswered');
  const { id } = await first.message();
  const second = await connect({ ...options, cleanStart: false });
  await first.expectDisconnect(0x8e);
  assert.equal(second.connack.sessionPresent, true);
  const again = await second.receive();
  assert.deepEqual([again.id, again.dup], [id, true]);
  await second.disconnect(0, [p.sessionExpiry(0)]);
});

test('one that takes over a session which ends with its connection finds none, and nothing of it', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  await using first = await connect({ clientId });
  await first.subscribe([topic, 1]);
  await queue(topic, 'unanswered');
  await first.message();
  const second = await connect({ clientId, cleanStart: false, properties: [p.sessionExpiry(60)] });
  await first.expectDisconnect(0x8e);
  assert.equal(second.connack.sessionPresent, false);
  await queue(topic, 'live');
  await second.expectNothing();
  await second.disconnect(0, [p.sessionExpiry(0)]);
});

for (const level of [3, 4] as const) {
  test(`a session goes on when its client changes from level ${level} to 5 and back: subscriptions, queue, packet ids`, async () => {
    const topic = freshTopic();
    const options = kept();
    const { clientId } = options;
    const older = { ...patient, clientId: clientId!, level, clean: false };
    const first = await RawClient.connect(broker, older);
    await first.subscribe([topic, 2]);
    await queue(topic, 'one', 2);
    const { id } = await first.message();
    first.cut();
    await using publisher = await connect({});
    await publisher.publish(topic, 'two', { qos: 1, properties: [p.contentType('t')] });

    const second = await connect({ ...options, cleanStart: false });
    assert.equal(second.connack.sessionPresent, true);
    const one = await second.message();
    assert.deepEqual([one.payload, one.id, one.dup, one.properties], ['one', id, true, {}]);
    const two = await second.message();
    assert.deepEqual([two.payload, two.properties], ['two', { contentType: 't' }]);
    await second.subscribeWith([[`${topic}/5`, 1 | 0x04]], [p.subscriptionIdentifier(9)]);
    second.cut();
    await publisher.publish(`${topic}/5`, 'three', { qos: 1, properties: [p.userProperty('a', 'b')] });

    const third = await RawClient.attempt(broker, older);
    assert.equal(third.code, 0);
    if (level === 4) assert.equal(third.sessionPresent, true);
    const seen = [await third.client.receive(), await third.client.receive(), await third.client.receive()];
    assert.deepEqual(
      seen.map(({ payload, dup }) => `${payload} ${dup}`),
      ['one true', 'two true', 'three false'],
    );
    // The options of a subscription are the session's: No Local holds for the older client too.
    await third.client.publish(`${topic}/5`, 'own', { qos: 1 });
    await third.client.expectNothing();
    await third.client.disconnect();
    assert.equal(await visit(options), true);
  });
}

test('how long a session is kept follows the version of its last client', async () => {
  const options = kept(5);
  const { clientId } = options;
  await (await RawClient.connect(broker, { ...patient, clientId: clientId!, clean: false })).disconnect();
  await (await connect({ ...options, cleanStart: false })).disconnect();
  await pass(5_000);
  assert.equal(await visit(options), false);
  await (await connect(options)).disconnect();
  await (await RawClient.connect(broker, { ...patient, clientId: clientId!, clean: false })).disconnect();
  await pass(50_000);
  assert.equal(await visit(options), true);
});

test('[MQTT-3.1.2-22] silence of one and a half times the keepalive is 0x8D', async () => {
  await using client = await connect({ keepaliveSeconds: 10 });
  await pass(14_000);
  await client.expectNothing();
  await pass(14_000);
  await client.expectNothing();
  await pass(17_000);
  assert.match((await client.expectDisconnect(0x8d)).reasonString ?? '', /keepalive/);
});

test('[MQTT-3.1.2-22] [MQTT-3.2.2-22] without a keepalive nobody is closed for silence', async () => {
  await using client = await connect({});
  assert.equal(client.connack.properties.serverKeepAlive, undefined);
  await pass(500_000);
  await client.expectNothing();
});
