// The end of many connections at once: it is work of their user's, and nobody else waits for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../src/connection/connection.js';
import { endConnections } from '../../src/connection/connections.js';
import type { Account } from '../../src/fairness/account.js';
import { Worker, WorkTime } from '../support/work-time.js';

interface Ending {
  readonly time: WorkTime;
  readonly diary: string[];
}

function connectionOf(account: Account, name: string, isLetIn: boolean, { time, diary }: Ending): Connection {
  return {
    account,
    client: isLetIn ? {} : null,
    reader: { halt: () => diary.push(`${name} halted`) },
    close(reason: string) {
      time.spend(0.75);
      diary.push(`${name} ${reason}`);
    },
  } as unknown as Connection;
}

test('the connections of a user are ended in slices of that user, and others have their turns in between', async () => {
  const time = new WorkTime();
  const { scheduler } = time;
  const [alice, bob] = [new Worker(time), new Worker(time)];
  const diary: string[] = [];
  const own = Array.from({ length: 200 }, () => connectionOf(alice.account, 'alice', true, { time, diary }));
  assert.equal(endConnections({ connections: [], scheduler }, 'kicked', own), 200);
  assert.equal(diary.filter((line) => line === 'alice halted').length, 200, 'none of them does anything any more');
  assert.equal(diary.filter((line) => line === 'alice kicked').length, 2, 'a slice, and no more than that');
  const closed = () => diary.filter((line) => line === 'alice kicked').length;
  let closedBeforeBob = 0;
  scheduler.add(bob.account, {
    work() {
      closedBeforeBob = closed();
      return false;
    },
  });
  await scheduler.whenIdle();
  assert.ok(closedBeforeBob <= 10, `${closedBeforeBob}`);
  assert.equal(closed(), 200);
  assert.ok(alice.account.workedMs >= 150, 'and the time is theirs');
});

test('who waits to be let in is ended before those who are in, for each user apart', async () => {
  const time = new WorkTime();
  const { scheduler } = time;
  const [alice, bob] = [new Worker(time), new Worker(time)];
  const diary: string[] = [];
  const each = { time, diary };
  const found = [
    connectionOf(alice.account, 'first', true, each),
    connectionOf(bob.account, 'other', true, each),
    connectionOf(alice.account, 'waiting', false, each),
  ];
  endConnections({ connections: [], scheduler }, 'banned', found);
  await scheduler.whenIdle();
  const ended = diary.filter((line) => line.endsWith('banned'));
  assert.equal(ended.length, 3);
  assert.ok(ended.indexOf('waiting banned') < ended.indexOf('first banned'));
});
