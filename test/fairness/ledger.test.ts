// How much may be held: by one, by all together, and what is everybody's part when that is reached.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Account } from '../../src/fairness/account.js';
import { Ledger } from '../../src/fairness/ledger.js';
import { Networks } from '../../src/fairness/networks.js';

const mebibyte = 1024 * 1024;

function setup(limits: { memoryPerUser: number; memory: number }, ...logins: string[]) {
  const ledger = new Ledger(limits);
  return { ledger, accounts: logins.map((login) => ledger.open(new Account(login, ledger))) };
}

describe('one account', () => {
  test('may hold its limit to the byte, whatever under', () => {
    const { accounts } = setup({ memoryPerUser: 1_000, memory: 100_000 }, 'alice', 'bob');
    const [alice, bob] = accounts as [Account, Account];
    alice.balances.queues.add(500);
    alice.balances.connections.add(400);
    assert.deepEqual([alice.hasRoom(100), alice.hasRoom(101)], [true, false]);
    assert.equal(bob.hasRoom(1_000), true, 'another one has a limit of its own');
    alice.balances.queues.add(-500);
    assert.equal(alice.hasRoom(600), true);
  });

  test('may not hold more than all', () => {
    const { ledger, accounts } = setup({ memoryPerUser: 1_000, memory: 600 }, 'alice');
    assert.equal(accounts[0]!.hasRoom(601), false);
    assert.equal(ledger.unsentLimit, 150);
  });
});

describe('all accounts together', () => {
  test('may hold the limit; beyond it nobody may hold more than an equal part', () => {
    const { ledger, accounts } = setup({ memoryPerUser: 1_000, memory: 1_200 }, 'alice', 'bob', 'carol');
    const [alice, bob, carol] = accounts as [Account, Account, Account];
    alice.balances.queues.add(700);
    bob.balances.retained.add(500);
    assert.deepEqual(
      accounts.map((account) => account.hasRoom(1)),
      [false, false, true],
    );
    assert.equal(carol.hasRoom(400), true, 'a third of it, although all of it is held');
    assert.equal(carol.hasRoom(401), false);
    ledger.close(carol);
    assert.equal(bob.hasRoom(100), true, 'of two, each has half');
    assert.equal(bob.hasRoom(101), false);
    alice.balances.queues.add(-200);
    assert.equal(alice.hasRoom(200), true);
  });

  test('do not hold each other up by having connections: their number has a limit of its own', () => {
    const { ledger, accounts } = setup({ memoryPerUser: 10_000, memory: 1_000 }, 'alice', 'bob');
    accounts[0]!.balances.connections.add(900);
    assert.equal(ledger.heldBytes, 0);
    assert.equal(accounts[1]!.hasRoom(900), true);
  });

  test('without a limit in the configuration have 256 MiB at most', () => {
    assert.equal(new Ledger({ memoryPerUser: 64 * mebibyte, memory: 0 }).limitForAll, 256 * mebibyte);
    assert.equal(new Ledger({ memoryPerUser: mebibyte, memory: 7 * mebibyte }).limitForAll, 7 * mebibyte);
  });

  test('have less in a process that was given less', async () => {
    const url = new URL('../../src/fairness/ledger.js', import.meta.url).href;
    const script = `
      const { Ledger } = await import(${JSON.stringify(url)});
      console.log(new Ledger({ memoryPerUser: ${64 * mebibyte}, memory: 0 }).limitForAll);`;
    const limits: number[] = [];
    for (const megabytes of [64, 128, 4_096]) {
      const flags = [`--max-old-space-size=${megabytes}`, '--input-type=module', '--eval', script];
      const { stdout } = await promisify(execFile)(process.execPath, flags);
      limits.push(Number(stdout) / mebibyte);
    }
    assert.deepEqual(
      limits.map((megabytes) => Math.round(megabytes)),
      [38, 77, 256],
    );
  });
});

describe('networks', () => {
  test('have an account for as long as there is a connection from them', () => {
    const { ledger } = setup({ memoryPerUser: 1_000, memory: 1_200 });
    const networks = new Networks(ledger);
    const first = networks.enter('2001:db8::1');
    assert.equal(networks.enter('2001:db8::2'), first, 'of one /64');
    const other = networks.enter('192.0.2.1');
    assert.notEqual(other, first);
    networks.leave(first);
    assert.deepEqual([...ledger.accounts], [first, other]);
    networks.leave(first);
    networks.leave(other);
    assert.deepEqual([...ledger.accounts], []);
    assert.notEqual(networks.enter('2001:db8::1'), first);
  });

  test('are full when strangers hold 64 MiB together', () => {
    const networks = new Networks(setup({ memoryPerUser: 1_000 * mebibyte, memory: 1_000 * mebibyte }).ledger);
    const accounts = ['192.0.2.1', '192.0.2.2'].map((address) => networks.enter(address));
    for (const account of accounts) account.balances.partial.add(32 * mebibyte);
    assert.equal(networks.full, false);
    accounts[0]!.balances.connections.add(1);
    assert.equal(networks.full, true);
    networks.leave(accounts[0]!);
    assert.equal(networks.full, false);
  });
});
