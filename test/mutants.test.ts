// `npm run mutants` makes each change of test/mutants/ and runs its tests, which takes a quarter of an hour. That a
// change can still be made is told in a moment: whoever rewrites a line that one of them is about rewrites it too.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packageFolder } from '../src/config/package-folder.js';

interface Edit {
  readonly find: string;
  readonly replace: string;
}

interface Mutant extends Edit {
  readonly name: string;
  readonly file: string;
  readonly also?: readonly Edit[];
  readonly tests: readonly string[];
}

const root = packageFolder();
const folder = join(root, 'test', 'mutants');

for (const list of readdirSync(folder).sort()) {
  test(`${list}: every change applies once, and the tests that should notice are there`, async () => {
    const { mutants } = (await import(pathToFileURL(join(folder, list)).href)) as { mutants: readonly Mutant[] };
    const wrong: string[] = [];
    for (const { name, file, tests, also = [], ...edit } of mutants) {
      const text = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '';
      for (const { find, replace } of [edit, ...also]) {
        const times = text.split(find).length - 1;
        if (times !== 1) wrong.push(`${name}: ${times} times in ${file}: ${find}`);
        if (find === replace) wrong.push(`${name}: changes nothing`);
      }
      for (const it of tests) if (!existsSync(join(root, it))) wrong.push(`${name}: there is no ${it}`);
      if (tests.length === 0) wrong.push(`${name}: no test`);
    }
    assert.deepEqual(wrong, []);
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length, 'each has a name of its own');
  });
}
