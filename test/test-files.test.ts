// What `npm test` reads in the first line of a test file.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packageFolder } from '../src/config/package-folder.js';

interface TestFile {
  readonly path: string;
  readonly long: boolean;
  readonly own: boolean;
  readonly alone: boolean;
}

const { kindsIn, testFiles, select } = (await import(
  pathToFileURL(join(packageFolder(), 'scripts', 'test-files.mjs')).href
)) as {
  kindsIn(firstLine: string): readonly string[] | null;
  testFiles(folder: string): readonly TestFile[];
  select(files: readonly TestFile[], words: readonly string[], onlyLong: boolean): readonly TestFile[];
};
const folder = join(packageFolder(), 'test');
const paths = (files: readonly TestFile[]) => files.map(({ path }) => path);

test('one kind or several, with a reason', () => {
  assert.deepEqual(kindsIn('// Runs alone: measures time.'), ['runs alone']);
  assert.deepEqual(kindsIn('// Long, own process: twenty of them.'), ['long', 'own process']);
  for (const other of ['// Long:', '// Long and alone: why', '// What it is about.', "import a from 'a';"]) {
    assert.equal(kindsIn(other), null, other);
  }
});

test('no first line means to be one of these and is not', () => {
  const wrong = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => {
    if (!path.endsWith('.test.ts')) return false;
    const line = readFileSync(join(folder, path), 'utf8').split('\n', 1)[0]!;
    return /^\/\/\s*(long|own|runs|alone)\b/i.test(line) && kindsIn(line) === null;
  });
  assert.deepEqual(wrong, []);
});

test('together `npm test` and `npm test -- --long` run every file, once', () => {
  const files = testFiles(folder);
  const both = [...select(files, [], false), ...select(files, [], true)];
  assert.deepEqual(paths(both).sort(), paths(files));
  const [a, b] = [
    { path: 'store/crash.test.ts', long: false, own: false, alone: false },
    { path: 'store/crash-rounds.test.ts', long: true, own: false, alone: false },
  ];
  assert.deepEqual(select([a, b], ['crash'], false), [a, b]);
  assert.deepEqual(select([a, b], ['crash'], true), [b]);
  assert.deepEqual(select([a, b], ['queue'], false), []);
});
