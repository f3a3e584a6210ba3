import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { printableIo } from '../../src/cli/printable-io.js';
import { progressOn } from '../../src/cli/progress.js';
import { hashPassword } from '../../src/credentials/password-hash.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

/** Clears the screen in two ways, turns text around, goes back to the line's beginning, begins another line. */
const hostile = '\u001b[2J\u009b2J\u202e\u2067\u200f\u061c\r\u0085\u2028\u2029\u0007\u007f';
const shown = '\\u001b[2J\\u009b2J\\u202e\\u2067\\u200f\\u061c\\u000d\\u0085\\u2028\\u2029\\u0007\\u007f';
const acts = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

async function invoke(...args: string[]) {
  const io = captureIo();
  const code = await runCli(args, io);
  assert.doesNotMatch(io.out() + io.err(), acts, args.join(' '));
  return { code, all: io.out() + io.err() };
}

test('what somebody typed, or wrote into a file, is shown and never acts on the terminal', async (t) => {
  const folder = await tempFolder(t);
  const users = join(folder, 'users');
  await writeFile(users, `alice${hostile}:${await hashPassword('x')}\nalice:text${hostile}\n`);
  const config = join(folder, 'broker.yaml');
  await writeFile(config, `listener: { "prot${hostile.replace(/[\r\u0085\u2028\u2029]/g, '')}": 1 }\n`);
  const odd = join(folder, 'odd.yaml');
  await writeFile(odd, `acl: [{ access: read, topic: "${JSON.stringify(`a${hostile}`).slice(1, -1)}" }]\n`);
  const rows: [string[], number][] = [
    [[`serve${hostile}`], 2],
    [['user', `add${hostile}`], 2],
    [['user', 'add', `alice${hostile}`, '--random', '--file', users], 2],
    [['user', 'list', '--file', users], 0],
    [['user', 'import', `${users}${hostile}`, '--file', users], 2],
    [['acl', 'explain', `a${hostile}`, 'read', `iotlab/a${hostile}/#`], 0],
    [['config', 'check', '--config', config], 2],
    [['config', 'check', '--config', `${config}${hostile}`], 2],
    [['config', 'show', '--config', odd], 0],
    [['config', 'show', '--json', '--config', odd], 0],
    [['storage', 'usage', '--path', `${folder}${hostile}`], 2],
    [['certs', 'create', '--name', `a${hostile}`, '--config', odd], 2],
    [['test', '--user', `a${hostile}`, '--json'], 2],
  ];
  for (const [args, expected] of rows) {
    const { code, all } = await invoke(...args);
    assert.equal(code, expected, `${args.join(' ')}: ${all}`);
  }
  assert.ok((await invoke('user', 'list', '--file', users)).all.includes(`alice${shown}\n`));
  const json = captureIo();
  await runCli(['config', 'show', '--json', '--config', odd], json);
  assert.equal(JSON.parse(json.out()).acl[0].topic, `a${hostile}`);
});

test('a stream that goes through the door arrives whole, and progress still moves the cursor', async () => {
  const io = captureIo();
  const { stdout } = printableIo(io);
  await pipeline(
    async function* () {
      for (let i = 0; i < 1_000; i += 1) yield `${i} ${hostile} ${'x'.repeat(1_000)}\n`;
    },
    stdout,
    { end: false },
  );
  assert.equal(io.out().split('\n').length, 1_001);
  assert.ok(io.out().startsWith(`0 ${shown} x`));

  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  const progress = progressOn(printableIo({ ...io, stderr: terminal }).stderr, 'lines');
  const now = performance.now.bind(performance);
  performance.now = () => now() + 5_000;
  try {
    progress.at(256);
  } finally {
    performance.now = now;
  }
  progress.end();
  assert.equal(String(terminal.read()), '\r256 lines\r256 lines\n');
});
