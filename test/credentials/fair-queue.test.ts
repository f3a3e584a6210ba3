import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from '../../src/credentials/fair-queue.js';

function setup(options: { width?: number; maxQueued?: number; widthOf?: (address: string) => number } = {}) {
  const queue = new FairQueue({ width: 1, maxQueued: 100, widthOf: () => 8, ...options });
  const started: string[] = [];
  const givenUp: string[] = [];
  const ends: (() => void)[] = [];
  const add = (address: string, login: string): (() => void) =>
    queue.add({
      address,
      login,
      start: () => {
        started.push(`${address} ${login}`);
        return new Promise<void>((resolve) => ends.push(resolve));
      },
      giveUp: () => givenUp.push(`${address} ${login}`),
    });
  const endOne = async (): Promise<void> => {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, started, givenUp, add, endOne };
}

test('addresses take turns, and the logins of an address among themselves', async () => {
  const { started, add, endOne, queue } = setup();
  for (let index = 0; index < 5; index += 1) add('A', 'mallory');
  add('A', 'alice');
  add('B', 'bobby');
  add('B', 'bobby');
  for (let index = 0; index < 8; index += 1) await endOne();
  assert.deepEqual(started, [
    'A mallory',
    'A mallory',
    'B bobby',
    'A alice',
    'B bobby',
    'A mallory',
    'A mallory',
    'A mallory',
  ]);
  assert.deepEqual([queue.queued, queue.running], [0, 0]);
});

test('runs no more than the width, in all and of one address', async () => {
  const { started, add, endOne, queue } = setup({ width: 3, widthOf: (address) => (address === 'A' ? 1 : 3) });
  for (let index = 0; index < 3; index += 1) add('A', `user${index}`);
  assert.equal(queue.running, 1);
  for (let index = 0; index < 3; index += 1) add('B', `user${index}`);
  assert.deepEqual(started, ['A user0', 'B user0', 'B user1']);
  for (let index = 0; index < 6; index += 1) await endOne();
  assert.equal(started.length, 6);
});

test('when it is full, whoever has the most waiting gives one up', () => {
  const { givenUp, add, queue } = setup({ maxQueued: 4 });
  add('X', 'first');
  for (let index = 0; index < 4; index += 1) add('A', 'mallory');
  assert.deepEqual(givenUp, []);
  add('A', 'alice');
  assert.deepEqual(givenUp, ['A mallory']);
  add('B', 'bobby');
  add('C', 'carol');
  assert.deepEqual(givenUp, ['A mallory', 'A mallory', 'A mallory']);
  assert.equal(queue.queued, 4);
});

test('what was taken out never starts', async () => {
  const { started, add, endOne, queue } = setup();
  add('A', 'alice');
  const takeOut = add('A', 'bobby');
  takeOut();
  takeOut();
  assert.equal(queue.queued, 0);
  await endOne();
  assert.deepEqual(started, ['A alice']);
});
