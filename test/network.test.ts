import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf, normalizeAddress } from '../src/network.js';

test('a peer has one spelling, whatever socket it came over', () => {
  const table: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::ffff:1', '2001:db8::ffff:1'],
    ['2001:DB8::1', '2001:db8::1'],
  ];
  for (const [address, spelling] of table) assert.equal(normalizeAddress(address), spelling, address);
});

test('an IPv4 address counts for itself, in either notation; an IPv6 address for its /64', () => {
  const table: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6::', '1:2:3:4::/64'],
    ['', ''],
    ['unix', 'unix'],
  ];
  for (const [address, network] of table) assert.equal(networkOf(address), network, address);
});
