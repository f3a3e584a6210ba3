import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { UsageError } from '../../src/errors.js';
import { type Issued, makeAuthority } from '../../src/listener/certificates.js';
import { LIVENESS_ANSWER, LIVENESS_QUESTION } from '../../src/liveness.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { freePort } from '../support/ports.js';
import { proxyHeader } from '../support/proxy-headers.js';
import { tempFolder } from '../support/temp-folder.js';
import { testListener, until } from '../support/test-listener.js';

type Overrides = NonNullable<Parameters<typeof testListener>[1]>;

const alice = proxyHeader({ address: '192.0.2.7', port: 40_000 });
const none: Buffer = Buffer.alloc(0);

/** A listener for proxies on other machines, with an authority of their own. */
async function forProxies(t: TestContext, overrides: Overrides = {}) {
  const authority = makeAuthority({ name: 'proxies' });
  const ca = join(await tempFolder(t), 'proxies.pem');
  await writeFile(ca, authority.cert);
  const port = await freePort();
  const proxy = { exclusive: true, host: '127.0.0.1', port, ca, ...overrides.proxy };
  const opened = await testListener(t, { ...overrides, proxy });
  const issue = (request = {}) => authority.issue({ names: ['front.example.org'], purpose: 'proxy', ...request });

  /** As HAProxy does it: `before` in plain, the handshake, and `behind` in the first record. */
  async function connect(certificate: Issued | null, before: Buffer, behind: Buffer = none, more: object = {}) {
    const raw = net.connect(port, '127.0.0.1');
    t.after(() => raw.destroy());
    raw.on('error', () => {});
    await once(raw, 'connect');
    if (before.length > 0) raw.write(before);
    const trust = { servername: 'localhost', ca: opened.authority.cert };
    const socket = tls.connect({ socket: raw, ...trust, ...certificate, ...more });
    socket.on('error', () => {});
    socket.write(Buffer.concat([behind, Buffer.from('hello')]));
    return { raw, socket };
  }
  const reply = async ({ socket }: { socket: tls.TLSSocket }) =>
    String((await once(socket, 'data', { signal: AbortSignal.timeout(5_000) }))[0]);
  const refused = async ({ raw, socket }: { raw: net.Socket; socket: tls.TLSSocket }) => {
    socket.on('data', () => assert.fail('there was an answer'));
    if (!raw.destroyed) await once(raw, 'close', { signal: AbortSignal.timeout(5_000) });
  };
  return { ...opened, proxyPort: port, ca, issue, connect, reply, refused };
}

test('a header in front of TLS and one inside it are understood, from who shows a certificate of the CA', async (t) => {
  const { issue, connect, reply, accepted } = await forProxies(t);
  assert.equal(await reply(await connect(issue(), alice)), 'hello');
  assert.equal(await reply(await connect(issue(), none, proxyHeader({ address: '2001:db8::7', port: 9 }))), 'hello');
  assert.equal(await reply(await connect(issue(), proxyHeader({ command: 0x20 }))), 'hello');
  const peers = accepted.map(({ peer, socket }) => `${peer.address} ${peer.port === socket.remotePort}`);
  assert.deepEqual(peers, ['192.0.2.7 false', '2001:db8::7 false', '127.0.0.1 true']);
});

test('a header in front of TLS may come byte by byte, and together with the ClientHello', async (t) => {
  const { proxyPort, issue, authority, accepted } = await forProxies(t);
  const slicer = net.createServer((front) => {
    const back = net.connect(proxyPort, '127.0.0.1').setNoDelay(true);
    for (const byte of alice.subarray(0, -1)) back.write(Buffer.from([byte]));
    front.once('data', (data) => {
      back.write(Buffer.concat([alice.subarray(-1), data]));
      front.pipe(back).pipe(front);
    });
  });
  slicer.listen(0, '127.0.0.1');
  await once(slicer, 'listening');
  t.after(() => slicer.close());
  const { port } = slicer.address() as net.AddressInfo;
  const socket = tls.connect({ port, servername: 'localhost', ca: authority.cert, ...issue() });
  t.after(() => socket.destroy());
  socket.write('hello');
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  assert.equal(accepted[0]?.peer.address, '192.0.2.7');
});

