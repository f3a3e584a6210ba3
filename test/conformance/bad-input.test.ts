// Own process: weighs the memory of all that is in it.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { eventually } from '../support/deadline.js';
import { garbageCollector, keptMegabytes } from '../support/garbage-collector.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { useTimedBroker } from '../support/timed-broker.js';

// Whatever is sent: that connection ends, or goes on in order; the others never notice, and memory returns.
const limitBytes = 256 * 1024;
const options = { config: { limits: { packetBytes: limitBytes, connectTimeoutMs: 1_000 } } };
const broker = useTestBroker({ ...options, relay: true });
const timed = useTimedBroker(options);

/** Somebody who uses the broker all the time. After every test they must be served as before. */
let witness: RawClient | undefined;
after(() => witness?.[Symbol.asyncDispose]());

async function theWitness(): Promise<RawClient> {
  if (witness) return witness;
  witness = await RawClient.connect(broker, { as: 'bob', keepaliveSeconds: 0 });
  await witness.subscribe(['iotlab/bob/#', 1]);
  return witness;
}

async function othersAreServed(): Promise<void> {
  const payload = freshId();
  const bob = await theWitness();
  await bob.publish('iotlab/bob/still', payload, { qos: 1 });
  assert.equal((await bob.receive()).payload, payload);
  await using fresh = await RawClient.connect(broker);
  await fresh.subscribe(['iotlab/alice/still', 0]);
  await fresh.publish('iotlab/alice/still', payload);
  assert.equal((await fresh.receive()).payload, payload);
}

async function thrownOut(bytes: readonly Uint8Array[], connected = true): Promise<void> {
  await using client = connected ? await RawClient.connect(broker) : await RawClient.open(broker);
  client.send(...bytes);
  await client.expectClose();
}

const truncated: readonly (readonly [string, Buffer])[] = [
  ['CONNECT', connectPacket({ will: { topic: 'iotlab/alice/w', payload: 'w' } })],
  ['PUBLISH', mqtt.publish('iotlab/alice/x', 'payload', { qos: 1, id: 1 })],
  ['SUBSCRIBE', mqtt.subscribe(1, ['iotlab/alice/x', 0], ['iotlab/alice/y', 1])],
  ['UNSUBSCRIBE', mqtt.unsubscribe(1, 'iotlab/alice/x', 'iotlab/alice/y')],
];
for (const [name, bytes] of truncated) {
  test(`a ${name} that is cut off anywhere: the connection goes, the others stay`, async () => {
    for (let length = 1; length < bytes.length; length += 1) {
      await using client = name === 'CONNECT' ? await RawClient.open(broker) : await RawClient.connect(broker);
      client.socket.end(bytes.subarray(0, length));
      await client.expectClose();
    }
    await othersAreServed();
  });

  test(`a ${name} whose length lies: each shorter length closes the connection or is another packet`, async () => {
    const body = bytes.subarray(2);
    for (let length = 0; length < body.length; length += 1) {
      await using client = name === 'CONNECT' ? await RawClient.open(broker) : await RawClient.connect(broker);
      client.send(mqtt.packet(bytes[0] ?? 0, body.subarray(0, length)), mqtt.packet(0xf0));
      await client.closed();
    }
    await othersAreServed();
  });
}

test('inner lengths that lie close the connection', async () => {
  const lies = [
    mqtt.packet(0x30, mqtt.u16(0xffff), Buffer.from('iotlab/alice/x')),
    mqtt.packet(0x82, mqtt.u16(1), mqtt.u16(0xffff), Buffer.from('iotlab/alice/x'), Buffer.from([0])),
    mqtt.packet(0x82, mqtt.u16(1), mqtt.u16(3), Buffer.from('iotlab/alice/x'), Buffer.from([0])),
    mqtt.packet(0xa2, mqtt.u16(1), mqtt.u16(0xffff), Buffer.from('iotlab/alice/x')),
    mqtt.packet(0xa2, mqtt.u16(1), mqtt.field('iotlab/alice/x'), Buffer.from([0])),
  ];
  for (const bytes of lies) await thrownOut([bytes]);
  const connect = connectPacket().subarray(2);
  for (let at = 0; at < connect.length; at += 1) {
    const bytes = Buffer.from(connect);
    bytes[at] = 0xff;
    await using client = await RawClient.open(broker);
    client.send(mqtt.packet(0x10, bytes), mqtt.packet(0xf0));
    await client.closed();
  }
  await othersAreServed();
});

