import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Makes half a gigabyte of objects of which the last hundred thousand are kept; prints the most that was had, in MB. */
const program = (restrained: boolean) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { restrainHeapGrowth } from ${JSON.stringify(new URL('../../src/cli/heap-growth.js', import.meta.url).href)};
  const heap = ${restrained} ? restrainHeapGrowth() : null;
  const kept = [];
  const most = {};
  for (let turn = 0; turn < 2_000; turn++) {
    for (let number = 0; number < 1_000; number++) kept.push({ turn, of: [number] });
    if (kept.length > 100_000) kept.splice(0, 50_000);
    await new Promise((resolve) => setImmediate(resolve));
    for (const { space_name, space_size } of getHeapSpaceStatistics()) {
      most[space_name] = Math.max(most[space_name] ?? 0, space_size / 2 ** 20);
    }
  }
  heap?.close();
  console.log(JSON.stringify(most));
`;

async function mostMegabytes(restrained: boolean): Promise<Record<string, number>> {
  const args = ['--input-type=module', '--eval', program(restrained)];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  // A flag that this version of Node.js does not know is complained about there.
  assert.equal(stderr, '');
  return JSON.parse(stdout) as Record<string, number>;
}

test('the young generation stays small, and the old one does not grow far beyond what is in use', async () => {
  const [free, restrained] = await Promise.all([mostMegabytes(false), mostMegabytes(true)]);
  assert.ok(restrained.new_space! <= 24, `${restrained.new_space} MB`);
  assert.ok(restrained.new_space! < free.new_space!);
  assert.ok(
    restrained.old_space! < 0.8 * free.old_space!,
    `${restrained.old_space} MB; otherwise ${free.old_space} MB`,
  );
});
