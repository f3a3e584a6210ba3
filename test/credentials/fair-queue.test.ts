import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from '../../src/credentials/fair-queue.js';

interface Running {
  readonly name: string;
  endPlace(): void;
  answer(): void;
}

function setup(options: { width?: number; maxQueued?: number; widthOf?: (network: string) => number } = {}) {
  const queue = new FairQueue({ width: 1, maxQueued: 100, widthOf: () => 8, ...options });
  const started: string[] = [];
  const givenUp: string[] = [];
  const running: Running[] = [];
  const add = (network: string, login: string, known = false, mark = ''): (() => void) => {
    const name = `${network} ${login}${mark}`;
    return queue.add({
      network,
      login,
      known,
      begin: () => {
        started.push(name);
        let endPlace = (): void => {};
        let answer = (): void => {};
        const place = new Promise<void>((resolve) => {
          endPlace = resolve;
        });
        const answered = new Promise<void>((resolve) => {
          answer = resolve;
        });
        running.push({ name, endPlace, answer });
        return { place, answer: answered };
      },
      giveUp: () => givenUp.push(name),
    });
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  /** Ends the one that has run longest. */
  const endOne = async (): Promise<void> => {
    const first = running.shift();
    first?.endPlace();
    first?.answer();
    await turn();
  };
  return { queue, started, givenUp, running, add, endOne, turn };
}

test('networks take turns, and the logins of a network among themselves', async () => {
  const { started, add, endOne, queue } = setup();
  for (let index = 0; index < 5; index += 1) add('A', 'mallory');
  add('A', 'alice');
  add('B', 'bobby');
  add('B', 'bobby');
  for (let index = 0; index < 8; index += 1) await endOne();
  const names = ['A mallory', 'A alice', 'B bobby', 'A mallory', 'B bobby', 'A mallory', 'A mallory', 'A mallory'];
  assert.deepEqual(started, names);
  assert.deepEqual([queue.queued, queue.running], [0, 0]);
});

test('a network with many logins goes to the back of the row each time', async () => {
  const { started, add, endOne } = setup();
  for (let index = 0; index < 4; index += 1) add('A', `user${index}`);
  for (let index = 0; index < 3; index += 1) add('B', `user${index}`);
  add('C', 'user0');
  for (let index = 0; index < 8; index += 1) await endOne();
  const networks = started.map((name) => name[0]).join('');
  assert.equal(networks, 'AABCABAB');
});

test('runs no more than the width, in all and of one network', async () => {
  const { started, add, endOne, queue } = setup({ width: 3, widthOf: (network) => (network === 'A' ? 1 : 3) });
  for (let index = 0; index < 3; index += 1) add('A', `user${index}`);
  assert.equal(queue.running, 1);
  for (let index = 0; index < 3; index += 1) add('B', `user${index}`);
  assert.deepEqual(started, ['A user0', 'B user0', 'B user1']);
  for (let index = 0; index < 6; index += 1) {
    assert.ok(queue.running <= 3);
    await endOne();
  }
  assert.equal(started.length, 6);
  assert.equal(queue.running, 0);
});

test('of one login from one network one runs at a time, until it is answered, which may be after its place is free', async () => {
  const { started, running, add, turn, queue } = setup({ width: 3 });
  for (let index = 0; index < 3; index += 1) add('A', 'mallory');
  add('B', 'mallory');
  assert.deepEqual(started, ['A mallory', 'B mallory']);
  running[0]!.endPlace();
  await turn();
  assert.equal(queue.running, 1);
  // The place serves others meanwhile.
  add('A', 'alice');
  assert.deepEqual(started, ['A mallory', 'B mallory', 'A alice']);
  running[0]!.answer();
  await turn();
  assert.deepEqual(started, ['A mallory', 'B mallory', 'A alice', 'A mallory']);
});

test('what is no guess takes turns with all guesses together, whatever network it is of', async () => {
  const { started, add, endOne } = setup();
  for (let index = 0; index < 4; index += 1) add(`N${index}`, 'mallory');
  for (let index = 0; index < 3; index += 1) add('A', `known${index}`, true);
  for (let index = 0; index < 7; index += 1) await endOne();
  const names = ['N0 mallory', 'A known0', 'N1 mallory', 'A known1', 'N2 mallory', 'A known2', 'N3 mallory'];
  assert.deepEqual(started, names);
});

test('when it is full, whoever has the most guesses waiting gives one up', () => {
  const { givenUp, add, queue } = setup({ maxQueued: 4 });
  add('X', 'first');
  for (let index = 0; index < 4; index += 1) add('A', 'mallory');
  assert.deepEqual(givenUp, []);
  add('A', 'alice');
  assert.deepEqual(givenUp, ['A mallory']);
  add('B', 'bobby');
  add('C', 'carol', true);
  assert.deepEqual(givenUp, ['A mallory', 'A mallory', 'A mallory']);
  assert.equal(queue.queued, 4);
  // Those behind one that is being asked count, too.
  const busy = setup({ maxQueued: 2 });
  for (let index = 0; index < 4; index += 1) busy.add('A', 'mallory', false, ` ${index}`);
  // It is the one that came last: the others have waited longer.
  assert.deepEqual(busy.givenUp, ['A mallory 3']);
});

test('what was taken out never starts, whether its login is being asked about or not', async () => {
  const { started, add, endOne, queue } = setup();
  add('A', 'alice');
  const takeOut = [add('A', 'bobby'), add('A', 'alice'), add('B', 'carol')];
  for (const each of takeOut) each();
  for (const each of takeOut) each();
  assert.equal(queue.queued, 0);
  await endOne();
  await endOne();
  assert.deepEqual(started, ['A alice']);
  add('A', 'alice');
  assert.deepEqual(started, ['A alice', 'A alice']);
});

test('thousands of logins that wait cost no more than a few do', async () => {
  const { started, add, endOne } = setup({ width: 2, maxQueued: 100_000 });
  for (let index = 0; index < 20_000; index += 1) add(`N${index % 100}`, `user${index}`);
  for (let index = 0; index < 20_000; index += 1) await endOne();
  assert.equal(new Set(started).size, 20_000);
});
