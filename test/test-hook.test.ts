// What `scripts/test-hook.mjs` tells node:test.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packageFolder } from '../src/config/package-folder.js';
import { tempFolder } from './support/temp-folder.js';

const hook = pathToFileURL(join(packageFolder(), 'scripts', 'test-hook.mjs')).href;

/** The exit code, and the lines of the tests, suites and warnings. */
async function run(folder: string, tests: string): Promise<[number | null, string[]]> {
  const file = join(folder, 'tried.test.mjs');
  await writeFile(file, `import { after, describe, test } from 'node:test';\n${tests}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ['--import', hook, '--test-reporter=tap', file];
  const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 20_000 });
  return [status, stdout.match(/(not )?ok \d+ - .*|# Error: .*/g) ?? []];
}

test('an error that nobody catches fails the test that runs, at once', async (t) => {
  const tried = `
    const never = () => new Promise(() => {});
    describe('a file', async () => {
      await null;
      test('before', () => {});
      test('thrown later', async () => { setTimeout(() => { throw new Error('lost'); }, 1); await never(); });
      test('rejected', async () => { setImmediate(() => void Promise.reject(new Error('lost'))); await never(); });
      test('in one of its own', async (t) => {
        await t.test('inner', async () => { process.nextTick(() => { throw new Error('lost'); }); await never(); });
      });
      test('behind', async () => {});
    });
    // Nothing would keep the process.
    const alive = setInterval(() => {}, 1_000);
    after(() => clearInterval(alive));`;
  assert.deepEqual(await run(await tempFolder(t), tried), [
    1,
    [
      'ok 1 - before',
      'not ok 2 - thrown later',
      'not ok 3 - rejected',
      'not ok 1 - inner',
      'not ok 4 - in one of its own',
      'ok 5 - behind',
      'not ok 1 - a file',
    ],
  ]);
});

test('one when no test runs any more fails the file', async (t) => {
  const tried = `
    test('passes', () => {});
    after(() => { setImmediate(() => { throw new Error('lost'); }); });`;
  const [status, [line, warning = '']] = await run(await tempFolder(t), tried);
  assert.deepEqual([status, line], [1, 'ok 1 - passes']);
  assert.match(warning, /created the error "Error: lost"/);
});
