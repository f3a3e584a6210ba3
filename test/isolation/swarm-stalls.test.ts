import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { type Reading, readingOf, Stalls } from './swarm/stalls.js';

interface Tick {
  /** What the broker's main thread had of ten milliseconds, and had to wait for. */
  readonly ran?: number;
  readonly delay?: number;
  readonly others?: readonly number[];
  readonly watcher?: number;
}

/** Readings every ten milliseconds, in which all that is said adds up. */
function told(ticks: readonly Tick[]): Stalls {
  let reading: Reading = {
    ...{ atMs: 0, brokerRanMs: 0, brokerDelayMs: 0, watcherDelayMs: 0 },
    othersDelayMs: new Map([0, 1].map((id) => [`${id}`, 0])),
  };
  const stalls = new Stalls(() => reading);
  stalls.look();
  for (const { ran = 0, delay = 0, others = [], watcher = 0 } of ticks) {
    reading = {
      atMs: reading.atMs + 10,
      brokerRanMs: reading.brokerRanMs + ran,
      brokerDelayMs: reading.brokerDelayMs + delay,
      othersDelayMs: new Map([...reading.othersDelayMs].map(([id, ms]) => [id, ms + (others[Number(id)] ?? 0)])),
      watcherDelayMs: reading.watcherDelayMs + watcher,
    };
    stalls.look();
  }
  return stalls;
}

const times = (count: number, tick: Tick): Tick[] => Array.from({ length: count }, () => tick);
const span = { fromMs: 0, toMs: 300 };

test('what the machine took from the broker is not held against it', () => {
  assert.equal(told(times(30, { ran: 1, delay: 9 })).ownMs(span), 30);
  assert.equal(told([...times(15, { delay: 10 }), ...times(15, {})]).ownMs(span), 150);
  assert.equal(told(times(30, { ran: 2, delay: 3, others: [1, 5] })).ownMs(span), 60, 'it waited for a thread, too');
});

test('what the broker computed is, whoever had to wait meanwhile', () => {
  assert.equal(told(times(30, { ran: 10 })).ownMs(span), 300);
  const computing = { ran: 9, delay: 1, others: [10, 10], watcher: 5 };
  assert.equal(
    told(times(30, computing)).ownMs({ fromMs: 0, toMs: 299 }),
    264,
    'the watcher saw the end five milliseconds late',
  );
  // Half of it was the machine, half of it the broker, and other threads waited all the time.
  const halves = [...times(15, { delay: 10, others: [10] }), ...times(15, { ran: 10, others: [10] })];
  assert.equal(told(halves).ownMs(span), 150);
});

test('in doubt the span waited for the thread that waited longest, whatever the main one computed', () => {
  const writing = times(30, { ran: 8, delay: 2, others: [0, 5] });
  assert.equal(told(writing).ownMs(span), 240);
  assert.equal(told(writing).leastMs(span), 90);
});

test('a thread says how long it waited only when it runs again', () => {
  const waiting = [{ ran: 10 }, ...times(20, {}), { ran: 1, delay: 200 }, ...times(8, { ran: 10 })];
  assert.equal(told(waiting).ownMs(span), 100);
});

test('a span that ends between two readings has the benefit of the doubt', () => {
  const stalls = told([{ ran: 10 }, { delay: 10 }, { ran: 10 }]);
  assert.equal(stalls.ownMs({ fromMs: 12, toMs: 18 }), 0);
  assert.equal(stalls.ownMs({ fromMs: 8, toMs: 28 }), 10);
  assert.equal(stalls.ownMs({ fromMs: 25, toMs: 40 }), 15, 'nothing is known of the end');
});

test('a process that computes for 300 ms is found to have done so, however busy the machine is', async (t) => {
  const code = `
    process.on('message', () => {
      const before = process.cpuUsage();
      for (let used = 0; used < 300e3; used = process.cpuUsage(before).user + process.cpuUsage(before).system);
      process.send('done');
    });
    process.send('ready')`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const stalls = new Stalls(readingOf(child.pid!));
  stalls.start();
  t.after(() => stalls.stop());
  const fromMs = performance.now();
  child.send('compute');
  await once(child, 'message');
  const toMs = performance.now();
  stalls.stop();
  const ownMs = stalls.ownMs({ fromMs, toMs });
  assert.ok(ownMs > 200, `${ownMs} of ${toMs - fromMs} ms`);
});
