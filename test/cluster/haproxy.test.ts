import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { MailRoutes } from '../../src/cluster/mail-routes.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { as, front, home } from '../support/haproxy-front.js';
import * as mqtt from '../support/packets.js';
import { loginsComeHome } from './logins-behind-haproxy.js';

loginsComeHome(200);

test('a CONNECT in pieces, with a large Will, or with much behind it comes whole', async (t) => {
  const { askedBy, came } = await front(t);
  const login = 'user7';
  for (const level of [3, 4, 5] as const) {
    const will = { topic: 'iotlab/user7/w', payload: Buffer.alloc(65_000, 'w') };
    const large = as(login, { level, will });
    assert.equal(await askedBy(large), home(login));
    assert.equal(came.at(-1)!.bytes, large.length);
  }
  const small = as(login, { clean: false });
  assert.equal(await askedBy(...[...small].map((byte) => Buffer.from([byte]))), home(login));
  assert.equal(await askedBy(small.subarray(0, 20), small.subarray(20)), home(login));
  const flood = Buffer.concat([small, ...Array<Buffer>(2_500).fill(mqtt.publish('iotlab/user7/t', 'x'.repeat(100)))]);
  assert.equal(await askedBy(flood), home(login));
  const last = came.at(-1)!;
  await eventually(5_000, 'all bytes', () => last.bytes === flood.length);
});

test('a bridge comes to the shard of its login', async (t) => {
  const { askedBy, came } = await front(t);
  for (const [number, levelByte] of [0x83, 0x84].entries()) {
    for (const clientId of ['lab', 'a-longer-name'.repeat(12)]) {
      const login = `bridge${number}${clientId.length}`;
      const connect = as(login, { level: levelByte === 0x83 ? 3 : 4, levelByte, clientId, clean: false });
      assert.equal(await askedBy(connect), home(login), `level 0x${levelByte.toString(16)}, ${connect.length} bytes`);
      assert.equal(came.at(-1)!.bytes, connect.length);
    }
  }
});

test('who has no user name, another protocol or another level is answered by shard 0, as by a single broker', async (t) => {
  const { askedBy, came } = await front(t);
  assert.equal(await askedBy(mqtt.connect({ clientId: 'nobody' })), 0);
  assert.equal(await askedBy(as('user7', { levelByte: 6 })), 0);
  assert.equal(await askedBy(as('user7', { protocolName: 'XXXX' })), 0);
  assert.equal(await askedBy(mqtt.packet(0x10, Buffer.from('000448545450090909', 'hex'))), 0);
  assert.equal(came.length, 4);
  assert.equal(came[0]!.address, '127.0.0.1');
  // What is not MQTT at all is not worth a broker's time.
  assert.equal(await askedBy(Buffer.from('GET / HTTP/1.1\r\n\r\n')), null);
  assert.equal(came.length, 4);
});

test('who is slow is handed over when the deadline is up, with what came so far; who is silent too', async (t) => {
  const { open, came } = await front(t, { limits: { connectTimeoutMs: 600 } });
  const slow = await open();
  slow.write(as('user7').subarray(0, 12));
  await eventually(5_000, 'the slow one', () => came.some(({ shard, bytes }) => shard === 0 && bytes === 12));
});

test('plaintext gets nothing, and an address has as many connections as limits.connectionsPerAddress allows', async (t) => {
  const { open, port, askedBy } = await front(t, { limits: { connectionsPerAddress: 5 } });
  const raw = net.connect(port, '127.0.0.1');
  raw.write(as('user7'));
  const received: Buffer[] = [];
  raw.on('data', (chunk) => received.push(chunk)).on('error', () => {});
  await once(raw, 'close', { signal: AbortSignal.timeout(25_000) });
  assert.ok(!Buffer.concat(received).includes(Buffer.from([0x20, 2, 0])), 'no CONNACK');
  const five = await Promise.all(Array.from({ length: 5 }, open));
  await assert.rejects(open());
  for (const socket of five) socket.destroy();
  await eventually(5_000, 'room again', async () => (await askedBy(as('user7')).catch(() => null)) === home('user7'));
});

test('a mail address goes to the shard of its login once HAProxy was told, and still after it starts again', async (t) => {
  const { files, askedBy } = await front(t);
  const mail = 'alice.liddell@example.org';
  const login = Array.from({ length: 20 }, (_, number) => `user${number}`).find((it) => home(it) !== home(mail))!;
  assert.equal(await askedBy(as(mail)), home(mail));
  const { log, lines } = captureLog();
  const routes = new MailRoutes(files, log);
  await routes.learn('Alice.Liddell@example.org', login);
  assert.equal(await askedBy(as(mail)), home(login));
  assert.equal(await askedBy(as('ALICE.liddell@example.org')), home(login));
  const other = Array.from({ length: 20 }, (_, number) => `user${number}`).find((it) => home(it) === home(mail))!;
  await routes.learn(mail, other);
  assert.equal(await askedBy(as(mail)), home(other));
  assert.equal(await readFile(files.mails, 'utf8'), `${mail} ${other}\n`);
  await routes.learn('a;del map #1@example.org', login);
  await routes.learn('nasty@example.org\nshow info', login);
  assert.equal(await readFile(files.mails, 'utf8'), `${mail} ${other}\n`);
  assert.equal(lines().filter(({ level }) => level === 40).length, 2);
});
