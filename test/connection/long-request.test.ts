import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurn } from '../../src/connection/long-request.js';
import { type Job, Work } from '../../src/fairness/job.js';
import type { Scheduler } from '../../src/fairness/scheduler.js';
import { Valve } from '../../src/valve.js';
import { userAccount } from '../support/accounts.js';

test('long requests of a user are read one after the other, and those that wait pay for their packets', () => {
  const account = userAccount();
  const hasty = { sliceOver: true } as Scheduler;
  const diary: string[] = [];
  function* request(name: string): Job {
    diary.push(`${name} begins`);
    yield;
    diary.push(`${name} ends`);
  }
  const [first, second] = ['first', 'second'].map((name) => new Work(inTurn(request(name), account, 10_000)));
  assert.equal(first!.proceed(hasty), 'slice-over');
  assert.ok(second!.proceed(hasty) instanceof Valve);
  assert.equal(account.balances.jobs.bytes, 20_000);
  const short = new Work(inTurn(request('a short one'), account, 100));
  assert.equal(short.proceed(hasty), 'slice-over');
  assert.equal(short.proceed(hasty), 'done');
  assert.equal(first!.proceed(hasty), 'done');
  assert.equal(second!.proceed(hasty), 'slice-over');
  assert.equal(second!.proceed(hasty), 'done');
  assert.deepEqual(diary, [
    'first begins',
    'a short one begins',
    'a short one ends',
    'first ends',
    'second begins',
    'second ends',
  ]);
  assert.equal(account.balances.jobs.bytes, 0);
});
