import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Account } from '../../src/fairness/account.js';
import { Ledger } from '../../src/fairness/ledger.js';
import { guardMemory } from '../../src/fairness/memory-guard.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { userAccount } from '../support/accounts.js';
import { captureLog } from '../support/captured-log.js';

const MIB = 1024 * 1024;
/** Where nobody is ended any more, however long one waits. */
const LONG_MS = 60_000;

/** All users together may hold 8 MiB; three of them have two connections each. */
function stage() {
  const ledger = new Ledger({ memoryPerUser: 64 * MIB, memory: 8 * MIB });
  const clock = new ManualClock();
  const { log, lines } = captureLog();
  const counters = { memoryReliefs: 0 };
  const open = (login: string): Account => userAccount(login, ledger);
  const accounts = [open('alice'), open('bob'), open('mallory')] as const;
  const ended: string[] = [];
  const connections = accounts.flatMap((account) =>
    [1, 2].map(() => ({ account, close: (reason: string) => ended.push(`${account.name} ${reason}`) })),
  );
  const guard = guardMemory({ ledger, connections, counters, clock, log });
  return { accounts, clock, counters, ended, guard, lines };
}

test('nobody is ended for as long as they hold together what they may, and a little more', () => {
  const { accounts, clock, counters, ended } = stage();
  for (const { balances } of accounts) balances.outbox.add(3 * MIB);
  clock.advance(LONG_MS);
  assert.deepEqual([ended, counters.memoryReliefs], [[], 0]);
});

test('the connections of whoever holds most are ended, all of them, and the log says what was held', () => {
  const { accounts, clock, counters, ended, lines } = stage();
  const [alice, , mallory] = accounts;
  alice.balances.outbox.add(4 * MIB);
  mallory.balances.readAhead.add(7 * MIB);
  clock.advance(250);
  assert.deepEqual(ended, ['mallory memory-limit', 'mallory memory-limit']);
  assert.equal(counters.memoryReliefs, 1);
  const { login, held } = lines()[0]!;
  assert.equal(login, 'mallory');
  assert.equal((held as Record<string, number>).readAhead, 7 * MIB);
});

test('what is on disk too does not make anybody the heaviest: ending connections would not free it', () => {
  const { accounts, clock, ended } = stage();
  const [alice, bob] = accounts;
  alice.balances.retained.add(9 * MIB);
  bob.balances.topics.add(2 * MIB);
  clock.advance(250);
  assert.deepEqual(ended, ['bob memory-limit', 'bob memory-limit']);
});

test('the next one has to go only when the first one did not help within a second', () => {
  const { accounts, clock, ended } = stage();
  const [alice, bob, mallory] = accounts;
  bob.balances.outbox.add(6 * MIB);
  mallory.balances.outbox.add(7 * MIB);
  alice.balances.outbox.add(5 * MIB);
  clock.advance(250);
  mallory.balances.outbox.add(-7 * MIB);
  clock.advance(750);
  assert.equal(ended.length, 2, 'still only the first');
  clock.advance(500);
  assert.deepEqual(ended.slice(2), ['bob memory-limit', 'bob memory-limit']);
  bob.balances.outbox.add(-6 * MIB);
  clock.advance(LONG_MS);
  assert.equal(ended.length, 4, 'it helped');
});

test('a guard that is closed looks no more', () => {
  const { accounts, clock, ended, guard } = stage();
  accounts[0].balances.outbox.add(20 * MIB);
  guard.close();
  clock.advance(LONG_MS);
  assert.deepEqual(ended, []);
});