const long = 86_400_000;
for (const [what, certificate, reason] of [
  ['no certificate', () => null, /showed no certificate/],
  ['a certificate of another CA', () => makeAuthority().issue({ purpose: 'proxy' }), /certificate is not good/],
  [
    'a certificate that has expired',
    (issue: (request: object) => Issued) => issue({ notBefore: new Date(0), notAfter: new Date(Date.now() - long) }),
    /certificate is not good: cert has expired/,
  ],
  [
    'a certificate for servers',
    (issue: (request: object) => Issued) => issue({ purpose: 'server' }),
    /certificate is not good/,
  ],
] as const) {
  test(`${what} is no way in, with a header before TLS or in it`, async (t) => {
    const { issue, connect, refused, waitFor, accepted, listener } = await forProxies(t);
    await refused(await connect(certificate(issue), alice));
    await refused(await connect(certificate(issue), none, alice));
    assert.match(String((await waitFor(/Connection closed on listener\.proxy\.port: 127/)).reason), reason);
    await until(() => listener.connections() === 0);
    assert.equal(accepted.length, 0);
  });
}

test('a proxy may resume its session; who was refused gets none', async (t) => {
  const { connect, refused, issue, reply, proxyPort, authority, accepted, listener } = await forProxies(t);
  for (const more of [{ maxVersion: 'TLSv1.2' }, {}] as const) {
    for (const certificate of [null, makeAuthority().issue({ purpose: 'proxy' })]) {
      const stranger = await connect(certificate, alice, none, more);
      stranger.socket.on('session', () => assert.fail('there is a session'));
      await refused(stranger);
    }
    const first = await connect(issue(), alice, none, more);
    const [session] = await once(first.socket, 'session', { signal: AbortSignal.timeout(5_000) });
    const trust = { servername: 'localhost', ca: authority.cert };
    const again = tls.connect({ port: proxyPort, session, ...trust, ...more });
    again.write(Buffer.concat([alice, Buffer.from('hello')]));
    assert.equal(await reply({ socket: again }), 'hello');
    assert.equal(again.isSessionReused(), true);
    first.socket.destroy();
    again.destroy();
  }
  await until(() => listener.connections() === 0);
  assert.equal(accepted.length, 4);
});

test('a name and an address may be asked for too', async (t) => {
  const wanted = await forProxies(t, { proxy: { names: ['front.example.org'], addresses: ['127.0.0.0/8'] } });
  assert.equal(await wanted.reply(await wanted.connect(wanted.issue(), alice)), 'hello');
  await wanted.refused(await wanted.connect(wanted.issue({ names: ['other.example.org'] }), alice));
  await wanted.waitFor(/has none of listener\.proxy\.names/);
  const elsewhere = await forProxies(t, { proxy: { addresses: ['192.0.2.1', '2001:db8::/32'] } });
  await elsewhere.refused(await elsewhere.connect(elsewhere.issue(), alice));
  await elsewhere.waitFor(/not among listener\.proxy\.addresses/);
  assert.equal(wanted.accepted.length + elsewhere.accepted.length, 1);
});

test('neither plaintext, nor TLS without a header, nor a second header is let through', async (t) => {
  const { issue, connect, refused, proxyPort, waitFor, accepted, listener } = await forProxies(t);
  for (const bytes of [
    Buffer.from('101800044d515454', 'hex'),
    Buffer.concat([alice, Buffer.from('101800044d515454', 'hex')]),
  ]) {
    const raw = net.connect(proxyPort, '127.0.0.1');
    raw.on('error', () => {});
    raw.write(bytes);
    raw.resume();
    await once(raw, 'close', { signal: AbortSignal.timeout(5_000) });
  }
  await refused(await connect(issue(), none));
  await waitFor(/no header of the PROXY protocol/);
  await until(() => listener.connections() === 0);
  assert.equal(accepted.length, 0);
});

/** Whether a proxy that asks is told that the broker is at work. */
async function alive(port: number): Promise<boolean> {
  const raw = net.connect(port, '127.0.0.1');
  let said: Buffer = none;
  raw.on('error', () => {}).on('data', (bytes: Buffer) => (said = Buffer.concat([said, bytes])));
  raw.write(LIVENESS_QUESTION);
  await once(raw, 'end', { signal: AbortSignal.timeout(5_000) }).finally(() => raw.destroy());
  return said.equals(LIVENESS_ANSWER);
}

