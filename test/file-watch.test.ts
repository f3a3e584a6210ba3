import assert from 'node:assert/strict';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { stateOf, watchFiles } from '../src/file-watch.js';
import { ManualClock } from '../src/testing/manual-clock.js';
import { tempFolder } from './support/temp-folder.js';

test('where a folder cannot be watched, looking by itself finds the change, in each of the files', async (t) => {
  const folder = await tempFolder(t);
  const [one, other] = [join(folder, 'later', 'one'), join(folder, 'later', 'other')];
  const files = [one, other];
  const clock = new ManualClock();
  let seen = await stateOf(files);
  let usable = true;
  let changes = 0;
  const stop = watchFiles({
    files,
    clock,
    seen: () => seen,
    onChange: async () => {
      changes += 1;
      if (usable) seen = await stateOf(files);
    },
  });
  t.after(stop);
  await mkdir(join(folder, 'later'));
  await writeFile(one, 'x');
  const looking = () => process.getActiveResourcesInfo().includes('FSReqPromise');
  /**
   * Lets time pass, and whatever it wakes run, until that many changes were told or a minute is over. It stands still while
   * a file is looked at: on a busy machine that takes as long as a minute of it.
   */
  const until = async (count: number): Promise<number> => {
    for (let step = 0; step < 600 && changes < count; step += 1) {
      clock.advance(100);
      for (let turns = 0; turns < 20 || looking(); turns += 1) await turn();
    }
    return changes;
  };
  assert.equal(await until(1), 1);
  assert.equal(await until(2), 1, 'told again without a change');
  await writeFile(other, 'yy');
  assert.equal(await until(2), 2);
  usable = false;
  await writeFile(one, 'not yet of any use');
  assert.equal(await until(4), 4, 'told again until it was of use');
  usable = true;
  assert.equal(await until(5), 5);
  assert.equal(await until(6), 5);
  stop();
  await writeFile(one, 'zzz');
  assert.equal(await until(6), 5, 'told after it was closed');
});

test('a change between the reading and the beginning of the watch is told', async (t) => {
  const file = join(await tempFolder(t), 'file');
  const clock = new ManualClock();
  const before = await stateOf([file]);
  await writeFile(file, 'x');
  const told = new Promise<void>((resolve) => {
    t.after(watchFiles({ files: [file], clock, seen: () => before, onChange: async () => resolve() }));
  });
  const time = setInterval(() => clock.advance(100), 1);
  await told.finally(() => clearInterval(time));
});

test('what is written to other files of the folder is not followed line by line', async (t) => {
  const folder = await tempFolder(t);
  const [file, log] = [join(folder, 'users'), join(folder, 'broker.log')];
  await writeFile(file, 'x');
  await writeFile(log, '');
  const clock = new ManualClock();
  const before = await stateOf([file]);
  let looks = 0;
  const told = new Promise<void>((resolve) => {
    const seen = () => {
      looks += 1;
      return before;
    };
    t.after(watchFiles({ files: [file], clock, seen, onChange: async () => resolve() }));
  });
  for (let line = 0; line < 100; line += 1) await appendFile(log, 'connected\n');
  await writeFile(file, 'y');
  let over = false;
  void told.then(() => {
    over = true;
  });
  for (let step = 0; step < 600 && !over; step += 1) {
    clock.advance(10);
    for (let turns = 0; turns < 20; turns += 1) await turn();
  }
  assert.ok(over, 'not told in six seconds');
  assert.ok(looks < 10, `looked ${looks} times`);
});
