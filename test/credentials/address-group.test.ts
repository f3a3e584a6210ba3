import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup } from '../../src/credentials/address-group.js';

test('IPv4 stands for itself, in either notation; IPv6 for its /64', () => {
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
  for (const [address, group] of table) assert.equal(addressGroup(address), group, address);
});
