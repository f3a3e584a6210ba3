// Work that may be long: it goes on for a slice, gives way to others, and waits for a valve without holding anybody up.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Job, perform, Work } from '../../src/fairness/job.js';
import { Valve } from '../../src/valve.js';
import { nextTurn, Worker, WorkTime } from '../support/work-time.js';

function setup() {
  const time = new WorkTime();
  const diary: string[] = [];
  /** Steps of a fifth of a millisecond each. */
  function* steps(name: string, count: number): Job {
    for (let step = 1; step <= count; step++) {
      time.spend(0.2);
      diary.push(`${name}${step}`);
      if (step < count) yield;
    }
  }
  return { time, scheduler: time.scheduler, alice: new Worker(time), bob: new Worker(time), diary, steps };
}

describe('a job that nothing waits for', () => {
  test('is done at once when it is short and its owner may work', () => {
    const { scheduler, alice, diary, steps } = setup();
    perform(steps('a', 3), alice.account, scheduler);
    assert.deepEqual(diary, ['a1', 'a2', 'a3']);
    assert.equal(alice.account.tasks.length, 0);
    assert.ok(Math.abs(alice.account.workedMs - 0.6) < 1e-9, 'and the time is its owner’s');
  });

  test('stops after a millisecond, and goes on in its owner’s turns with those of others in between', async () => {
    const { scheduler, alice, bob, diary, steps } = setup();
    perform(steps('a', 12), alice.account, scheduler);
    assert.equal(diary.length, 5);
    perform(steps('b', 4), bob.account, scheduler);
    assert.deepEqual(diary.slice(5), ['b1', 'b2', 'b3', 'b4'], 'bob has not worked yet, and need not wait');
    await scheduler.whenIdle();
    assert.deepEqual(
      diary.slice(9),
      Array.from({ length: 7 }, (_, i) => `a${6 + i}`),
    );
    assert.equal(alice.account.tasks.length, 0);
  });

  test('waits in line when its owner may not work now', async () => {
    const { scheduler, time, alice, bob, diary, steps } = setup();
    bob.keepBusy(0.5, 20);
    time.workAtOnce(alice.account, 10);
    perform(steps('a', 1), alice.account, scheduler);
    assert.deepEqual(diary, []);
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['a1']);
  });

  test('that waits for a valve costs nobody a turn, and goes on when that opens', async () => {
    const { scheduler, alice, diary } = setup();
    const valve = new Valve();
    valve.close();
    function* waiting(): Job {
      diary.push('before');
      yield valve;
      diary.push('after');
    }
    perform(waiting(), alice.account, scheduler);
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['before']);
    assert.equal(alice.account.tasks.length, 0);
    valve.open();
    assert.deepEqual(diary, ['before'], 'in its owner’s turn, not in that of whoever opened');
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['before', 'after']);
  });

  test('does not wait for a valve that is open', async () => {
    const { scheduler, alice, diary } = setup();
    function* going(): Job {
      yield new Valve();
      diary.push('after');
    }
    perform(going(), alice.account, scheduler);
    assert.deepEqual(diary, ['after']);
  });

  test('that fails at once tells whoever began it, and leaves the scheduler as it was', async () => {
    const { scheduler, time, alice, bob, diary, steps } = setup();
    // biome-ignore lint/correctness/useYield: it fails before.
    function* failing(): Job {
      throw new Error('a defect');
    }
    assert.throws(() => perform(failing(), alice.account, scheduler), /a defect/);
    scheduler.begin();
    time.spend(0.9);
    assert.equal(scheduler.sliceOver, false, 'a slice of its own, not the rest of that one');
    scheduler.end(bob.account);
    perform(steps('a', 1), alice.account, scheduler);
    assert.deepEqual(diary, ['a1']);
  });

  test('that fails later is told to the scheduler, and is over', async () => {
    const { scheduler, time, alice } = setup();
    function* failing(): Job {
      time.spend(1);
      yield;
      throw new Error('a defect');
    }
    perform(failing(), alice.account, scheduler);
    await scheduler.whenIdle();
    assert.match(String(time.failures), /a defect/);
    await nextTurn();
    assert.equal(alice.account.tasks.length, 0);
  });
});

test('jobs of one owner take turns among themselves', async () => {
  const { scheduler, alice, diary, steps } = setup();
  for (const name of ['a', 'b']) perform(steps(name, 15), alice.account, scheduler);
  await scheduler.whenIdle();
  assert.equal(diary.length, 30);
  assert.ok(diary.indexOf('b1') < diary.indexOf('a15'), diary.join());
  for (const name of ['a', 'b']) {
    assert.deepEqual(
      diary.filter((step) => step.startsWith(name)),
      Array.from({ length: 15 }, (_, i) => `${name}${i + 1}`),
    );
  }
});

test('going on with a job says how far that came', () => {
  const { scheduler, time, alice, steps } = setup();
  const valve = new Valve();
  valve.close();
  function* job(): Job {
    yield* steps('a', 7);
    yield valve;
  }
  const running = new Work(job());
  scheduler.begin();
  assert.equal(running.proceed(scheduler), 'slice-over');
  assert.ok(time.nowMs < 1.3);
  scheduler.end(alice.account);
  scheduler.begin();
  assert.equal(running.proceed(scheduler), valve);
  // Whoever asks too early, because a connection has to make way, does not get past it.
  assert.equal(running.proceed(scheduler), valve);
  valve.open();
  assert.equal(running.proceed(scheduler), 'done');
  scheduler.end(alice.account);
});