test('a packet that is said to be over the limit is refused before it comes', async () => {
  await using client = await RawClient.connect(broker);
  client.send(Buffer.concat([Buffer.from([0x30]), mqtt.varint(limitBytes + 1)]));
  await client.expectClose();
  await using anonymous = await RawClient.open(broker);
  anonymous.send(Buffer.concat([Buffer.from([0x10]), mqtt.varint(268_435_455)]));
  await anonymous.expectClose();
  await othersAreServed();
});

test('a packet of just the limit passes', async () => {
  await using client = await RawClient.connect(broker);
  const topic = 'iotlab/alice/limit';
  await client.subscribe([topic, 0]);
  const overhead = 2 + topic.length + 4;
  client.send(mqtt.publish(topic, Buffer.alloc(limitBytes - overhead, 'x')));
  assert.equal((await client.message()).payloadBytes.length, limitBytes - overhead);
});

test('a CONNECT that does not come in time is not waited for', async () => {
  await using witness = await RawClient.connect(timed.broker, { keepaliveSeconds: 0 });
  await using silent = await RawClient.open(timed.broker);
  await using dripping = await RawClient.open(timed.broker);
  await witness.expectNothing();
  const bytes = connectPacket();
  for (let at = 0; at < 30; at++) {
    dripping.socket.write(bytes.subarray(at, at + 1), () => {});
    await witness.expectNothing();
    if (at === 8) assert.deepEqual([silent.isOver, dripping.isOver], [false, false], 'there is time still');
    await timed.pass(100);
  }
  await silent.expectClose();
  await dripping.expectClose();
});

for (const name of ['constructor', '__proto__', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__', 'then']) {
  test(`'${name}' as client id, topic, filter, group and payload is a word like any other`, async () => {
    for (const clean of [true, false]) {
      const client = await RawClient.connect(broker, { clientId: name, clean });
      const topic = `iotlab/alice/${name}`;
      assert.deepEqual(await client.subscribe([topic, 1], [`$share/${name}/${topic}/${name}`, 1]), [1, 1]);
      await client.publish(topic, name, { qos: 1, retain: true });
      assert.equal((await client.receive()).payload, name);
      await client.publish(`${topic}/${name}`, name, { qos: 2 });
      assert.equal((await client.receive()).topic, `${topic}/${name}`);
      assert.deepEqual(await client.subscribe([name, 0]), [0x80]);
      await client.unsubscribe(topic, name);
      await client.publish(topic, '', { retain: true });
      await client.disconnect();
      const will = { topic: `iotlab/alice/${name}`, payload: name };
      const again = await RawClient.connect(broker, { clientId: name, clean: true, will });
      again.cut();
    }
    await othersAreServed();
  });
}

test('topics and filters of 64 KB pass, those of more than 200 levels close the connection, as with mosquitto', async () => {
  await using client = await RawClient.connect(broker);
  const prefix = 'iotlab/alice/';
  const long = prefix + 'x'.repeat(65_535 - prefix.length);
  assert.deepEqual(await client.subscribe([long, 0]), [0]);
  client.send(mqtt.publish(long, 'long'));
  assert.equal((await client.message()).topic.length, 65_535);
  for (const levels of [201, 1_000, 30_000]) {
    const deep = prefix + 'a/'.repeat(levels - 2);
    await thrownOut([mqtt.publish(deep, 'x', { retain: true })]);
    await thrownOut([mqtt.subscribe(1, [deep, 0])]);
    await thrownOut([mqtt.subscribe(1, [`${prefix}${'+/'.repeat(levels - 2)}#`, 0])]);
    await thrownOut([mqtt.unsubscribe(1, deep)]);
  }
  await othersAreServed();
});

test('a topic of slashes and filters of pluses cost no more than their length', async () => {
  await using client = await RawClient.connect(broker);
  const start = performance.now();
  for (let count = 0; count < 20; count += 1) {
    const filter = `iotlab/alice/${'+/'.repeat(170 + count)}#`;
    assert.deepEqual(await client.subscribe([filter, 0]), [0]);
    client.send(mqtt.publish(`iotlab/alice/${'/'.repeat(195)}`, 'x', { retain: true }));
  }
  await using other = await RawClient.connect(broker);
  await other.expectNothing();
  const elapsed = performance.now() - start;
  assert.ok(elapsed < 5_000, `${elapsed} ms`);
  client.send(mqtt.publish(`iotlab/alice/${'/'.repeat(195)}`, '', { retain: true }));
  await othersAreServed();
});

test('ten thousand random byte strings, before and after CONNECT', async () => {
  const seed = Number(process.env.BAD_INPUT_SEED ?? randomInt(2 ** 31));
  const inputs = fc.sample(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // A head that exists, with a length that fits, and anything for a body.
      fc.tuple(fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 100 })).map(([head, body]) => mqtt.packet(head, body)),
      // A good packet with one byte changed.
      fc
        .tuple(fc.constantFrom(...truncated.map(([, bytes]) => bytes)), fc.nat(), fc.nat({ max: 255 }))
        .map(([bytes, at, value]) => {
          const changed = Buffer.from(bytes);
          changed[at % changed.length] = value;
          return changed;
        }),
    ),
    { numRuns: 10_000, seed },
  );
  // Some hundreds come over TLS, and all others as a proxy relays them: the bytes are what is tried here,
  // and a handshake takes longer than all that is made of them.
  // One connection takes one string after the other until it is thrown out; then the next one goes on.
  let connections = 0;
  let client: RawClient | null = null;
  for (const [index, bytes] of inputs.entries()) {
    if (client === null || client.isOver) {
      connections += 1;
      await client?.[Symbol.asyncDispose]();
      const target = index < 1_000 ? broker : broker.relayed;
      client = index % 2 ? await RawClient.open(target) : await RawClient.connect(target);
    }
    client.send(bytes);
    // Every now and then wait for what the broker makes of it; a connection in the middle of a packet says nothing.
    if (index % 4 === 3) client.socket.end();
    if (index % 4 === 3) await client.closed();
    if (index % 1000 === 999) await othersAreServed();
  }
  await client?.[Symbol.asyncDispose]();
  assert.ok(connections > 1_000, `${connections} connections with seed ${seed}`);
  await othersAreServed();
});

