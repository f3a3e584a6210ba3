import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { proxyHeader } from '../support/proxy-headers.js';
import { tempFolder } from '../support/temp-folder.js';
import { testListener, until } from '../support/test-listener.js';

type Overrides = NonNullable<Parameters<typeof testListener>[1]>;

/** A listener on a Unix socket alone, and what connects to it. */
async function behindProxy(t: TestContext, overrides: Overrides = {}, folder?: string) {
  const path = join(folder ?? (await tempFolder(t)), 'broker.sock');
  const opened = await testListener(t, { ...overrides, proxy: { exclusive: true, socket: path, ...overrides.proxy } });
  const connect = async (header: Buffer) => {
    const socket = net.connect({ path });
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(header);
    await once(socket, 'connect');
    return socket;
  };
  return { ...opened, path, connect };
}

async function echo(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
  return String(data);
}

async function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
}

const alice = proxyHeader({ address: '192.0.2.7', port: 40_000 });

test('a relayed client has its own address, and what comes with the header is not lost', async (t) => {
  const { connect, accepted, listener } = await behindProxy(t);
  const socket = await connect(Buffer.concat([alice, Buffer.from('hello')]));
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  assert.equal(await echo(await connect(proxyHeader({ address: '2001:db8::7', port: 9 })), 'six'), 'six');
  const mapped = await connect(proxyHeader({ address: '::ffff:192.0.2.8', port: 8 }));
  assert.equal(await echo(mapped, 'mapped'), 'mapped');
  const peers = accepted.map(({ peer }) => `${peer.address} ${peer.port}`);
  assert.deepEqual(peers, ['192.0.2.7 40000', '2001:db8::7 9', '192.0.2.8 8']);
  assert.equal(listener.port, null);
  assert.equal(listener.connections(), 3);
});

test('a header that comes byte by byte is a header', async (t) => {
  const { connect, accepted } = await behindProxy(t);
  const socket = await connect(Buffer.alloc(0));
  for (const byte of Buffer.concat([alice, Buffer.from('hello')])) {
    socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  assert.match(String((await once(socket, 'data'))[0]), /^h/);
  assert.equal(accepted[0]?.peer.address, '192.0.2.7');
});

test('a check of the proxy is no client, and nothing is said about it; one that goes on is', async (t) => {
  const { connect, accepted, listener, text } = await behindProxy(t);
  const check = proxyHeader({ command: 0x20 });
  for (const header of [check, Buffer.alloc(0), alice.subarray(0, 5)]) (await connect(header)).end();
  await until(() => listener.connections() === 0);
  assert.equal(accepted.length, 0);
  assert.equal(text(), '');
  const socket = await connect(check);
  assert.equal(await echo(socket, 'hello'), 'hello');
  assert.deepEqual(accepted[0]?.peer, { address: 'proxy', port: 0, transport: 'proxy' });
});

for (const [what, bytes, reason] of [
  ['MQTT without a header', Buffer.from('101800044d515454', 'hex'), /no header of the PROXY protocol/],
  ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 40000 8883\r\n'), /version 1/],
  ['TLS', Buffer.from('1603010200010001fc0303', 'hex'), /no header/],
] as const) {
  test(`${what} is closed without an answer, and one line says why`, async (t) => {
    const { connect, lines, accepted, listener } = await behindProxy(t);
    for (let time = 0; time < 3; time++) {
      const socket = await connect(bytes);
      socket.on('data', () => assert.fail('there was an answer'));
      await closed(socket);
    }
    await until(() => listener.connections() === 0);
    const said = lines();
    assert.equal(said.length, 1);
    assert.match(String(said[0]?.msg), reason);
    assert.equal(accepted.length, 0);
  });
}

test('a header has a deadline, and so has the first byte of what the proxy opens for itself', async (t) => {
  const clock = new ManualClock();
  const { connect, waitFor, listener } = await behindProxy(t, { clock });
  const sockets = await Promise.all([alice.subarray(0, 20), proxyHeader({ command: 0x20 })].map(connect));
  await until(() => listener.connections() === 2);
  const both = Promise.all(sockets.map(closed));
  clock.advance(5_001);
  await both;
  await waitFor(/no whole header of the PROXY protocol after 5000 ms/);
});

test('limits.connectionsPerAddress counts by the address that the proxy tells', async (t) => {
  const limits = { connectionsPerAddress: 2 };
  const { connect, waitFor, accepted } = await behindProxy(t, { limits });
  for (const text of ['one', 'two']) assert.equal(await echo(await connect(alice), text), text);
  await closed(await connect(Buffer.concat([alice, Buffer.from('three')])));
  await waitFor(/Connection refused: 192\.0\.2\.7 has as many/);
  assert.equal(await echo(await connect(proxyHeader({ address: '192.0.2.8' })), 'other'), 'other');
  accepted[0]!.socket.destroy();
  await until(() => accepted[0]!.socket.closed);
  assert.equal(await echo(await connect(alice), 'again'), 'again');
});

test('limits.connections is for all doors together', async (t) => {
  const limits = { connections: 2 };
  const { connect, port, waitFor, listener } = await behindProxy(t, { limits, proxy: { exclusive: false } });
  assert.equal(await echo(await connect(alice), 'one'), 'one');
  const tcp = net.connect(port, '127.0.0.1');
  t.after(() => tcp.destroy());
  await until(() => listener.connections() === 2);
  await closed(await connect(alice));
  await waitFor(/there are as many as limits\.connections allows/);
});

test('the socket has its mode from the start, and goes with the listener', async (t) => {
  const { path, listener } = await behindProxy(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await listener.close();
  assert.equal(existsSync(path), false);
  const group = process.getgid!();
  const other = await behindProxy(t, { proxy: { socketMode: '660', socketOwner: `:${group}` } });
  const { mode, gid } = statSync(other.path);
  assert.deepEqual([mode & 0o777, gid], [0o660, group]);
});

test('what a killed broker left behind is replaced; what another one listens on is not', async (t) => {
  const folder = await tempFolder(t);
  const left = net.createServer().listen(join(folder, 'left.sock'));
  await once(left, 'listening');
  const path = join(folder, 'broker.sock');
  renameSync(join(folder, 'left.sock'), path);
  await assert.rejects(behindProxy(t, {}, folder), /another process listens on .*broker\.sock/);
  // Its socket stays behind under the other name.
  await new Promise((resolve) => left.close(resolve));
  const { connect } = await behindProxy(t, {}, folder);
  assert.equal(await echo(await connect(alice), 'hello'), 'hello');
});

test('a path, mode or owner that will not do is refused with the remedy', async (t) => {
  const folder = await tempFolder(t);
  const refused = (proxy: object, message: RegExp) =>
    assert.rejects(
      testListener(t, { proxy: { exclusive: true, socket: join(folder, 'a.sock'), ...proxy } }),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  writeFileSync(join(folder, 'file'), '');
  await refused({ socket: join(folder, 'file') }, /is there and is no socket/);
  await refused({ socket: join(folder, 'no', 'a.sock') }, /the folder .*no is not there/);
  await refused({ socket: join(folder, 'x'.repeat(100)) }, /is too long/);
  await refused({ socketOwner: 'nobody-of-that-name' }, /socketOwner: .*\/etc\/passwd has no nobody-of-that-name/);
});
