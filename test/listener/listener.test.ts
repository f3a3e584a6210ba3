// Own process: counts the sockets of all that is in it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { defaultConfig } from '../../src/config/defaults.js';
import { UsageError } from '../../src/errors.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { openListener } from '../../src/listener/listener.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { newScheduler } from '../support/accounts.js';
import { captureLog } from '../support/captured-log.js';
import { testListener, until } from '../support/test-listener.js';
import { Worker, WorkTime } from '../support/work-time.js';

/** Sends bytes over plain TCP and resolves with whatever comes back until the connection is closed. */
function overTcp(
  port: number,
  bytes: Buffer | string | null,
  whenConnected?: (socket: net.Socket) => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = net.connect(port, '127.0.0.1', () => {
      if (bytes !== null) socket.write(bytes);
      whenConnected?.(socket);
    });
    socket.setTimeout(8000, () => reject(new Error('the connection was not closed')) ?? socket.destroy());
    socket.on('data', (data) => received.push(data));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(received)));
  });
}

/** Whether it is closed by the time that everything on its way has arrived. */
async function isClosed(closed: Promise<unknown>): Promise<boolean> {
  let known = false;
  void closed.then(() => {
    known = true;
  });
  for (let turns = 0; turns < 50 && !known; turns += 1) await new Promise(setImmediate);
  return known;
}

async function echo(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(5000) });
  return String(data);
}

