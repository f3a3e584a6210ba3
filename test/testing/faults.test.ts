import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StartOptions, startBroker } from '../../src/testing/index.js';
import * as packets from '../support/packets.js';
import { passwordOf, RawClient } from '../support/raw-client.js';

const deadline = { timeout: 20_000 };
const users = { alice: passwordOf('alice'), bobby: passwordOf('bobby') };
const start = (options: StartOptions = {}) => startBroker({ users, ...options });

/** Everybody can connect and publish again. */
async function expectWell(target: Parameters<typeof RawClient.connect>[0]): Promise<void> {
  await using client = await RawClient.connect(target);
  await client.publish('iotlab/alice/well', 'x', { qos: 1 });
}

test('refuseConnect: with any code, for a login or client id, once, some times or until lifted', deadline, async () => {
  await using broker = await start();
  const attempt = async (as: string, clientId: string) => {
    const { client, code } = await RawClient.attempt(broker, { as, clientId });
    if (code !== 0) await client.closed();
    await client[Symbol.asyncDispose]();
    return code;
  };
  const once = broker.faults.refuseConnect(3).once();
  assert.deepEqual([await attempt('alice', 'a'), await attempt('alice', 'a')], [3, 0]);
  assert.equal(once.hits, 1);
  broker.faults.refuseConnect(5, { login: 'alice' }).times(2);
  assert.deepEqual([await attempt('alice', 'a'), await attempt('bobby', 'a'), await attempt('alice', 'b')], [5, 0, 5]);
  assert.equal(await attempt('alice', 'a'), 0);
  const lasting = broker.faults.refuseConnect(2, { clientId: 'mine' });
  assert.deepEqual(
    [await attempt('alice', 'mine'), await attempt('bobby', 'mine'), await attempt('bobby', 'b')],
    [2, 2, 0],
  );
  lasting.lift();
  assert.equal(await attempt('alice', 'mine'), 0);
  assert.throws(() => broker.faults.refuseConnect(3).times(0), RangeError);
});

test('credentials: down and slow are an outage, never a wrong password', deadline, async () => {
  await using broker = await start({ clock: 'manual', credentials: { timeoutMs: 5_000 } });
  const down = broker.faults.credentialsDown({ login: 'alice' });
  assert.equal((await RawClient.attempt(broker)).code, 3);
  await using other = await RawClient.connect(broker, { as: 'bobby' });
  down.lift();
  const slow = broker.faults.credentialsSlow(3_000).once();
  const waiting = RawClient.attempt(broker);
  await slow.waitForHits();
  broker.advance(3_000);
  assert.equal((await waiting).code, 0);
  const slower = broker.faults.credentialsSlow(60_000).once();
  const late = RawClient.attempt(broker);
  await slower.waitForHits();
  broker.advance(5_000);
  assert.equal((await late).code, 3);
  await other.expectNothing();
});

test('dropConnection: after n packets of the client, which the broker has', deadline, async () => {
  await using broker = await start();
  const fault = broker.faults.dropConnection({ after: 2, packet: 'publish', login: 'alice' }).once();
  const client = await RawClient.connect(broker, { clean: false, clientId: 'dropped' });
  await client.publish('iotlab/alice/1', 'x', { qos: 1 });
  client.send(packets.publish('iotlab/alice/2', 'x', { qos: 1, id: 9 }), packets.publish('iotlab/alice/3', 'x'));
  await client.expectClose();
  await broker.waitForMessage('iotlab/alice/2');
  await broker.waitForDisconnect({ login: 'alice' });
  assert.equal(broker.messages('iotlab/alice/3').length, 0);
  assert.equal(fault.hits, 1);
  await expectWell(broker);
});

test('dropConnection in the middle of a packet, of either side', deadline, async () => {
  await using broker = await start();
  broker.faults.dropConnection({ after: 1, midPacket: true }).once();
  const first = await RawClient.connect(broker);
  first.send(packets.publish('iotlab/alice/half', 'x'.repeat(100), { qos: 1, id: 1 }));
  await first.expectClose();
  await broker.waitForDisconnect();
  assert.equal(broker.messages().length, 0);
  // CONNACK, SUBACK, then half a message.
  broker.faults.dropConnection({ after: 2, from: 'broker', midPacket: true }).once();
  const second = await RawClient.connect(broker);
  let bytes = 0;
  await second.subscribe(['iotlab/alice/#', 0]);
  second.socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await broker.publish('alice', 'iotlab/alice/x', 'y'.repeat(1_000));
  await second.expectClose();
  assert.equal(bytes, packets.publish('iotlab/alice/x', 'y'.repeat(1_000)).length >> 1);
  await expectWell(broker);
});

test('loseAcknowledgement: the broker has the message, the client must send it again', deadline, async () => {
  await using broker = await start();
  const fault = broker.faults.loseAcknowledgement({ login: 'alice' }).once();
  const client = await RawClient.connect(broker, { clean: false, clientId: 'c' });
  client.send(packets.publish('iotlab/alice/1', 'x', { qos: 2, id: 7 }));
  await client.expectClose();
  assert.equal(fault.hits, 1);
  await using again = await RawClient.connect(broker, { clean: false, clientId: 'c' });
  again.send(packets.publish('iotlab/alice/1', 'x', { qos: 2, id: 7, dup: true }));
  await again.take(packets.PUBREC);
  assert.equal(broker.messages('iotlab/alice/1').length, 1);
  broker.faults.loseAcknowledgement({ keepConnection: true }).once();
  again.send(packets.publish('iotlab/alice/2', 'x', { qos: 1, id: 8 }));
  await again.expectNothing();
});

