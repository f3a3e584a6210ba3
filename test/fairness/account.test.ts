// What is kept on whose behalf: every balance is part of its account, and every account of the whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Account, type BalanceName, balanceNames } from '../../src/fairness/account.js';
import { Ledger } from '../../src/fairness/ledger.js';

const newLedger = () => new Ledger({ memoryPerUser: 4_000, memory: 10_000 });

test('there is a balance for each name, and no other', () => {
  const { balances } = new Account('alice', newLedger());
  assert.deepEqual(Object.keys(balances).sort(), [...balanceNames].sort());
});

test('an account is the sum of its balances, and the whole that of the accounts without their connections', () => {
  const change = fc.record({
    login: fc.nat(2),
    name: fc.constantFrom(...balanceNames),
    bytes: fc.integer({ min: -5_000, max: 5_000 }),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const ledger = newLedger();
      const accounts = ['alice', 'bob', 'carol'].map((login) => ledger.open(new Account(login, ledger)));
      for (const { login, name, bytes } of changes) accounts[login]!.balances[name].add(bytes);
      const sumOf = (account: Account, names: readonly BalanceName[]) =>
        names.reduce((sum, name) => sum + account.balances[name].bytes, 0);
      const ofWhole = balanceNames.filter((name) => name !== 'connections');
      let whole = 0;
      for (const account of accounts) {
        assert.equal(account.heldBytes, sumOf(account, balanceNames));
        whole += sumOf(account, ofWhole);
      }
      assert.equal(ledger.heldBytes, whole);
    }),
  );
});

test('what goes with the connections is what is not on disk', () => {
  const account = new Account('alice', newLedger());
  for (const [index, name] of balanceNames.entries()) account.balances[name].add(2 ** index);
  const goes = (name: BalanceName) => {
    const before = account.connectedBytes;
    account.balances[name].add(2 ** 20);
    return account.connectedBytes > before;
  };
  assert.deepEqual(balanceNames.filter((name) => !goes(name)).sort(), [
    'history',
    'pages',
    'queues',
    'received',
    'retained',
    'sessions',
    'storing',
  ]);
});

test('sockets are sent a quarter of what a user may hold, whatever else is held', () => {
  const ledger = newLedger();
  const account = ledger.open(new Account('alice', ledger));
  account.balances.queues.add(4_000);
  assert.equal(account.hasRoom(1), false);
  assert.equal(account.maySend, true, 'what is queued must be able to leave');
  account.balances.outbox.add(999);
  assert.equal(account.maySend, true);
  account.balances.outbox.add(1);
  assert.equal(account.maySend, false);
});
