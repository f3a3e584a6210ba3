import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pace, type Rate } from '../../src/fairness/pace.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { networkAccount, newScheduler } from '../support/accounts.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function paced(rate: Partial<Rate>) {
  const clock = new ManualClock();
  const scheduler = newScheduler();
  const seen = { closed: 0, pumps: 0, waitedMs: 0 };
  const whole: Rate = { messagesPerSecond: 0, bytesPerSecond: 0, burstMs: 1_000, ...rate };
  const pace = new Pace(
    {
      ...{ owner: networkAccount(), scheduler, clock },
      pump: () => void seen.pumps++,
      onClosed: () => void seen.closed++,
      onWaited: (ms) => {
        seen.waitedMs += ms;
      },
    },
    whole,
  );
  /** Time goes by, with turns in between. */
  const pass = async (ms: number, stepMs = 5) => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(stepMs, left));
      await scheduler.whenIdle();
      await turn();
    }
  };
  return { pace, clock, seen, pass };
}

test('a burst comes at once, then as many as the rate has', async () => {
  const { pace, seen, pass } = paced({ messagesPerSecond: 10, burstMs: 500 });
  for (let i = 0; i < 4; i++) {
    pace.take(1, 100);
    assert.equal(pace.closed, false);
  }
  pace.take(1, 100);
  assert.deepEqual([pace.closed, seen.closed], [true, 1]);
  await pass(99);
  assert.equal(pace.closed, true);
  await pass(2);
  assert.equal(pace.closed, false);
  assert.equal(seen.pumps, 1);
  assert.equal(seen.waitedMs, pace.state().closedMs);
  assert.equal(pace.full, false);
  await pass(10_000);
  // Saved is no more than the burst.
  assert.equal(pace.state().messagesLeft, 5);
  assert.equal(pace.full, true);
});

test('bytes may be overdrawn by one message, and are paid before the next', async () => {
  const { pace, pass } = paced({ bytesPerSecond: 1_000, burstMs: 1_000 });
  pace.take(1, 900);
  assert.equal(pace.closed, false);
  pace.take(1, 10_100);
  assert.equal(pace.closed, true);
  assert.equal(pace.state().bytesLeft, -10_000);
  await pass(9_990, 10);
  assert.equal(pace.closed, true);
  await pass(20, 10);
  assert.equal(pace.closed, false);
  assert.ok(Math.abs(pace.state().closedMs - 10_000) <= 20);
});

test('those who wait take turns: who comes again stands behind the others', async () => {
  const { pace, pass } = paced({ messagesPerSecond: 100, burstMs: 10 });
  const went: string[] = [];
  const wait = (name: string) =>
    pace.whenOpen(() => {
      went.push(name);
      pace.take(1, 0);
      wait(name);
    });
  pace.take(1, 0);
  for (const name of ['a', 'b', 'c']) wait(name);
  await pass(600);
  assert.ok(went.length > 30, `${went.length}`);
  assert.deepEqual(went.slice(0, 9), ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
});

test('who comes new stands behind those who wait, in the moment that it opens too', async () => {
  const { pace, clock, pass } = paced({ messagesPerSecond: 10, burstMs: 100 });
  const first = () => {};
  const other = () => {};
  assert.equal(pace.mayPass(first), true);
  pace.take(1, 0);
  assert.equal(pace.mayPass(first), false);
  pace.wait(first, false);
  clock.advance(110);
  assert.deepEqual([pace.closed, pace.mayPass(other), pace.mayPass(first)], [false, false, false]);
  // Its turn comes, and is over when it has had the time.
  pace.work();
  assert.deepEqual([pace.mayPass(other), pace.mayPass(first)], [false, false]);
  pace.work();
  assert.deepEqual([pace.mayPass(other), pace.mayPass(first)], [false, true]);
  await pass(5);
  assert.deepEqual([pace.mayPass(other), pace.mayPass(first)], [true, true]);
});

test('who asks for nothing when woken lets the next one go on at once', async () => {
  const { pace, pass } = paced({ messagesPerSecond: 10, burstMs: 100 });
  pace.take(1, 0);
  let woken = 0;
  for (let i = 0; i < 50; i++) pace.whenOpen(() => void woken++);
  await pass(120);
  assert.equal(woken, 50);
});

test('other limits count at once, what was overdrawn too; without any, everybody goes on', async () => {
  const { pace, pass } = paced({ messagesPerSecond: 1, burstMs: 1_000 });
  for (let i = 0; i < 20; i++) pace.take(1, 0);
  let woken = 0;
  pace.whenOpen(() => void woken++);
  pace.configure({ messagesPerSecond: 100, bytesPerSecond: 0, burstMs: 1_000 });
  await pass(220);
  assert.deepEqual([pace.closed, woken], [false, 1]);
  pace.configure({ messagesPerSecond: 1, bytesPerSecond: 0, burstMs: 1_000 });
  for (let i = 0; i < 20; i++) pace.take(1, 0);
  pace.whenOpen(() => void woken++);
  pace.configure({ messagesPerSecond: 0, bytesPerSecond: 0, burstMs: 1_000 });
  await pass(5);
  assert.deepEqual([pace.closed, woken], [false, 2]);
  assert.equal(pace.state().messagesLeft, null);
});

test('whatever comes, no more goes than burst and rate allow, and no less than the rate when somebody always waits', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        rate: fc.integer({ min: 1, max: 400 }),
        burstMs: fc.integer({ min: 100, max: 3_000 }),
        steps: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 5, maxLength: 30 }),
      }),
      async ({ rate, burstMs, steps }) => {
        const { pace, pass } = paced({ messagesPerSecond: rate, burstMs });
        let went = 0;
        const go = () => {
          for (; !pace.closed; went++) pace.take(1, 0);
          pace.whenOpen(go);
        };
        go();
        let passed = 0;
        for (const step of steps) {
          await pass(step);
          passed += step;
          const burst = Math.max(1, (rate * burstMs) / 1_000);
          const most = burst + (rate * passed) / 1_000;
          assert.ok(went <= most + 1e-6, `${went} of ${most}`);
          // A timer wakes somebody up to 10 ms late, and the clock goes by steps of five. What comes meanwhile is lost,
          // each time, where a burst is hardly more than a message.
          const lost = went * Math.max(0, rate * 0.01 - (burst - 1));
          assert.ok(went >= Math.floor(most - rate * 0.02 - lost) - 1, `${went} of ${most}`);
        }
      },
    ),
    { numRuns: 60 },
  );
});
