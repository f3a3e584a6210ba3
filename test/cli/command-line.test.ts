import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/cli/command.js';
import { commands, runCli } from '../../src/cli/command-line.js';
import { packageVersion } from '../../src/config/package-folder.js';
import { Fault, UsageError } from '../../src/errors.js';
import { captureIo } from '../support/command-io.js';

function registryOf(run: Command['run']): Map<string, () => Promise<Command>> {
  const command: Command = { name: 'serve', summary: 'serves', help: 'Usage: serve\n\nExample: serve --config a', run };
  return new Map([['serve', async () => command]]);
}

async function invoke(args: string[], run: Command['run'] = async () => 0) {
  const io = captureIo();
  const code = await runCli(args, io, registryOf(run));
  return { code, out: io.out(), err: io.err() };
}

test('help in every form lists the commands or shows the one', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, out, err } = await invoke(args);
    assert.equal(code, 0);
    assert.match(out, / {2}serve {2}serves\n/);
    assert.equal(err, '');
  }
  for (const args of [
    ['help', 'serve'],
    ['serve', '--help'],
    ['serve', '--config', 'x', '-h'],
  ]) {
    const { code, out } = await invoke(args, () => assert.fail('ran'));
    assert.equal(code, 0);
    assert.equal(out, 'Usage: serve\n\nExample: serve --config a\n');
  }
});

test('behind -- nothing is an option', async () => {
  const { out } = await invoke(['serve', '--', '--help'], async (args, io) => {
    io.stdout.write(args.join(' '));
    return 0;
  });
  assert.equal(out, '-- --help');
});

test('--version', async () => {
  const { code, out } = await invoke(['--version']);
  assert.deepEqual([code, out], [0, `${packageVersion()}\n`]);
});

test('no command, and unknown ones with the nearest name: exit code 2', async () => {
  const none = await invoke([]);
  assert.equal(none.code, 2);
  assert.match(none.err, /Usage: iotlab-broker COMMAND/);
  const near = await invoke(['sevre']);
  assert.deepEqual([near.code, near.err], [2, 'iotlab-broker: "sevre" is not a command; did you mean "serve"?\n']);
  const far = await invoke(['frobnicate']);
  assert.deepEqual(
    [far.code, far.err],
    [2, 'iotlab-broker: "frobnicate" is not a command; see: iotlab-broker --help\n'],
  );
  assert.equal((await invoke(['help', 'sevre'])).code, 2);
  assert.equal((await invoke(['constructor'])).code, 2);
});

test("the exit code is the command's, or tells usage from everything else", async () => {
  const failing = (error: unknown) => invoke(['serve'], () => Promise.reject(error));
  assert.equal((await invoke(['serve'], async () => 7)).code, 7);
  const usage = await failing(new UsageError('a.yaml:1: b: unknown key\na.yaml:2: c: unknown key'));
  assert.deepEqual([usage.code, usage.err], [2, 'iotlab-broker: a.yaml:1: b: unknown key\na.yaml:2: c: unknown key\n']);
  const fault = await failing(new Fault('E_STORE', 'the store failed', { cause: new Error('disk\nfull') }));
  assert.deepEqual([fault.code, fault.err], [1, 'iotlab-broker: the store failed: disk full\n']);
  const odd = await failing('text');
  assert.deepEqual([odd.code, odd.err], [1, 'iotlab-broker: text\n']);
  assert.ok(!(await failing(new TypeError('bug'))).err.includes('    at '));
});

test('every command of the program has a summary, and help with an example and --config', async () => {
  for (const [name, load] of commands) {
    const command = await load();
    assert.equal(command.name, name);
    assert.match(command.summary, /^\S.{3,78}$/, name);
    assert.match(command.help, /Usage: iotlab-broker/, name);
    assert.match(command.help, /Example/, name);
    assert.match(command.help, /--config/, name);
  }
});
