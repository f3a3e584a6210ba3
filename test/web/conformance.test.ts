import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageFolder } from '../../src/config/package-folder.js';

// A quick part of the suite, all of whose clients come over WebSocket, in frames of all sizes [MQTT-6.0.0-2]. All of it
// runs by `TEST_TRANSPORT=websocket npm test -- conformance/`, as .ci/run does.
const files = ['publish', 'mqtt31', 'mqtt5-connect'];

test('the conformance suite passes over WebSocket', { timeout: 120_000 }, async () => {
  const folder = join(packageFolder(), 'build', 'test', 'conformance');
  // All in one process, as most of what a file takes is loading the broker.
  const suites = files.map((file) => `describe('${file}', async () => void (await import('./${file}.test.js')));`);
  const program = ["import { describe } from 'node:test';", ...suites].join('\n');
  const args = ['--enable-source-maps', '--test-reporter=tap', '--input-type=module', '--eval', program];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...env, TEST_TRANSPORT: 'websocket' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output.match(/^\s*not ok[\s\S]{0,600}/gm)?.join('\n'));
  assert.match(output, /^# pass [1-9]\d/m);
  for (const file of files) assert.match(output, new RegExp(`^ok \\d+ - ${file}$`, 'm'));
});
