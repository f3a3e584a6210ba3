import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { duration, size } from '../../src/cli/quantities.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';
import { startTestBroker } from '../support/test-broker.js';

test('status: how the broker is, in words and as JSON', async (t) => {
  const broker = await startTestBroker();
  t.after(() => broker.stop());
  const config = join(broker.folder, 'broker.yaml');
  await writeFile(config, JSON.stringify({ admin: { socket: 'admin.sock' } }));
  const io = captureIo();
  assert.equal(await runCli(['status', '--config', config], io), 0, io.err());
  assert.match(io.out(), /^broker {7}ok, version \d+\.\d+\.\d+, up \d/);
  assert.match(io.out(), /^connections {2}0, of 0 users$/m);
  assert.match(io.out(), /^certificates server for \d+ days/m);
  const json = captureIo();
  assert.equal(await runCli(['status', '--json', '--config', config], json), 0);
  assert.equal(JSON.parse(json.out()).status, 'ok');
});

test('without a broker one line says so, and where it was looked for', async (t) => {
  const folder = await tempFolder(t);
  const config = join(folder, 'broker.yaml');
  await writeFile(config, JSON.stringify({ admin: { socket: 'admin.sock' } }));
  const io = captureIo();
  assert.equal(await runCli(['status', '--config', config], io), 1);
  assert.match(io.err(), /^iotlab-broker: no broker is running here: nobody listens on \S+admin\.sock \(.*\)\n$/);
  await writeFile(config, JSON.stringify({ admin: { socket: '' } }));
  const off = captureIo();
  assert.equal(await runCli(['status', '--config', config], off), 2);
  assert.match(off.err(), /admin\.socket is turned off/);
});

test('durations and sizes for people', () => {
  assert.deepEqual([0, 999, 1_000, 61_000, 3_600_000, 90_000_000].map(duration), [
    ...['0ms', '999ms', '1s', '1m 1s', '1h', '1d 1h'],
  ]);
  assert.deepEqual([0, 1_023, 1_024, 1_536, 1_048_576, 250 * 1_048_576].map(size), [
    ...['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 MiB', '250 MiB'],
  ]);
});
