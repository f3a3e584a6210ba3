// Own process: weighs the memory of all that is in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import * as mqtt from '../support/packets.js';
import { connectPacket, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { useTimedBroker } from '../support/timed-broker.js';
import { givesMemoryBack, goodPackets, limitBytes, Others, options, takesRandomStrings } from './spoilt-input.js';

// Whatever is sent: that connection ends, or goes on in order; the others never notice, and memory returns.
const broker = useTestBroker({ ...options, relay: true });
const timed = useTimedBroker(options);
const others = new Others(broker);

async function thrownOut(bytes: readonly Uint8Array[], connected = true): Promise<void> {
  await using client = connected ? await RawClient.connect(broker) : await RawClient.open(broker);
  client.send(...bytes);
  await client.expectClose();
}

for (const [name, bytes] of goodPackets) {
  test(`a ${name} that is cut off anywhere: the connection goes, the others stay`, async () => {
    for (let length = 1; length < bytes.length; length += 1) {
      await using client = name === 'CONNECT' ? await RawClient.open(broker) : await RawClient.connect(broker);
      client.socket.end(bytes.subarray(0, length));
      await client.expectClose();
    }
    await others.areServed();
  });

  test(`a ${name} whose length lies: each shorter length closes the connection or is another packet`, async () => {
    const body = bytes.subarray(2);
    for (let length = 0; length < body.length; length += 1) {
      await using client = name === 'CONNECT' ? await RawClient.open(broker) : await RawClient.connect(broker);
      client.send(mqtt.packet(bytes[0] ?? 0, body.subarray(0, length)), mqtt.packet(0xf0));
      await client.closed();
    }
    await others.areServed();
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
  await others.areServed();
});

test('a packet that is said to be over the limit is refused before it comes', async () => {
  await using client = await RawClient.connect(broker);
  client.send(Buffer.concat([Buffer.from([0x30]), mqtt.varint(limitBytes + 1)]));
  await client.expectClose();
  await using anonymous = await RawClient.open(broker);
  anonymous.send(Buffer.concat([Buffer.from([0x10]), mqtt.varint(268_435_455)]));
  await anonymous.expectClose();
  await others.areServed();
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
    await others.areServed();
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
  await others.areServed();
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
  await others.areServed();
});

takesRandomStrings(broker, others, 2_000);

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
  await others.areServed();
});

// As a proxy relays them: what is kept of a connection is the same, and handshakes take longer than all the rest.
givesMemoryBack(broker, others, 2, () => broker.relayed);
