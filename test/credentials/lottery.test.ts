import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lottery } from '../../src/credentials/lottery.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('one ticket goes at once, then one each time that the period is over, and nobody waits longer than asked', async () => {
  const clock = new ManualClock();
  const lottery = new Lottery(1_000, clock);
  const outcomes = new Map<string, boolean>();
  for (let index = 0; index < 10; index += 1) {
    void lottery.wait('alice', `ticket ${index}`, 5_000).then((drawn) => outcomes.set(`ticket ${index}`, drawn));
  }
  await turn();
  assert.deepEqual([...outcomes], [['ticket 0', true]]);
  for (let second = 1; second < 5; second += 1) {
    clock.advance(999);
    await turn();
    assert.equal(outcomes.size, second);
    clock.advance(1);
    await turn();
    assert.equal(outcomes.size, second + 1);
  }
  assert.ok([...outcomes.values()].every((drawn) => drawn));
  clock.advance(1_000);
  await turn();
  const drawn = [...outcomes.values()].filter((each) => each).length;
  assert.equal(outcomes.size, 10);
  assert.ok(drawn === 5 || drawn === 6, `${drawn} were drawn`);
  clock.advance(2_000);
  assert.equal(lottery.size, 0);
});

test('coming one after the other is no faster', async () => {
  const clock = new ManualClock();
  const lottery = new Lottery(1_000, clock);
  let drawn = 0;
  const all = (async () => {
    for (let index = 0; index < 5; index += 1) if (await lottery.wait('alice', `ticket ${index}`, 5_000)) drawn += 1;
  })();
  for (let step = 1; step <= 4; step += 1) {
    await turn();
    assert.equal(drawn, step);
    clock.advance(1_000);
  }
  await all;
  assert.equal(drawn, 5);
});

test('all who hold the same ticket go together; other things have draws of their own', async () => {
  const clock = new ManualClock();
  const lottery = new Lottery(1_000, clock);
  assert.equal(await lottery.wait('alice', 'first', 5_000), true);
  assert.equal(await lottery.wait('bobby', 'first', 5_000), true);
  const fleet = Array.from({ length: 50 }, () => lottery.wait('alice', 'the same', 5_000));
  clock.advance(1_000);
  assert.deepEqual(new Set(await Promise.all(fleet)), new Set([true]));
});

test('whoever has one ticket among many is drawn about as often as the others', async () => {
  let mine = 0;
  for (let round = 0; round < 2_000; round += 1) {
    const clock = new ManualClock();
    const lottery = new Lottery(1_000, clock);
    void lottery.wait('alice', 'before', 5_000);
    for (let index = 0; index < 3; index += 1) void lottery.wait('alice', `other ${index}`, 1_500);
    const drawn = lottery.wait('alice', 'mine', 1_500);
    clock.advance(1_500);
    if (await drawn) mine += 1;
  }
  // One of four: 500, give or take 19; eight times that is never.
  assert.ok(mine > 350 && mine < 650, `${mine} of 2000`);
});

test('closed, whoever waits may go', async () => {
  const lottery = new Lottery(1_000, new ManualClock());
  const all = Array.from({ length: 5 }, (_, index) => lottery.wait('alice', `${index}`, 5_000));
  lottery.close();
  assert.deepEqual(await Promise.all(all), [true, true, true, true, true]);
  assert.equal(lottery.size, 0);
});
