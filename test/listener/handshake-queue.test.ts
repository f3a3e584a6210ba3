import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeQueue } from '../../src/listener/handshake-queue.js';
import { newScheduler } from '../support/accounts.js';

const turnOver = () => new Promise((resolve) => setImmediate(resolve));

/** Adds handshakes that write down whose they were. */
function stage() {
  const queue = new HandshakeQueue(newScheduler().arrivals);
  const begun: string[] = [];
  const add = (network: string, count: number) => {
    for (let number = 1; number <= count; number++) queue.add(network, () => begun.push(`${network}${number}`));
  };
  return { add, begun };
}

test('a few begin in each turn of the event loop, and none of them at once', async () => {
  const { add, begun } = stage();
  add('a', 10);
  assert.deepEqual(begun, []);
  const perTurn: number[] = [];
  for (let before = 0; begun.length < 10; before = begun.length) {
    await turnOver();
    perTurn.push(begun.length - before);
  }
  assert.deepEqual(perTurn, [4, 4, 2]);
  assert.deepEqual(
    begun,
    Array.from({ length: 10 }, (_, index) => `a${index + 1}`),
  );
});

test('one network with three hundred does not keep another one waiting', async () => {
  const { add, begun } = stage();
  add('a', 300);
  await turnOver();
  add('b', 2);
  await turnOver();
  assert.deepEqual(begun.slice(4), ['a5', 'b1', 'a6', 'b2']);
});

test('networks take turns, one handshake each', async () => {
  const { add, begun } = stage();
  for (const network of ['a', 'b', 'c']) add(network, 3);
  for (let turn = 0; turn < 3; turn++) await turnOver();
  assert.deepEqual(begun, ['a1', 'b1', 'c1', 'a2', 'b2', 'c2', 'a3', 'b3', 'c3']);
});

test('it begins anew when it was empty', async () => {
  const { add, begun } = stage();
  add('a', 1);
  await turnOver();
  add('a', 1);
  await turnOver();
  assert.deepEqual(begun, ['a1', 'a1']);
});