test('holdAcknowledgements: until lifted, then in order; the rest goes on', deadline, async () => {
  await using broker = await start();
  await using client = await RawClient.connect(broker);
  await using bobby = await RawClient.connect(broker, { as: 'bobby' });
  const fault = broker.faults.holdAcknowledgements({ login: 'alice' });
  for (const id of [1, 2, 3]) client.send(packets.publish('iotlab/alice/x', `${id}`, { qos: 1, id }));
  await fault.waitForHits(3);
  await client.expectNothing();
  await bobby.publish('iotlab/bobby/x', '', { qos: 1 });
  assert.equal(broker.messages('iotlab/alice/x').length, 3);
  fault.lift();
  for (const id of [1, 2, 3]) assert.equal((await client.take(packets.PUBACK)).body.readUInt16BE(0), id);
});

test("delayDelivery and throttleDelivery: in order, by the broker's clock", deadline, async () => {
  await using broker = await start({ clock: 'manual' });
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/#', 1]);
  const delay = broker.faults.delayDelivery(1_000, { login: 'alice' });
  await broker.publish('alice', 'iotlab/alice/1');
  await delay.waitForHits(1);
  broker.advance(600);
  await broker.publish('alice', 'iotlab/alice/2');
  await delay.waitForHits(2);
  await client.expectNothing();
  broker.advance(400);
  assert.equal((await client.receive()).topic, 'iotlab/alice/1');
  await client.expectNothing();
  delay.lift();
  assert.equal((await client.receive()).topic, 'iotlab/alice/2');
  // 100 bytes a second; each message has a bit more than 100.
  const throttle = broker.faults.throttleDelivery(100);
  for (const n of [1, 2, 3]) await broker.publish('alice', `iotlab/alice/t${n}`, 'z'.repeat(80), { qos: 0 });
  await throttle.waitForHits(3);
  broker.advance(1_500);
  assert.equal((await client.receive()).topic, 'iotlab/alice/t1');
  await client.expectNothing();
  broker.advance(2_000);
  assert.equal((await client.receive()).topic, 'iotlab/alice/t2');
  assert.equal((await client.receive()).topic, 'iotlab/alice/t3');
});

test('stallReading: nothing of the client is read, and nothing is lost', deadline, async () => {
  await using broker = await start();
  await using client = await RawClient.connect(broker);
  const fault = broker.faults.stallReading({ login: 'alice' });
  client.send(packets.publish('iotlab/alice/x', 'x', { qos: 1, id: 1 }));
  await fault.waitForHits();
  client.send(packets.pingreq());
  await expectBobbyWell();
  assert.deepEqual([client.waiting.length, broker.messages('iotlab/alice/#').length], [0, 0]);
  fault.lift();
  assert.equal((await client.next()).type, packets.PUBACK);
  assert.equal((await client.next()).type, packets.PINGRESP);

  async function expectBobbyWell(): Promise<void> {
    await using bobby = await RawClient.connect(broker, { as: 'bobby' });
    await bobby.publish('iotlab/bobby/x', '', { qos: 1 });
  }
});

test('certificates: expired, of another host, of another CA, rotated', deadline, async () => {
  await using broker = await start();
  const errorOf = async (kind: Parameters<typeof broker.faults.certificate>[0]) => {
    broker.faults.certificate(kind).once();
    return RawClient.open(broker).then(
      () => 'none',
      (error: NodeJS.ErrnoException) => error.code,
    );
  };
  assert.equal(await errorOf('expired'), 'CERT_HAS_EXPIRED');
  assert.equal(await errorOf('not-yet-valid'), 'CERT_NOT_YET_VALID');
  assert.equal(await errorOf('wrong-host'), 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.equal(await errorOf('unknown-ca'), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  // With options none goes on with the session of another, in which no certificate is shown.
  const open = () => RawClient.open(broker, { minVersion: 'TLSv1.3' });
  const before = await open();
  const rotated = broker.faults.certificate('rotated');
  const after = await open();
  const print = (client: RawClient) => client.tls?.getPeerCertificate().fingerprint256;
  assert.notEqual(print(before), print(after));
  rotated.lift();
  await using again = await open();
  assert.equal(print(before), print(again));
  await before[Symbol.asyncDispose]();
  await after[Symbol.asyncDispose]();
  assert.throws(() => broker.faults.certificate('odd' as never), RangeError);
});

test('restart: on the same port, with what was stored or without', deadline, async () => {
  await using broker = await start();
  const options = { clean: false, clientId: 'keeper' };
  const setUp = async () => {
    const client = await RawClient.connect(broker, options);
    await client.subscribe(['iotlab/alice/#', 1]);
    await client.disconnect();
    await broker.waitForDisconnect();
    await broker.publish('alice', 'iotlab/alice/kept', 'x');
  };
  await setUp();
  const { port } = broker;
  let refused = '';
  await broker.restart({
    whileDown: () => RawClient.open(broker).catch((error: NodeJS.ErrnoException) => (refused = error.code ?? '')),
  });
  assert.deepEqual([refused, broker.port], ['ECONNREFUSED', port]);
  assert.equal(broker.sessions()[0]?.queuedMessages, 1);
  const kept = await RawClient.attempt(broker, options);
  assert.equal(kept.sessionPresent, true);
  assert.equal((await kept.client.receive()).topic, 'iotlab/alice/kept');
  await kept.client.disconnect();
  await setUp();
  await broker.restart({ store: 'empty' });
  const lost = await RawClient.attempt(broker, options);
  assert.equal(lost.sessionPresent, false);
  await lost.client[Symbol.asyncDispose]();
});
