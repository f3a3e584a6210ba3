import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProxyHeader } from '../../src/listener/proxy-header.js';
import { proxyHeader } from '../support/proxy-headers.js';

const client = proxyHeader({ address: '192.0.2.7', port: 40_000 });
const client6 = proxyHeader({ address: '2001:db8::7', port: 40_001 });

test('a header says whom the proxy relays, and how long it is', () => {
  assert.deepEqual(readProxyHeader(client), { kind: 'relayed', address: '192.0.2.7', port: 40_000, length: 28 });
  assert.deepEqual(readProxyHeader(client6), { kind: 'relayed', address: '2001:db8::7', port: 40_001, length: 52 });
  const mapped = readProxyHeader(proxyHeader({ address: '::ffff:192.0.2.7', port: 1 }));
  assert.deepEqual(mapped, { kind: 'relayed', address: '192.0.2.7', port: 1, length: 52 });
});

test('what a proxy adds to the addresses, and what comes after the header, is not looked at', () => {
  const more = proxyHeader({ address: '192.0.2.7', port: 1, extra: Buffer.from('0300040a0b0c0d', 'hex') });
  const { length, ...rest } = readProxyHeader(Buffer.concat([more, Buffer.from('more')])) as { length: number };
  assert.deepEqual([length, rest], [35, { kind: 'relayed', address: '192.0.2.7', port: 1 }]);
});

test('a header that is not whole is waited for, at every length', () => {
  for (let length = 0; length < client6.length; length++) {
    assert.deepEqual(readProxyHeader(client6.subarray(0, length)), { kind: 'incomplete' }, `${length} bytes`);
  }
});

test('the proxy itself, a client of unknown address and one from a Unix socket have no address', () => {
  assert.deepEqual(readProxyHeader(proxyHeader({ command: 0x20, family: 0x00 })), { kind: 'own', length: 16 });
  assert.deepEqual(readProxyHeader(proxyHeader({ command: 0x20, address: '10.0.0.1' })), { kind: 'own', length: 28 });
  assert.deepEqual(readProxyHeader(proxyHeader({ family: 0x00 })), { kind: 'own', length: 16 });
  const unix = proxyHeader({ family: 0x31, extra: Buffer.alloc(216) });
  assert.deepEqual(readProxyHeader(unix), { kind: 'own', length: 232 });
});

for (const [what, bytes, reason] of [
  ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 40000 8883\r\n'), /version 1 .*send-proxy-v2/],
  ['MQTT at once', Buffer.from('101800044d515454', 'hex'), /no header/],
  ['one wrong byte in the signature', Buffer.from('0d0a0d0a000d0a51554955', 'hex'), /no header/],
  ['version 3', proxyHeader({ command: 0x31, address: '10.0.0.1' }), /version or command 0x31/],
  ['an unknown command', proxyHeader({ command: 0x22, address: '10.0.0.1' }), /version or command 0x22/],
  ['UDP', proxyHeader({ family: 0x12, extra: Buffer.alloc(12) }), /transport \(0x12\)/],
  ['an IPv4 header without room for the addresses', proxyHeader({ family: 0x11, extra: Buffer.alloc(11) }), /shorter/],
  ['an IPv6 header without room for the addresses', proxyHeader({ family: 0x21, extra: Buffer.alloc(35) }), /shorter/],
  ['64 KB of extras', proxyHeader({ family: 0x11, extra: Buffer.alloc(65_535) }).subarray(0, 16), /65551 bytes/],
] as const) {
  test(`${what} is bad, and it is not waited for more of it`, () => {
    const header = readProxyHeader(bytes);
    assert.equal(header.kind, 'bad');
    assert.match((header as { reason: string }).reason, reason);
  });
}