const mqttConnect = Buffer.from('101800044d51545404c2003c00016100056a61636f620003707764', 'hex');

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version} is spoken`, async (t) => {
    const { connect, accepted, listener } = await testListener(t);
    const socket = await connect({ minVersion: version, maxVersion: version });
    assert.equal(socket.getProtocol(), version);
    assert.equal(socket.authorized, true);
    assert.equal(await echo(socket, 'hello'), 'hello');
    assert.equal(accepted[0]?.peer.address, '127.0.0.1');
    assert.equal(accepted[0]?.peer.port, socket.localPort);
    assert.equal(listener.connections(), 1);
  });
}

for (const version of ['TLSv1', 'TLSv1.1'] as const) {
  test(`${version} is refused with a plain reason`, async (t) => {
    const { connect, waitFor } = await testListener(t);
    const old = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' } as const;
    await assert.rejects(connect(old));
    const line = await waitFor(/TLS handshake .* failed/);
    assert.match(String(line.reason), /no TLS version from 1\.2 on/);
  });
}

for (const [name, keyType, cipher] of [
  ['an EC', 'ec', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['an RSA', 'rsa', 'ECDHE-RSA-AES128-GCM-SHA256'],
] as const) {
  test(`AES-128-GCM is preferred with ${name} certificate, ChaCha20 for those who prefer it`, async (t) => {
    const { connect } = await testListener(t, { certificate: { keyType } });
    assert.equal((await connect()).getCipher().standardName, 'TLS_AES_128_GCM_SHA256');
    assert.equal((await connect({ maxVersion: 'TLSv1.2' })).getCipher().name, cipher);
    const ciphers = 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
    assert.equal((await connect({ ciphers })).getCipher().standardName, 'TLS_CHACHA20_POLY1305_SHA256');
  });
}

for (const [name, bytes, guess] of [
  ['an MQTT CONNECT', mqttConnect, /MQTT without TLS/],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', /HTTP/],
  ['one byte', Buffer.from([0]), /other than TLS/],
  ['a handshake record of no TLS version', Buffer.from([22, 2, 0, 0, 5, 1, 0, 0, 0, 0]), /other than TLS/],
  ['a TLS record that is no ClientHello', Buffer.from([22, 3, 1, 0, 5, 2, 0, 0, 0, 0]), /other than TLS/],
  [
    'an SSLv2 ClientHello',
    Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0', 'hex'),
    /other/,
  ],
] as const) {
  test(`${name} without TLS gets a closed connection, no byte, and one log line`, async (t) => {
    const { port, waitFor, lines, listener, accepted } = await testListener(t);
    assert.equal((await overTcp(port, bytes)).length, 0);
    const line = await waitFor(/Connection closed: 127\.0\.0\.1 sent/);
    assert.match(String(line.reason), guess);
    await overTcp(port, bytes);
    await until(() => listener.connections() === 0);
    assert.equal(lines().filter(({ event }) => event === 'plaintext').length, 1);
    assert.equal(accepted.length, 0);
    assert.ok(!JSON.stringify(lines()).includes('at '), 'no stack trace');
  });
}

test('a ClientHello that comes byte by byte is a ClientHello', async (t) => {
  const { port, connect } = await testListener(t);
  const slicer = net.createServer((front) => {
    const back = net.connect(port, '127.0.0.1').setNoDelay(true);
    back.on('data', (data) => front.write(data));
    front.on('data', (data) => {
      for (const byte of data) back.write(Buffer.from([byte]));
    });
    front.on('close', () => back.destroy()).on('error', () => {});
    back.on('close', () => front.destroy()).on('error', () => {});
  });
  slicer.listen(0, '127.0.0.1');
  await once(slicer, 'listening');
  t.after(() => slicer.close());
  const socket = await connect({ port: (slicer.address() as net.AddressInfo).port });
  assert.equal(await echo(socket, 'hello'), 'hello');
  socket.destroy();
});

for (const [name, bytes] of [
  ['says nothing', null],
  ['stops in its ClientHello', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1])],
] as const) {
  test(`a peer that ${name} is closed at the deadline`, async (t) => {
    const clock = new ManualClock();
    const { port, waitFor, listener } = await testListener(t, { clock, limits: { handshakeTimeoutMs: 300 } });
    const closed = overTcp(port, bytes);
    await until(() => listener.connections() === 1);
    clock.advance(299);
    assert.equal(await isClosed(closed), false);
    clock.advance(1);
    assert.equal((await closed).length, 0);
    await waitFor(/failed: not complete after 300 ms/);
    await until(() => listener.connections() === 0);
  });
}

test('the deadline covers a peer that drips its ClientHello', async (t) => {
  const clock = new ManualClock();
  const { port, listener } = await testListener(t, { clock, limits: { handshakeTimeoutMs: 300 } });
  let drip = (): void => {};
  const closed = overTcp(port, Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]), (socket) => {
    drip = () => socket.write(Buffer.from([0]));
  });
  await until(() => listener.connections() === 1);
  for (let step = 0; step < 5; step += 1) {
    drip();
    clock.advance(50);
    assert.equal(await isClosed(closed), false);
  }
  clock.advance(50);
  await closed;
});

test('the deadline ends with the handshake', async (t) => {
  const clock = new ManualClock();
  const { connect } = await testListener(t, { clock });
  const socket = await connect();
  assert.equal(await echo(socket, 'a'), 'a');
  clock.advance(60_000);
  assert.equal(await echo(socket, 'b'), 'b');
});

test('what a client sent before its end is answered after it, also late', async (t) => {
  const { connect } = await testListener(t, {
    onConnection(socket) {
      let count = 0;
      socket.on('data', (data) => {
        count += data.length;
      });
      // As a store would: the answer is ready only some turns of the event loop after the client's end.
      socket.on('end', () => setImmediate(() => setImmediate(() => socket.end(`got ${count}`))));
    },
  });
  const socket = await connect({ allowHalfOpen: true } as object);
  socket.end('x'.repeat(200_000));
  let answer = '';
  for await (const data of socket) answer += String(data);
  assert.equal(answer, 'got 200000');
});

test('connections beyond the cap in all are closed at once, handshakes included', async (t) => {
  const { port, connect, listener, waitFor, lines } = await testListener(t, { limits: { connections: 2 } });
  const silent = net.connect(port, '127.0.0.1');
  await once(silent, 'connect');
  const socket = await connect();
  for (let i = 0; i < 5; i++) assert.equal((await overTcp(port, null)).length, 0);
  assert.equal(await echo(socket, 'still here'), 'still here');
  assert.equal(listener.connections(), 2);
  await waitFor(/limits\.connections allows/);
  assert.equal(lines().filter(({ event }) => event === 'broker-full').length, 1);
  silent.destroy();
  await once(silent, 'close');
  await until(() => listener.connections() === 1);
  await connect();
});

test('connections beyond the cap per address are closed at once, and free places are taken again', async (t) => {
  const { port, connect, listener, lines } = await testListener(t, { limits: { connectionsPerAddress: 2 } });
  const first = await connect();
  await connect();
  for (let i = 0; i < 5; i++) assert.equal((await overTcp(port, null)).length, 0);
  assert.equal(lines().filter(({ event }) => event === 'address-full').length, 1);
  const elsewhere = await connect({ localAddress: '127.0.0.2' } as object);
  assert.equal(await echo(elsewhere, 'other address'), 'other address');
  first.destroy();
  await until(() => listener.connections() === 2);
  assert.equal(await echo(await connect(), 'again'), 'again');
});

test('an IPv4 peer of a dual-stack socket has its IPv4 address, and is one address', async (t) => {
  const { connect, port, accepted } = await testListener(t, { host: '::', limits: { connectionsPerAddress: 1 } });
  assert.equal(await echo(await connect(), 'hello'), 'hello');
  assert.equal(accepted[0]?.peer.address, '127.0.0.1');
  assert.equal((await overTcp(port, null)).length, 0);
});

test('a client that does not trust the CA is told apart in the log, once a minute', async (t) => {
  const clock = new ManualClock();
  const { port, files, waitFor, lines } = await testListener(t, { clock });
  const other = makeAuthority();
  await writeFile(files.ca, other.cert);
  // Node's client verifies after the handshake; OpenSSL's own sends the alert, and so does mosquitto's.
  const untrusting = async () => {
    const args = ['s_client', '-verify_return_error', '-CAfile', files.ca, '-connect', `127.0.0.1:${port}`];
    await once(spawn('openssl', args, { stdio: 'ignore' }), 'close');
  };
  await untrusting();
  const line = await waitFor(/TLS handshake .* failed/);
  assert.match(String(line.reason), /does not trust the certificate/);
  await untrusting();
  await untrusting();
  const failures = () => lines().filter(({ event }) => event === 'tls-failed');
  assert.equal(failures().length, 1);
  clock.advance(61_000);
  assert.equal(failures().length, 2);
  assert.equal(failures()[1]!.suppressed, 1);
});

test('plaintext in the middle of a secure connection ends it', async (t) => {
  const { port, accepted, authority } = await testListener(t);
  const raw = net.connect(port, '127.0.0.1');
  const socket = tls.connect({ socket: raw, servername: 'localhost', ca: authority.cert });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  await until(() => accepted.length > 0);
  const errors: Error[] = [];
  accepted[0]!.socket.on('error', (error) => errors.push(error));
  const gone = new Promise((resolve) => accepted[0]!.socket.on('close', resolve));
  // Past TLS, straight into the TCP connection.
  writeSync((raw as unknown as { _handle: { fd: number } })._handle.fd, 'this is no TLS record at all');
  await gone;
  assert.equal(errors.length, 1);
  socket.destroy();
});

test('a session is resumed without another signature', async (t) => {
  const { connect } = await testListener(t);
  const first = await connect();
  const [session] = await once(first, 'session');
  const second = await connect({ session: session as Buffer });
  assert.equal(second.isSessionReused(), true);
});

test('stopAccepting frees the port, ends handshakes and keeps connections; close ends them too', async (t) => {
  const { port, connect, listener } = await testListener(t);
  const socket = await connect();
  const silent = overTcp(port, null);
  await until(() => listener.connections() === 2);
  listener.stopAccepting();
  await silent;
  await assert.rejects(connect(), { code: 'ECONNREFUSED' });
  assert.equal(await echo(socket, 'still here'), 'still here');
  const gone = once(socket, 'close');
  socket.on('error', () => {});
  await listener.close();
  await gone;
  assert.equal(listener.connections(), 0);
});

test('close leaves nothing behind', async (t) => {
  const held = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS|FSEvent/.test(name)).length;
  const before = held();
  const { connect, listener, port, accepted } = await testListener(t);
  const clients = await Promise.all([connect(), connect(), connect()]);
  // A client is ready before the listener has read its last word.
  await until(() => accepted.length === clients.length);
  net.connect(port, '127.0.0.1').on('error', () => {});
  for (const client of clients) client.on('error', () => {});
  assert.ok(held() > before);
  const gone = Promise.all(clients.map((client) => once(client, 'close')));
  await listener.close();
  await gone;
  await until(() => held() === before);
});

test('a crowd is in before the work of others has had its second round', async (t) => {
  const time = new WorkTime();
  const { scheduler } = time;
  const { arrivals } = scheduler;
  const rounds: number[] = [];
  const turns = {
    came() {
      rounds.push(scheduler.id);
      arrivals.came();
    },
    whenRound: (callback: () => void) => arrivals.whenRound(callback),
  };
  const { port } = await testListener(t, { turns });
  let over = false;
  new Worker(time).add({
    work() {
      time.spend(1);
      return !over;
    },
  });
  const crowd = Array.from({ length: 60 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  await until(() => rounds.length === crowd.length);
  over = true;
  assert.ok(rounds.at(-1)! - rounds[0]! <= 1, `${rounds.at(-1)! - rounds[0]!} rounds`);
  for (const socket of crowd) socket.destroy();
});

test('what cannot be opened is said with its key and the remedy', async (t) => {
  const { files, port } = await testListener(t);
  const limits = { handshakeTimeoutMs: 1000, connections: 10, connectionsPerAddress: 10 };
  const opening = (config: object) =>
    openListener({
      config: defaultConfig({ listener: { host: '127.0.0.1', port: 0, ...files, ...config } }).listener,
      limits,
      log: captureLog().log,
      clock: new ManualClock(),
      turns: newScheduler().arrivals,
      onConnection: () => {},
    });
  const refused = (config: object, message: RegExp) =>
    assert.rejects(opening(config), (error) => error instanceof UsageError && message.test(error.message));
  await refused({ port }, /^listener\.port: port \d+ of 127\.0\.0\.1 is in use/);
  await refused({ host: '192.0.2.1' }, /^listener\.host: 192\.0\.2\.1 is no address/);
  await refused(
    { cert: `${files.cert}.no` },
    /^listener\.cert: .*server\.pem\.no cannot be read: no such file\..*certs create/,
  );
  await refused({ key: `${files.key}.no` }, /^listener\.key: .*server\.key\.no cannot be read: no such file/);
  await refused({ cert: files.key }, /^listener\.cert: .*server\.key is unusable: holds no PEM certificate/);
  await refused({ key: files.cert }, /^listener\.key: .*server\.pem is unusable: holds no PEM private key/);
  await refused({ cert: files.ca }, /^listener\.key: .*server\.key is not the key of the certificate in .*ca\.pem/);
});
