// Runs alone: measures time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attacksHeld, representatives } from './swarm/attacks-held.js';
import { catalogue } from './swarm/catalogue.js';

// One attack for each promise; all the others are in promises-all.test.ts.
attacksHeld((name) => representatives.includes(name));

test('those that stand for the others are there', () => {
  const names = catalogue(1, 1).map(({ attack }) => attack.name);
  assert.deepEqual(
    representatives.filter((name) => !names.includes(name)),
    [],
  );
});
