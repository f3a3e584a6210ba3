import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/cli/command-line.js';
import { captureIo } from '../support/command-io.js';
import { RawClient } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const deadline = { timeout: 30_000 };

function run(t: TestContext, args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [main, 'test', ...args], { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  const output = { out: '', err: '' };
  child.stdout!.on('data', (chunk) => {
    output.out += String(chunk);
  });
  child.stderr!.on('data', (chunk) => {
    output.err += String(chunk);
  });
  const line = once(child.stdout!, 'data').then(() => output.out.split('\n', 1)[0]!);
  const left = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }));
  return { child, line, left };
}

/** In this process, where no signal comes and no command runs. */
async function here(args: readonly string[]) {
  const io = captureIo();
  const code = await runCli(['test', ...args], io);
  return { code, out: io.out(), err: io.err() };
}

describe('iotlab-broker test', { concurrency: 2 }, () => {
  test('runs a command against a broker and leaves with its exit code', deadline, async (t) => {
    const script = [
      'set -e',
      'set -- -h "$IOTLAB_MQTT_HOST" -p "$IOTLAB_MQTT_PORT" --cafile "$IOTLAB_MQTT_CAFILE"',
      'set -- "$@" -u "$IOTLAB_MQTT_LOGIN" -P "$IOTLAB_MQTT_PASSWORD"',
      'mosquitto_pub "$@" -t iotlab/alice/x -m kept -r -q 1',
      'mosquitto_sub "$@" -t "iotlab/alice/#" -C 1 -W 10',
      'echo "$IOTLAB_MQTT_CAFILE"',
      'exit 7',
    ].join('\n');
    const { code, out, err } = await run(t, ['--', 'sh', '-c', script]).left;
    const [message, caFile = ''] = out.split('\n');
    assert.deepEqual([code, message, err], [7, 'kept', '']);
    assert.match(caFile, /\.pem$/);
    assert.ok(!existsSync(caFile), 'nothing is left behind');
  });

  test('a command that fails is followed by what the broker warned of', deadline, async (t) => {
    const script =
      'mosquitto_pub -h $IOTLAB_MQTT_HOST -p $IOTLAB_MQTT_PORT --cafile $IOTLAB_MQTT_CAFILE -u alice -P no -t x -m x';
    const failed = await run(t, ['--', 'sh', '-c', `${script} 2>&1`]).left;
    assert.equal(failed.code, 5);
    assert.match(failed.err, /^The broker warned:\n {2}connection refused login=alice .*reason=wrong-password\n$/);
    const passed = await run(t, ['--', 'sh', '-c', `${script} 2>&1; true`]).left;
    assert.deepEqual([passed.code, passed.err], [0, '']);
  });

  test('users and access rules of a configuration', deadline, async (t) => {
    const config = join(await tempFolder(t), 'broker.yaml');
    await writeFile(config, 'acl: [{ access: readwrite, topic: "lab/%u" }]\nlisteners: {}\n');
    const wrong = await here(['--config', config, '--json']);
    assert.deepEqual([wrong.code, wrong.out], [2, '']);
    assert.match(wrong.err, /broker\.yaml:2: listeners: /);
    await writeFile(config, 'acl: [{ access: readwrite, topic: "lab/%u" }]\n');
    const { child, line } = run(t, ['--config', config, '--user', 'carol:carol-secret', '--user', 'dave', '--json']);
    const variables = JSON.parse(await line);
    assert.deepEqual([variables.IOTLAB_MQTT_LOGIN, variables.IOTLAB_MQTT_PASSWORD], ['carol', 'carol-secret']);
    const ca = await readFile(variables.IOTLAB_MQTT_CAFILE, 'utf8');
    const target = { host: variables.IOTLAB_MQTT_HOST, port: Number(variables.IOTLAB_MQTT_PORT), ca };
    await using client = await RawClient.connect(target, { as: 'carol' });
    assert.deepEqual(await client.subscribe(['lab/carol', 0], ['iotlab/carol/#', 0]), [0, 0x80]);
    child.kill();
  });

  test('--json runs until standard input is closed', deadline, async (t) => {
    const { child, line, left } = run(t, ['--json']);
    const variables = JSON.parse(await line);
    assert.deepEqual(Object.keys(variables), [
      ...['IOTLAB_MQTT_HOST', 'IOTLAB_MQTT_PORT', 'IOTLAB_MQTT_CAFILE', 'IOTLAB_MQTT_LOGIN', 'IOTLAB_MQTT_PASSWORD'],
    ]);
    assert.ok(existsSync(variables.IOTLAB_MQTT_CAFILE));
    child.stdin!.end();
    assert.equal((await left).code, 0);
    assert.ok(!existsSync(variables.IOTLAB_MQTT_CAFILE));
  });

  test('a signal reaches the command, and its end is told as a shell would', deadline, async (t) => {
    const patient = run(t, [
      '--',
      'sh',
      '-c',
      'trap "echo told; exit 3" TERM; echo ready; for i in $(seq 100); do sleep 0.1; done',
    ]);
    await patient.line;
    patient.child.kill('SIGTERM');
    const { code, out } = await patient.left;
    assert.deepEqual([code, out], [3, 'ready\ntold\n']);
    assert.equal((await run(t, ['--', 'sh', '-c', 'kill -9 $$']).left).code, 137);
  });

  test('wrong usage', deadline, async () => {
    const expect = async (args: readonly string[], message: RegExp) => {
      const { code, err } = await here(args);
      assert.equal(code, 2);
      assert.match(err, message);
    };
    await expect([], /COMMAND is missing; usage: iotlab-broker test -- COMMAND/);
    await expect(['--json', '--', 'ls'], /--json runs no command/);
    await expect(['--', 'no-such-command-here'], /no-such-command-here cannot be run: there is no such command/);
    await expect(['--user', 'Not A Login', '--json'], /"Not A Login" cannot log in/);
  });
});

test('--log shows what the broker sees, and at the end what it denied', deadline, async (t) => {
  const script = [
    'set -- -h "$IOTLAB_MQTT_HOST" -p "$IOTLAB_MQTT_PORT" --cafile "$IOTLAB_MQTT_CAFILE" -i sensor',
    'mosquitto_pub "$@" -u alice -P "$IOTLAB_MQTT_PASSWORD" -t "iotlab/<alice>/x" -m x',
    'mosquitto_pub "$@" -u alice -P wrong -t x -m x',
    'true',
  ].join('\n');
  const { code, err } = await run(t, ['--log', '--', 'sh', '-c', script]).left;
  assert.equal(code, 0, err);
  assert.match(err, /^broker: connected login=alice client=sensor /m);
  assert.match(err, /^broker: publish denied login=alice .* topic=iotlab\/<alice>\/x hint="<alice>" is meant/m);
  const summary = err.slice(err.indexOf('Denied and refused:'));
  assert.match(summary, /^ {2}1 × publish iotlab\/<alice>\/x \(alice "sensor"\): "<alice>" is meant to be replaced/m);
  assert.match(summary, /^ {2}1 × connect \(alice "sensor"\): the password is wrong$/m);
  const nothing = await run(t, ['--log', '--', 'true']).left;
  assert.match(nothing.err, /Nothing was denied or refused\.\n$/);
});
