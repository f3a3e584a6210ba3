import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

test('the first line at once, then one per period with the number suppressed, then quiet', () => {
  const clock = new ManualClock();
  const limited = createRateLimited({ clock });
  const lines: string[] = [];
  const deny = (topic: string) => limited.line('alice', (suppressed) => lines.push(`${topic} ${suppressed}`));
  deny('a');
  assert.deepEqual(lines, ['a 0']);
  for (const topic of ['b', 'c', 'd']) deny(topic);
  clock.advance(9_999);
  assert.deepEqual(lines, ['a 0']);
  clock.advance(1);
  assert.deepEqual(lines, ['a 0', 'd 2']);
  deny('e');
  clock.advance(10_000);
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0']);
  clock.advance(10_000);
  assert.equal(clock.pendingTimers, 0);
  deny('f');
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0', 'f 0']);
});

test('keys do not disturb each other, and inventing keys does not get more lines written', () => {
  const clock = new ManualClock();
  const limited = createRateLimited({ clock, maxKeys: 10 });
  let lines = 0;
  for (let i = 0; i < 1_000; i += 1) {
    limited.line(`key ${i}`, () => {
      lines += 1;
    });
  }
  assert.equal(lines, 11);
  assert.equal(clock.pendingTimers, 11);
  limited.close();
  assert.equal(lines, 12);
  assert.equal(clock.pendingTimers, 0);
});
