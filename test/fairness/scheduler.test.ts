// Whose turn it is, told by time that passes when work spends it: a turn, a slice and a debt are exact.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { networkAccount } from '../support/accounts.js';
import { nextTurn, Worker, WorkTime } from '../support/work-time.js';

function setup() {
  const time = new WorkTime();
  return { time, scheduler: time.scheduler, alice: new Worker(time), bob: new Worker(time) };
}

describe('turns', () => {
  test('go by owner, and what counts is the time that was measured, not how many pieces of work there were', async () => {
    const { time, scheduler, alice, bob } = setup();
    // A hundred lines of work of one millisecond against one of a tenth.
    for (let line = 0; line < 100; line++) alice.keepBusy(1, 400);
    bob.keepBusy(0.1, 400);
    await scheduler.whenIdle();
    assert.ok(Math.abs(alice.workedMs - bob.workedMs) <= 100, `${alice.workedMs} and ${bob.workedMs} ms`);
    assert.ok(time.nowMs < 500 + 100);
  });

  test('last a millisecond where work can stop', async () => {
    const { scheduler, alice, bob } = setup();
    alice.keepBusy(0.25, 100);
    bob.keepBusy(0.25, 100);
    await scheduler.whenIdle();
    for (const { turns } of [alice, bob]) assert.deepEqual(new Set(turns), new Set([1]));
  });

  test('are given for four milliseconds, then sockets are read', async () => {
    const { time, alice, bob } = setup();
    alice.keepBusy(0.25, 100);
    bob.keepBusy(0.25, 100);
    await nextTurn();
    assert.equal(time.nowMs, 4);
    await nextTurn();
    assert.equal(time.nowMs, 8);
  });

  test('come to everybody when there are more than fit before sockets are read', async () => {
    const { time, scheduler } = setup();
    const owners = Array.from({ length: 50 }, () => new Worker(time));
    for (const owner of owners) owner.keepBusy(1, 500);
    await scheduler.whenIdle();
    for (const owner of owners) assert.ok(owner.workedMs >= 9 && owner.workedMs <= 12, `${owner.workedMs} ms`);
  });

  test('whatever work costs, nobody who always has some gets less than another by more than one piece', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 2, maxLength: 12 }),
        async (tenthsOfMs) => {
          const { time, scheduler } = setup();
          const owners = tenthsOfMs.map((piece) => ({ piece: piece / 10, worker: new Worker(time) }));
          const untilMs = 4_000;
          for (const { piece, worker } of owners) worker.keepBusy(piece, untilMs);
          while (time.nowMs < untilMs) await nextTurn();
          const worked = owners.map(({ worker }) => worker.workedMs);
          const largest = Math.max(...owners.map(({ piece }) => piece));
          const most = Math.max(...worked);
          const least = Math.min(...worked);
          assert.ok(most - least <= largest + 3, `from ${least} to ${most} ms, with pieces up to ${largest} ms`);
          await scheduler.whenIdle();
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('debt', () => {
  test('is paid off: one long piece of work waits for the others to have as much', async () => {
    const { scheduler, alice, bob } = setup();
    const order: string[] = [];
    alice.work(30, () => order.push('alice'));
    alice.work(1, () => order.push(`alice again, after ${bob.workedMs} ms of bob`));
    bob.keepBusy(0.5, 200);
    await scheduler.whenIdle();
    assert.equal(order[0], 'alice');
    const waited = Number(/after ([\d.]+) ms/.exec(order[1]!)?.[1]);
    assert.ok(waited >= 28 && waited <= 31, order[1]);
  });

  test('is time: what one piece took beyond its slice is owed, several pieces together too', async () => {
    const { time, scheduler, alice, bob } = setup();
    bob.keepBusy(0.5, 50);
    for (let i = 0; i < 10; i++) time.workAtOnce(alice.account, 1);
    assert.equal(scheduler.mayWork(alice.account), false);
    await nextTurn();
    assert.equal(bob.workedMs, 4);
    assert.equal(scheduler.mayWork(alice.account), false, 'six more');
    await nextTurn();
    assert.equal(scheduler.mayWork(alice.account), false, 'two more, of which one is forgiven');
    await nextTurn();
    assert.equal(scheduler.mayWork(alice.account), true);
    await scheduler.whenIdle();
  });

  test('costs nothing when nobody else has work', async () => {
    const { time, scheduler, alice, bob } = setup();
    time.workAtOnce(alice.account, 1_000);
    await nextTurn();
    scheduler.touch();
    await nextTurn();
    assert.equal(scheduler.mayWork(alice.account), true);
    // Who comes now has a start, and not a thousand milliseconds of it.
    let before = 0;
    alice.work(1, () => {
      before = bob.workedMs;
    });
    bob.keepBusy(0.5, 1_100);
    await scheduler.whenIdle();
    assert.ok(before >= 2 && before <= 6, `alice waited for ${before} ms of bob`);
  });

  test('of somebody who is new is nothing, however long the others have been there', async () => {
    const { time, scheduler, alice, bob } = setup();
    alice.keepBusy(0.5, 2_000);
    for (let turns = 0; turns < 200; turns++) await nextTurn();
    const begun = time.nowMs;
    bob.work(0.5, () => assert.ok(time.nowMs - begun <= 5, `bob waited for ${time.nowMs - begun} ms`));
    for (let turns = 0; turns < 3; turns++) await nextTurn();
    assert.equal(bob.turns.length, 1);
    await scheduler.whenIdle();
  });
});

describe('work that comes', () => {
  test('is done at once while nobody waits, and goes to the line behind what waits there', async () => {
    const { scheduler, alice, bob } = setup();
    assert.equal(scheduler.mayWork(alice.account), true);
    alice.work(0.1);
    assert.equal(scheduler.mayWork(alice.account), false, 'it would overtake');
    assert.equal(scheduler.mayWork(bob.account), true, 'who is not ahead of her');
    await scheduler.whenIdle();
    assert.equal(scheduler.mayWork(alice.account), true);
  });

  test('is done at once for two milliseconds in a turn of the event loop: the next socket may be of another', async () => {
    const { time, scheduler, alice, bob } = setup();
    for (let i = 0; i < 3; i++) time.workAtOnce(alice.account, 0.9);
    assert.equal(scheduler.mayWork(alice.account), false);
    assert.equal(scheduler.mayWork(bob.account), true);
    scheduler.touch();
    await nextTurn();
    assert.equal(scheduler.mayWork(alice.account), true);
  });

  test('is done once more for each, when all together have worked long in a turn', async () => {
    const { time, scheduler } = setup();
    const crowd = Array.from({ length: 9 }, () => networkAccount());
    for (const account of crowd) time.workAtOnce(account, 1);
    assert.ok(crowd.every((account) => !scheduler.mayWork(account)));
    assert.equal(scheduler.mayWork(networkAccount()), true);
  });

  test('and begins other work belongs to who began it', () => {
    const { time, scheduler, alice, bob } = setup();
    scheduler.begin();
    time.spend(1);
    scheduler.begin();
    time.spend(2);
    scheduler.end(bob.account);
    scheduler.end(alice.account);
    assert.deepEqual([alice.account.workedMs, bob.account.workedMs], [3, 0]);
  });

  test('may be interrupted after a millisecond, counted from its own beginning', () => {
    const { time, scheduler, alice } = setup();
    time.spend(100);
    scheduler.begin();
    time.spend(0.75);
    scheduler.begin();
    assert.equal(scheduler.sliceOver, false);
    time.spend(0.25);
    assert.equal(scheduler.sliceOver, true);
    scheduler.end(alice.account);
    scheduler.end(alice.account);
  });
});

describe('sockets', () => {
  test('are flushed before the work of their owner, and count as work', async () => {
    const { time, scheduler, alice } = setup();
    const order: string[] = [];
    alice.work(0.1, () => order.push('work'));
    scheduler.mark(alice.account, {
      flush: () => {
        time.spend(0.2);
        order.push('flush');
      },
    });
    await scheduler.whenIdle();
    assert.deepEqual(order, ['flush', 'work']);
    assert.ok(Math.abs(alice.account.workedMs - 0.3) < 1e-9);
  });

  test('that take long are flushed in several turns, those of others in between', async () => {
    const { time, scheduler, alice, bob } = setup();
    const order: string[] = [];
    const socket = (name: string, ms: number) => ({
      flush: () => {
        time.spend(ms);
        order.push(name);
      },
    });
    for (const name of ['a1', 'a2', 'a3']) scheduler.mark(alice.account, socket(name, 1));
    for (const name of ['b1', 'b2']) scheduler.mark(bob.account, socket(name, 0.1));
    await scheduler.whenIdle();
    assert.deepEqual(order, ['a1', 'b1', 'b2', 'a2', 'a3']);
  });

  test('may be put off to the next round', async () => {
    const { scheduler, alice } = setup();
    const rounds: number[] = [];
    const socket = { flush: () => rounds.push(scheduler.id) };
    scheduler.mark(alice.account, { flush: () => scheduler.markLater(alice.account, socket) });
    await scheduler.whenIdle();
    assert.deepEqual(rounds, [3]);
  });
});

describe('a defect', () => {
  test('in a piece of work is told, and everything else goes on', async () => {
    const { time, scheduler, alice, bob } = setup();
    const defect = new Error('a defect');
    alice.add({
      work: () => {
        throw defect;
      },
    });
    alice.work(1);
    bob.work(1);
    await scheduler.whenIdle();
    assert.deepEqual(time.failures, [defect]);
    assert.deepEqual([alice.turns, bob.turns], [[1], [1]]);
  });

  test('in a socket leaves those of the same owner alone', async () => {
    const { time, scheduler, alice } = setup();
    let flushed = 0;
    const good = { flush: () => flushed++ };
    const bad = {
      flush: () => {
        throw new Error('a defect');
      },
    };
    for (const socket of [good, bad, good]) scheduler.mark(alice.account, socket);
    await scheduler.whenIdle();
    assert.equal(time.failures.length, 1);
    assert.equal(flushed, 2);
  });
});
