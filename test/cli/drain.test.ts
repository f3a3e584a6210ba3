import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureIo } from '../support/command-io.js';
import { freePort } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { startTestBroker } from '../support/test-broker.js';

test('drain ends the connections evenly, those that still come too, and says so at /ready', async (t) => {
  const port = await freePort();
  const clock = new ManualClock();
  const broker = await startTestBroker({ config: { admin: { port } }, seams: { clock } });
  t.after(() => broker.stop());
  const file = join(broker.folder, 'drain.yaml');
  await writeFile(file, JSON.stringify({ admin: { socket: join(broker.folder, 'admin.sock') } }));
  const drain = async (...args: string[]) => {
    const io = captureIo();
    return { code: await runCli(['drain', ...args, '--config', file], io), out: io.out(), err: io.err() };
  };
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/ready`)).status;
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(broker)));
  assert.equal(await ready(), 200);
  const begun = await drain('--over', '10');
  assert.deepEqual([begun.code, begun.out], [0, '20 connections end within 10 seconds; /ready says no\n']);
  assert.equal(await ready(), 503);
  const open = () => broker.parts().connections.size;
  for (let second = 1; second <= 5; second++) clock.advance(1_000);
  assert.ok(open() > 5 && open() < 15, `${open()} are left at half time`);
  const late = await RawClient.connect(broker);
  for (let second = 1; second <= 6; second++) clock.advance(1_000);
  await Promise.all([...clients, late].map((client) => client.closed()));
  assert.equal(open(), 0);
  assert.equal((await drain('--over', 'soon')).code, 2);
});