test('a proxy hears without a handshake that the broker is at work, also when nobody else may come in', async (t) => {
  const limits = { connections: 2 };
  const { issue, connect, reply, refused, proxyPort, waitFor, accepted, listener } = await forProxies(t, { limits });
  assert.ok(await alive(proxyPort));
  for (const number of [1, 2]) {
    assert.equal(await reply(await connect(issue(), alice)), 'hello');
    await until(() => listener.connections() === number);
  }
  assert.ok(await alive(proxyPort));
  await refused(await connect(issue(), alice));
  await refused(await connect(issue(), proxyHeader({ command: 0x20 })));
  await waitFor(/there are as many as limits\.connections allows/);
  assert.ok(await alive(proxyPort));
  await until(() => listener.connections() === 2);
  assert.equal(accepted.length, 2);
});

test('of who shows no certificate there are as many as an address may have, beside the proxies that did', async (t) => {
  const limits = { connectionsPerAddress: 2 };
  const { issue, connect, reply, refused, proxyPort, waitFor, listener } = await forProxies(t, { limits });
  const proxied = async (number: number) =>
    reply(await connect(issue(), proxyHeader({ address: `192.0.2.${number}`, port: 9 })));
  for (const number of [1, 2, 3]) assert.equal(await proxied(number), 'hello');
  const strangers = [1, 2].map(() =>
    net
      .connect(proxyPort, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  await until(() => listener.connections() === 5);
  await refused(await connect(issue(), alice));
  await waitFor(/showed no certificate yet as limits\.connectionsPerAddress allows/);
  assert.equal(listener.connections(), 5);
  // Proxies are still told that the broker is at work.
  assert.ok(await alive(proxyPort));
  for (const stranger of strangers) stranger.destroy();
  await until(() => listener.connections() === 3);
  assert.equal(await proxied(4), 'hello');

  // Where it is known who the proxies are, there is nobody else to be kept from their places.
  const known = await forProxies(t, { limits, proxy: { addresses: ['127.0.0.1'] } });
  const many = [1, 2, 3].map(() => net.connect(known.proxyPort, '127.0.0.1').on('error', () => {}));
  await until(() => known.listener.connections() === 3);
  assert.equal(await known.reply(await known.connect(known.issue(), alice)), 'hello');
  for (const stranger of many) stranger.destroy();
});

test('header and handshake have one deadline', async (t) => {
  const clock = new ManualClock();
  const { issue, connect, reply, refused, proxyPort, waitFor, listener, accepted } = await forProxies(t, { clock });
  const client = await connect(issue(), alice);
  assert.equal(await reply(client), 'hello');
  const silent = net.connect(proxyPort, '127.0.0.1');
  silent.on('error', () => {}).resume();
  await until(() => listener.connections() === 2);
  const gone = refused({ raw: silent, socket: client.socket });
  clock.advance(5_001);
  await gone.catch(() => {});
  await waitFor(/not complete after 5000 ms/);
  await until(() => listener.connections() === 1);
  assert.equal(accepted[0]!.socket.destroyed, false);
});

test('a new CA of the proxies counts from the next connection on, and so does a new certificate of the broker', async (t) => {
  const { issue, connect, reply, refused, ca, listener, replace } = await forProxies(t);
  assert.equal(await reply(await connect(issue(), alice)), 'hello');
  const next = makeAuthority({ name: 'other proxies' });
  await writeFile(ca, next.cert);
  await replace();
  await listener.reload();
  assert.equal(await reply(await connect(next.issue({ purpose: 'proxy' }), alice)), 'hello');
  await refused(await connect(issue(), alice));
});

test('without a CA file that can be read there is no door', async (t) => {
  await assert.rejects(
    forProxies(t, { proxy: { ca: '/nowhere/ca.pem' } }),
    (error) =>
      error instanceof UsageError && /^listener\.proxy\.ca: \/nowhere\/ca\.pem cannot be read/.test(error.message),
  );
});
