// How a turn of the event loop is shared: by users, not by connections, and who got nothing comes first in the next one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turn } from '../../src/fairness/turn.js';
import { UserAccount } from '../../src/session/user-account.js';

const users = (count: number) => Array.from({ length: count }, (_, index) => new UserAccount(`user${index}`));

/** A turn in which each of `accounts` does a little, `times` over; then the next one begins. */
async function busyTurn(turn: Turn, accounts: readonly UserAccount[], times = 1): Promise<void> {
  turn.touch();
  for (let time = 0; time < times; time++) for (const account of accounts) turn.spend(account, 1);
  await nextTurn();
}

describe("a user's share of a turn", () => {
  test('is the smaller the more users were busy in the last one, and a newcomer has room too', async () => {
    const turn = new Turn();
    const whole = turn.unitsPerUser;
    await busyTurn(turn, users(3));
    assert.equal(turn.unitsPerUser, whole / 4);
    await busyTurn(turn, users(1));
    assert.equal(turn.unitsPerUser, whole / 2);
    await busyTurn(turn, []);
    assert.equal(turn.unitsPerUser, whole);
  });

  test('is the same for ten connections as for one', async () => {
    const turn = new Turn();
    const whole = turn.unitsPerUser;
    await busyTurn(turn, users(2), 10);
    assert.equal(turn.unitsPerUser, whole / 3);
    const [alice, bob] = users(2) as [UserAccount, UserAccount];
    let left = turn.unitsPerUser;
    for (; turn.spend(alice, 100); left -= 100);
    assert.equal(left, 100, 'alice gets one share, however many of her connections ask');
    assert.equal(turn.spent(alice), true);
    assert.equal(turn.spent(bob), false, "and bob's is untouched");
  });

  test('is enough for a few packets, however many users there are', async () => {
    const turn = new Turn();
    await busyTurn(turn, users(10_000));
    assert.ok(turn.unitsPerUser >= 100, `${turn.unitsPerUser} units`);
  });

  test('what went beyond it is taken from the next ones, measured by the share that it was then', async () => {
    const turn = new Turn();
    await busyTurn(turn, users(3));
    const [alice] = users(1) as [UserAccount];
    const share = turn.unitsPerUser;
    turn.touch();
    assert.equal(turn.spend(alice, share + 100), false);
    await nextTurn();
    const left = turn.unitsPerUser - 100;
    assert.equal(turn.spent(alice), false, 'a little is owed, not the whole of the next share');
    assert.equal(turn.spend(alice, left - 1), true);
    assert.equal(turn.spend(alice, 1), false);
  });

  test('unspent, is not saved up', async () => {
    const turn = new Turn();
    const [alice] = users(1) as [UserAccount];
    await busyTurn(turn, [alice]);
    for (let turns = 0; turns < 5; turns++) await busyTurn(turn, []);
    assert.equal(turn.spend(alice, turn.unitsPerUser), false);
  });
});

test('who got nothing of a turn goes on first in the next, the others behind, each in the order of their coming', async () => {
  const turn = new Turn();
  const order: string[] = [];
  const connection = (name: string) => ({ goOn: () => void order.push(name) });
  turn.defer(connection('had some'));
  turn.deferStarved(connection('had none'));
  turn.defer(connection('had some too'));
  turn.deferStarved(connection('had none either'));
  assert.deepEqual(order, [], 'not within this turn');
  await nextTurn();
  assert.deepEqual(order, ['had none', 'had none either', 'had some', 'had some too']);
  await nextTurn();
  assert.equal(order.length, 4, 'once');
});
