import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTurn, Worker, WorkTime } from '../support/work-time.js';

function setup() {
  const time = new WorkTime();
  const { scheduler } = time;
  const { arrivals } = scheduler;
  const worker = new Worker(time);
  worker.keepBusy(1, 1_000);
  return { time, scheduler, arrivals, worker };
}

test('a connection that comes alone puts off the round by one turn of the event loop', async () => {
  const { scheduler, arrivals } = setup();
  const rounds = scheduler.id;
  arrivals.came();
  await nextTurn();
  assert.equal(scheduler.id - rounds, 0);
  await nextTurn();
  assert.equal(scheduler.id - rounds, 1);
  await nextTurn();
  assert.equal(scheduler.id - rounds, 2);
});

test('while they come, rounds are put off for two milliseconds at a time', async () => {
  const { time, scheduler, arrivals } = setup();
  const rounds = scheduler.id;
  const perRound: number[] = [];
  for (let came = 0, turns = 0; perRound.length < 3 && turns < 100; turns++) {
    const before = scheduler.id;
    arrivals.came();
    time.spend(0.25);
    came++;
    await nextTurn();
    if (scheduler.id === before) continue;
    perRound.push(came);
    came = 0;
  }
  assert.deepEqual(perRound, [9, 9, 9]);
  assert.equal(scheduler.id - rounds, 3);
  assert.equal(time.nowMs, 3 * (9 * 0.25 + 4), 'each round does its work');
});

test('what begins with a round does so in the next one, once, and before its work', async () => {
  const { scheduler, arrivals, worker } = setup();
  const seen: string[] = [];
  arrivals.came();
  arrivals.whenRound(() => {
    seen.push(`round ${scheduler.id}, work done ${worker.turns.length}`);
    arrivals.whenRound(() => seen.push(`round ${scheduler.id}`));
  });
  const first = scheduler.id + 1;
  await nextTurn();
  assert.deepEqual(seen, []);
  for (let turns = 0; turns < 3; turns++) await nextTurn();
  assert.deepEqual(seen, [`round ${first}, work done 0`, `round ${first + 1}`]);
});

test('what begins with a round has one also when nobody has work', async () => {
  const { scheduler } = new WorkTime();
  let begun = 0;
  scheduler.arrivals.whenRound(() => begun++);
  await nextTurn();
  assert.equal(begun, 1);
});
