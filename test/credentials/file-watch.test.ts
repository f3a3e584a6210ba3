import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileState, watchFile } from '../../src/credentials/file-watch.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { tempFolder } from '../support/temp-folder.js';

test('where the folder cannot be watched, looking by itself finds the change', async (t) => {
  const folder = join(await tempFolder(t), 'later');
  const path = join(folder, 'users');
  const clock = new ManualClock();
  let seen = await fileState(path);
  let changes = 0;
  const watch = watchFile({
    path,
    clock,
    seen: () => seen,
    onChange: async () => {
      changes += 1;
      seen = await fileState(path);
    },
  });
  t.after(() => watch.close());
  await mkdir(folder);
  await writeFile(path, 'x');
  /** Lets time pass, and whatever it wakes run, until that many changes were told or a minute is over. */
  const until = async (count: number): Promise<number> => {
    for (let step = 0; step < 600 && changes < count; step += 1) {
      clock.advance(100);
      for (let turns = 0; turns < 20; turns += 1) await turn();
    }
    return changes;
  };
  assert.equal(await until(1), 1);
  assert.equal(await until(2), 1, 'told again without a change');
  await writeFile(path, 'yy');
  assert.equal(await until(2), 2);
  watch.close();
  await writeFile(path, 'zzz');
  assert.equal(await until(3), 2, 'told after it was closed');
});
