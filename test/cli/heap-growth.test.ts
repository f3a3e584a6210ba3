import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Makes a gigabyte of objects of which the last six hundred thousand are kept; prints the most that was had, in MB. */
const program = (restrained: boolean) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { restrainHeapGrowth } from ${JSON.stringify(new URL('../../src/cli/heap-growth.js', import.meta.url).href)};
  const heap = ${restrained} ? restrainHeapGrowth() : null;
  const kept = [];
  const most = {};
  for (let turn = 0; turn < 4_000; turn++) {
    for (let number = 0; number < 1_000; number++) kept.push({ turn, of: [number] });
    if (kept.length > 600_000) kept.splice(0, 300_000);
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

/**
 * Receives a gigabyte that nobody keeps, and keeps a few objects of each piece for a while, as a broker does; prints how
 * often the whole heap was collected.
 */
const receiving = `
  import { createServer, connect } from 'node:net';
  import { constants, PerformanceObserver } from 'node:perf_hooks';
  import { restrainHeapGrowth } from ${JSON.stringify(new URL('../../src/cli/heap-growth.js', import.meta.url).href)};
  restrainHeapGrowth();
  const kept = [];
  let left = 2 ** 30;
  let collections = 0;
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++;
  }).observe({ entryTypes: ['gc'] });
  const server = createServer((socket) => socket.on('data', (piece) => {
    for (let number = 0; number < 20; number++) kept.push({ bytes: [piece.length], name: String(left + number) });
    if (kept.length > 60_000) kept.splice(0, 20_000);
    left -= piece.length;
    if (left > 0) return;
    console.log(collections);
    process.exit();
  }));
  server.listen(0, '127.0.0.1', () => {
    const sender = connect(server.address().port, '127.0.0.1');
    const send = () => { while (sender.write(Buffer.alloc(2 ** 16))); };
    sender.on('drain', send);
    send();
  });
`;

test('a small heap is hardly ever collected as a whole for the sake of bytes that were received', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', receiving]);
  assert.ok(Number(stdout) <= 10, `${stdout} times`);
});
