import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOTS, shardOf, slotOf } from '../src/shard.js';

const logins = Array.from({ length: 10_000 }, (_, number) => `user${number}`);

test('a login has one slot, whatever the case it is written in', () => {
  for (const login of ['alice', 'user7', 'a'.repeat(300), 'jérôme']) {
    const slot = slotOf(login);
    assert.ok(Number.isInteger(slot) && slot >= 0 && slot < SLOTS);
    assert.equal(slotOf(login.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase())), slot);
  }
  assert.equal(shardOf('alice', 1), 0);
});

test('logins that count up are spread evenly over the slots, and over any number of shards', () => {
  for (const shards of [2, 3, 4, 6, 7, 16]) {
    const counts = Array<number>(shards).fill(0);
    for (const login of logins) counts[shardOf(login, shards)]!++;
    const mean = logins.length / shards;
    for (const count of counts) assert.ok(Math.abs(count - mean) < 0.25 * mean, `${shards} shards: ${counts}`);
  }
});

test('with twice as many shards a user stays, or goes to the one new shard', () => {
  for (const login of logins) {
    const before = shardOf(login, 4);
    assert.ok([before, before + 4].includes(shardOf(login, 8)));
  }
});
