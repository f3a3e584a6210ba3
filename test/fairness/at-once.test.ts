import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler } from '../../src/fairness/scheduler.js';
import { userAccount } from '../support/accounts.js';

// Within one turn of the event loop sockets are polled one after the other: who sends much must not have it all handled
// before the next socket's bytes are even seen.
const turnOver = () => new Promise((resolve) => setImmediate(resolve));

function stage() {
  let nowMs = 1_000;
  const scheduler = new Scheduler(
    (error) => assert.fail(String(error)),
    () => nowMs,
  );
  const work = (owner: ReturnType<typeof userAccount>, ms: number) => {
    scheduler.begin();
    nowMs += ms;
    scheduler.end(owner);
  };
  const receive = (owner: ReturnType<typeof userAccount>, ms: number) => {
    nowMs += ms;
    scheduler.received(owner);
  };
  return { scheduler, work, receive };
}

test('who has worked long in a turn waits for the round, also when nobody else waits; the others need not', async () => {
  const { scheduler, work } = stage();
  const [busy, quiet] = [userAccount('mallory'), userAccount('alice')];
  work(busy, 0.8);
  assert.ok(scheduler.mayWork(busy), 'a modest share is handled at once');
  work(busy, 0.4);
  assert.ok(!scheduler.mayWork(busy));
  assert.ok(scheduler.mayWork(quiet));
  scheduler.touch();
  await turnOver();
  assert.ok(scheduler.mayWork(busy), 'the next turn is a new one');
});

test('many who are busy do not make a turn long together', () => {
  const { scheduler, work } = stage();
  const crowd = Array.from({ length: 5 }, (_, index) => userAccount(`mallory${index}`));
  for (const owner of crowd) work(owner, 0.9);
  for (const owner of crowd) assert.ok(!scheduler.mayWork(owner), owner.name);
  assert.ok(scheduler.mayWork(userAccount('alice')), 'whoever did nothing yet in this turn goes on at once');
});

test('receiving is work too: whoever has had too much of a turn is read no further in it', async () => {
  const { scheduler, receive } = stage();
  const [busy, quiet] = [userAccount('mallory'), userAccount('alice')];
  const resting: string[] = [];
  for (const name of ['one', 'two']) busy.readers.add({ rest: () => resting.push(name) });
  quiet.readers.add({ rest: () => resting.push('quiet') });
  // A thousand records of one byte are received in no time of their own handling.
  for (let record = 0; record < 14; record++) receive(busy, 0.1);
  assert.deepEqual([resting, scheduler.mayWork(busy)], [[], false]);
  for (let record = 0; record < 14; record++) receive(busy, 0.1);
  assert.deepEqual(resting, ['one', 'two'], 'both, once');
  receive(quiet, 0.1);
  assert.ok(scheduler.mayWork(quiet));
  scheduler.touch();
  await turnOver();
  for (let record = 0; record < 60; record++) receive(busy, 0.1);
  assert.deepEqual(resting, ['one', 'two', 'one', 'two'], 'each turn anew');
});

test('what another one did before in the turn is not what one chunk took', () => {
  const { scheduler, work, receive } = stage();
  const [busy, quiet] = [userAccount('mallory'), userAccount('alice')];
  work(busy, 1);
  receive(quiet, 40);
  assert.ok(scheduler.mayWork(quiet));
});
