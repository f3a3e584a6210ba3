import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { Child } from '../../src/cluster/child.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { tempFolder } from '../support/temp-folder.js';

/** A shell that writes `up` and waits, or ends at once when `bad` is there. */
async function shell(t: TestContext) {
  const folder = await tempFolder(t);
  const [bad, up] = [join(folder, 'bad'), join(folder, 'up')];
  const captured = captureLog();
  const pids: number[] = [];
  const child = new Child({
    ...{ name: 'the shell', command: '/bin/sh', args: ['-c', `test ! -e ${bad} && touch ${up} && exec sleep 60`] },
    ...{ spawn: { stdio: 'ignore' }, stopTimeoutMs: 5_000, log: captured.log, clock: systemClock },
    onSpawned: ({ pid }) => void pids.push(pid!),
    onExit: () => {},
  });
  t.after(() => child.stop('SIGKILL'));
  return { ...captured, bad, up, child, pids };
}

test('a process that ends by itself is started again, and one that was let go is not', async (t) => {
  const { child, pids, lines } = await shell(t);
  await child.start(Promise.resolve());
  process.kill(child.pid!, 'SIGKILL');
  await eventually(5_000, 'the next one', () => pids.length === 2);
  child.letGo();
  process.kill(child.pid!, 'SIGINT');
  await eventually(5_000, 'its end', () => child.pid === null);
  await child.stop();
  assert.equal(pids.length, 2);
  assert.equal(lines().filter(({ msg }) => /ended by itself/.test(String(msg))).length, 1);
});

test('a start that fails is the end; a restart that fails is told of, and tried until it succeeds', async (t) => {
  const { child, pids, bad, up } = await shell(t);
  const never = new Promise<void>(() => {});
  await writeFile(bad, '');
  await assert.rejects(child.start(never), /the shell: ended at once/);
  assert.deepEqual([child.pid, pids.length], [null, 1]);
  await rm(bad);
  await child.start(eventually(5_000, 'the first that stays', () => existsSync(up)));
  await writeFile(bad, '');
  await rm(up);
  await assert.rejects(
    child.restart(() => never),
    /the shell: ended at once/,
  );
  await eventually(5_000, 'another trial', () => pids.length > 4);
  await rm(bad);
  await eventually(10_000, 'one that stays', () => existsSync(up));
  await child.stop();
  assert.equal(child.pid, null);
});
