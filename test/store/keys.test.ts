import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberText, readNumber } from '../../src/store/keys.js';

test('the keys of a queue sort as their numbers do, however many have gone through it', () => {
  const numbers = Array.from({ length: 16 }, (_, digits) => 10 ** digits).flatMap((n) => [n - 1, n, n + 1]);
  const ascending = [...new Set(numbers)].sort((a, b) => a - b);
  // As LevelDB and PostgreSQL compare: by bytes.
  const sorted = ascending.map(numberText).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(sorted.map(readNumber), ascending);
});
