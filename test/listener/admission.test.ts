import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from '../../src/listener/admission.js';

test('a network has as many connections as are allowed, whatever came and went before, and others have theirs', () => {
  const admission = new Admission({ connectionsPerAddress: 3 });
  for (let round = 0; round < 5; round += 1) {
    for (let count = 0; count < 3; count += 1) assert.equal(admission.admit('192.0.2.1'), true);
    for (let count = 0; count < 3; count += 1) assert.equal(admission.admit('192.0.2.1'), false);
    assert.equal(admission.admit('192.0.2.2'), true);
    // What was refused is not released.
    admission.release('192.0.2.1');
    assert.equal(admission.admit('192.0.2.1'), true);
    assert.equal(admission.admit('192.0.2.1'), false);
    for (let count = 0; count < 3; count += 1) admission.release('192.0.2.1');
    admission.release('192.0.2.2');
  }
});

test('of a network without a connection nothing is kept', () => {
  const admission = new Admission({ connectionsPerAddress: 3 });
  for (let network = 0; network < 1_000; network += 1) {
    assert.equal(admission.admit(`2001:db8:0:${network}::/64`), true);
    assert.equal(admission.admit(`2001:db8:0:${network}::/64`), true);
    assert.equal(admission.networks, 1);
    admission.release(`2001:db8:0:${network}::/64`);
    admission.release(`2001:db8:0:${network}::/64`);
  }
  assert.equal(admission.networks, 0);
});
