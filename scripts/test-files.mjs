// Which test files there are, and how each of them wants to be run.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const kinds = ['long', 'own process', 'runs alone'];

/**
 * What the first line of a test file says of it, as in `// Runs alone: measures time.` or `// Long, runs alone: …`; null
 * when it speaks of something else.
 */
export function kindsIn(firstLine) {
  const said = /^\/\/ ([A-Za-z, ]+): \S/.exec(firstLine)?.[1].toLowerCase().split(', ');
  return said?.every((kind) => kinds.includes(kind)) ? said : null;
}

/**
 * All of `folder`, in order, with the path from there. `long`: its value is in repetition or in going on for long.
 * `alone`: nothing else may run meanwhile. `own`: shares its process with no other file.
 */
export function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
    .map((path) => {
      const said = kindsIn(/^.*/.exec(readFileSync(join(folder, path), 'utf8'))[0]) ?? [];
      const [long, own, alone] = kinds.map((kind) => said.includes(kind));
      return { path, long, own, alone };
    });
}

/**
 * Those to run: the ones whose path contains one of the words, or all that are not long. With `onlyLong` the long ones of
 * them alone.
 */
export function select(files, words, onlyLong) {
  return files.filter(({ path, long }) => {
    const wanted = words.length === 0 || words.some((word) => path.includes(word));
    return wanted && (onlyLong ? long : !long || words.length > 0);
  });
}
