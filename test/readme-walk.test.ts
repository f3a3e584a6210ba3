import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startClient } from './support/mosquitto-clients.js';
import { openPage, sectionOf } from './support/pages.js';
import { passwordOf } from './support/raw-client.js';
import { useTestBroker } from './support/test-broker.js';

// The README's five minutes, its own lines in its own order. `npm start` itself is the serve command's test.
const broker = useTestBroker({ users: ['alice'] });
const main = fileURLToPath(new URL('../src/main.js', import.meta.url));
const section = sectionOf(openPage('README.md'), 'Five minutes to the first message');
const lines = [...section.matchAll(/^```sh\n(.*?)\n```$/gms)].map(([, line = '']) => line);

/** The home of who follows the README. */
let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotlab-readme-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs a line of the README in a shell; only what is this machine's own is filled in. */
function run(line: string, more = '') {
  const own = line
    .replace('certs/iot-lab-ca.pem', broker.caFile)
    .replace('-p 8883', `-p ${broker.port}`)
    .replace('<password>', `'${passwordOf('alice')}'`)
    .replace('npx iotlab-broker', `'${process.execPath}' '${main}'`);
  // What is killed at a deadline is then the client itself, and not the shell in front of it.
  const command = own.includes(' | ') ? own : `exec ${own}`;
  return startClient('sh', ['-c', `${command}${more}`], { home: folder });
}

function lineWith(words: string): string {
  const found = lines.filter((line) => line.includes(words));
  assert.equal(found.length, 1, `one line of the section has "${words}"`);
  return found[0]!;
}

test('the section has the commands that are tried here, and no other', () => {
  const tried = ['npm start', 'mosquitto_sub', 'Hello', 'seq', 'user add'].map(lineWith);
  assert.deepEqual(tried, lines);
});

test('the message arrives, and the lines of a pipe, with the options in files', async () => {
  const subscriber = run(lineWith('mosquitto_sub'), ' -d -C 4');
  await subscriber.line(/^Subscribed/);
  assert.deepEqual(await run(lineWith('Hello')).finished(), { code: 0, stdout: '', stderr: '' });
  await subscriber.line(/^iotlab\/alice\/test Hello, world!$/);

  const [options = ''] = /^-u alice\n-P .*\n/m.exec(section) ?? [];
  await mkdir(join(folder, '.config'));
  const file = join(folder, '.config', 'mosquitto_pub');
  await writeFile(file, options.replace('<password>', passwordOf('alice')), { mode: 0o600 });
  assert.deepEqual(await run(lineWith('seq')).finished(), { code: 0, stdout: '', stderr: '' });
  const { code, stdout } = await subscriber.finished();
  assert.equal(code, 0);
  assert.deepEqual(
    stdout.match(/^iotlab\/alice\/test \d$/gm),
    [1, 2, 3].map((n) => `iotlab/alice/test ${n}`),
  );
});

test('a second user is made, with a password that lets them in', async () => {
  const { code, stdout } = await run(lineWith('user add'), ` --file '${broker.usersFile}'`).finished();
  assert.equal(code, 0);
  await broker.logs.waitFor(/users file read again/);
  const line = lineWith('Hello').replaceAll('alice', 'benoit').replace('<password>', stdout.trim());
  assert.deepEqual(await run(line).finished(), { code: 0, stdout: '', stderr: '' });
});

test('the test of the README passes, and fails when the message is another', async () => {
  const page = sectionOf(openPage('README.md'), 'Inside a test');
  const [, example = ''] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
  const local = example
    .replace("'iotlab-broker/testing'", JSON.stringify(new URL('../src/testing/index.js', import.meta.url).href))
    .replace("'mqtt'", JSON.stringify(import.meta.resolve('mqtt')));
  const file = join(folder, 'example.mjs');
  for (const [text, code] of [
    [local, 0],
    [local.replace("text, '21.5'", "text, '20.5'"), 1],
  ] as const) {
    await writeFile(file, text);
    const ended = await startClient(process.execPath, ['--test', file], { home: folder }).finished(20_000);
    assert.equal(ended.code, code, ended.stdout);
    assert.match(ended.stdout, /tests 1$/m);
  }
});
