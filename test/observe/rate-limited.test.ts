import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/clock.js';
import { createRateLimited } from '../../src/observe/rate-limited.js';

/** Time that passes when told to. */
function manualClock(): Clock & { pass(ms: number): void; pending(): number } {
  let time = 0;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => time,
    after(delayMs, callback) {
      const timer = { at: time + delayMs, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    every: () => assert.fail('not used here'),
    pass(ms) {
      time += ms;
      for (const timer of [...timers].filter(({ at }) => at <= time)) if (timers.delete(timer)) timer.callback();
    },
    pending: () => timers.size,
  };
}

test('the first line at once, then one per period with the number suppressed, then quiet', () => {
  const clock = manualClock();
  const limited = createRateLimited({ clock });
  const lines: string[] = [];
  const deny = (topic: string) => limited.line('alice', (suppressed) => lines.push(`${topic} ${suppressed}`));
  deny('a');
  assert.deepEqual(lines, ['a 0']);
  for (const topic of ['b', 'c', 'd']) deny(topic);
  clock.pass(9_999);
  assert.deepEqual(lines, ['a 0']);
  clock.pass(1);
  assert.deepEqual(lines, ['a 0', 'd 2']);
  deny('e');
  clock.pass(10_000);
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0']);
  clock.pass(10_000);
  assert.equal(clock.pending(), 0);
  deny('f');
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0', 'f 0']);
});

test('keys do not disturb each other, and inventing keys does not get more lines written', () => {
  const clock = manualClock();
  const limited = createRateLimited({ clock, maxKeys: 10 });
  let lines = 0;
  for (let i = 0; i < 1_000; i += 1) {
    limited.line(`key ${i}`, () => {
      lines += 1;
    });
  }
  assert.equal(lines, 11);
  assert.equal(clock.pending(), 11);
  limited.close();
  assert.equal(lines, 12);
  assert.equal(clock.pending(), 0);
});