test('random bytes in the place of a TLS handshake, and a handshake that stops halfway', async () => {
  const net = await import('node:net');
  for (let count = 0; count < 50; count += 1) {
    const socket = net.connect(broker.port, broker.host);
    // Unread, the alert of a broken handshake would keep the socket from ever closing.
    socket.on('error', () => {}).resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const bytes = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 300 }), 1)[0] ?? new Uint8Array();
    // Half of them look like the beginning of a handshake.
    socket.end(count % 2 ? bytes : Buffer.concat([Buffer.from([22, 3, 1, 0, bytes.length]), bytes]));
    await closed;
  }
  const half = tls.connect({ host: broker.host, port: broker.port, ca: broker.ca, servername: 'localhost' });
  half.on('error', () => {});
  half.once('connect', () => half.destroy());
  await othersAreServed();
});

test('memory returns when the connections that filled it are gone', async () => {
  const collect = garbageCollector();
  const used = () => keptMegabytes(collect);
  const storm = async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(broker)));
    for (const client of clients) {
      // Half a packet of nearly the limit, a few subscriptions, and a QoS 2 flow that is never ended.
      await client.subscribe(...Array.from({ length: 20 }, (_, index) => [`iotlab/alice/m/${index}`, 1] as const));
      client.send(mqtt.publish('iotlab/alice/open', 'x', { qos: 2, id: 1 }));
      const bytes = mqtt.publish('iotlab/alice/half', Buffer.alloc(limitBytes - 100));
      client.send(bytes.subarray(0, bytes.length - 1));
    }
    for (const client of clients) {
      client.cut();
      await client.closed();
    }
  };
  await othersAreServed();
  await storm();
  const { parts } = broker;
  await eventually(5_000, 'the connections are gone', () => parts().connections.size === 1);
  const once = used();
  for (let round = 0; round < 4; round += 1) await storm();
  await eventually(5_000, 'the connections are gone', () => parts().connections.size === 1);
  let now = 0;
  await eventually(10_000, 'the memory returns', () => {
    now = used();
    return now < once + 10;
  }).catch(() => assert.fail(`${now.toFixed(1)} MB after five storms, ${once.toFixed(1)} MB after the first`));
  await othersAreServed();
});
