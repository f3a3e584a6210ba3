import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Prints after how many calls a small function is optimized. */
const program = (less: boolean) => `
  import { optimizeLess } from ${JSON.stringify(new URL('../../src/cli/compiler.js', import.meta.url).href)};
  if (${less}) optimizeLess();
  const optimized = 1 << 6;
  const add = (sum, number) => (number % 3 === 0 ? sum + number : sum - 1);
  let sum = 0;
  let calls = 0;
  while ((%GetOptimizationStatus(add) & optimized) === 0 && calls < 1_000_000) sum = add(sum, ++calls);
  console.log(calls);
`;

async function callsUntilOptimized(less: boolean): Promise<number> {
  // Not beside the program, which would go on meanwhile, and not as a part of the caller.
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--max-inlined-bytecode-size=0'];
  const args = [...flags, '--input-type=module', '--eval', program(less)];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  // A flag that this version of Node.js does not know is complained about there.
  assert.equal(stderr, '');
  return Number(stdout);
}

test('a function is optimized when it has been called thousands of times, also where V8 would do it earlier', async () => {
  const [otherwise, less] = await Promise.all([callsUntilOptimized(false), callsUntilOptimized(true)]);
  assert.ok(less >= otherwise, `after ${less} calls, otherwise after ${otherwise}`);
  assert.ok(less > 7_000 && less < 100_000, `after ${less} calls, otherwise after ${otherwise}`);
});
