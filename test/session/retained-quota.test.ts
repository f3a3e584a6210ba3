// Who pays for a retained message: whoever published it, whatever tree it is in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import { Counters } from '../../src/observe/counters.js';
import { History } from '../../src/observe/history.js';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { RetainedQuota } from '../../src/session/retained-quota.js';
import type { RetainedMessage } from '../../src/store/contract.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { newLedger, userAccount } from '../support/accounts.js';
import { captureLog } from '../support/captured-log.js';

function setup(limits: { retainedMessagesPerUser?: number; retainedBytesPerUser?: number }, memoryPerUser?: number) {
  const ledger = newLedger(memoryPerUser);
  const accounts = { alice: userAccount('alice', ledger), bob: userAccount('bob', ledger) };
  for (const account of Object.values(accounts)) account.limits = { ...defaultConfig().limits, ...limits };
  const logs = captureLog();
  const quota = new RetainedQuota({
    account: (login) => accounts[login as 'alice' | 'bob'],
    log: logs.log,
    noisyLog: createRateLimited({ clock: new ManualClock() }),
    counters: new Counters(),
    history: new History(new ManualClock(), { add: () => {} }),
  });
  /** Keeps it instead of `before`, if there is room. */
  const keep = (message: RetainedMessage, before?: RetainedMessage) => {
    const { topic, payload, owner } = message;
    const admitted = quota.admits(topic, payload.length, before, accounts[owner as 'alice' | 'bob']);
    if (admitted) {
      if (before !== undefined) quota.removed(before);
      quota.added(message);
    }
    return admitted;
  };
  return { quota, keep, accounts, logs };
}

const message = (topic: string, owner: string | null, payload = 'x'): RetainedMessage => ({
  ...{ topic, owner, payload: Buffer.from(payload), qos: 1, properties: null, storedAt: 0, expiresAt: null },
});

test('messages in a tree of all users count for whoever published them', () => {
  const { keep, accounts, logs } = setup({ retainedMessagesPerUser: 2 });
  assert.deepEqual(
    ['lab/bob/1', 'lab/bob/2', 'lab/bob/3'].map((topic) => keep(message(topic, 'alice'))),
    [true, true, false],
  );
  assert.equal(keep(message('lab/bob/3', 'bob')), true, 'his own place is free');
  assert.deepEqual([accounts.alice.retainedMessages, accounts.bob.retainedMessages], [2, 1]);
  assert.equal(logs.lines()[0]?.login, 'alice');
});

test('who replaces the message of another one pays from then on, and the other one is given back', () => {
  const { keep, accounts, quota } = setup({ retainedMessagesPerUser: 1 });
  const hers = message('lab/x', 'alice', 'a'.repeat(1_000));
  const his = message('lab/x', 'bob');
  assert.ok(keep(hers));
  assert.ok(keep(his, hers));
  assert.deepEqual([accounts.alice.retainedMessages, accounts.alice.balances.retained.bytes], [0, 0]);
  assert.equal(accounts.bob.retainedMessages, 1);
  assert.equal(keep(message('lab/y', 'bob')), false);
  quota.removed(his);
  assert.deepEqual([accounts.bob.retainedMessages, accounts.bob.heldBytes], [0, 0]);
});

test('a message may replace a larger one of the same user at the limit, and not grow beyond it', () => {
  const { keep, accounts } = setup({ retainedBytesPerUser: 3_000 });
  const large = message('iotlab/alice/x', 'alice', 'x'.repeat(2_000));
  const small = message('iotlab/alice/x', 'alice', 'x'.repeat(1_000));
  const larger = message('iotlab/alice/x', 'alice', 'x'.repeat(3_000));
  assert.ok(keep(large));
  assert.equal(keep(larger, large), false);
  assert.ok(keep(small, large));
  assert.ok(keep(large, small));
  assert.equal(accounts.alice.retainedMessages, 1);
});

test('the memory of the user counts too', () => {
  const { keep, accounts } = setup({}, 10_000);
  accounts.alice.balances.queues.add(8_000);
  assert.equal(keep(message('iotlab/alice/x', 'alice', 'x'.repeat(1_500))), false);
  accounts.alice.balances.queues.add(-8_000);
  assert.equal(keep(message('iotlab/alice/x', 'alice', 'x'.repeat(1_500))), true);
});

test('of a message of which nobody knows whose it is, the owner of its tree', () => {
  const { quota, accounts } = setup({});
  quota.added(message('iotlab/bob/x', null));
  assert.deepEqual([accounts.alice.retainedMessages, accounts.bob.retainedMessages], [0, 1]);
});
