import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Fault } from '../../src/errors.js';
import { createLog } from '../../src/observe/log.js';
import { tempFolder } from '../support/temp-folder.js';

function capture() {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => void lines.push(line) } };
}

test('JSON: one object a line, the level as a word, the time in ISO 8601', () => {
  const { lines, destination } = capture();
  const log = createLog({ level: 'info', format: 'json' }, destination);
  log.child({ login: 'alice' }).info({ topic: 'a' }, 'denied');
  log.debug('not this');
  assert.equal(lines.length, 1);
  const { time, ...line } = JSON.parse(lines[0]!);
  assert.deepEqual(line, { level: 'info', login: 'alice', topic: 'a', msg: 'denied' });
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('pretty: readable, complete when the call returns, one line also for an error', () => {
  const { lines, destination } = capture();
  const log = createLog({ level: 'info', format: 'pretty' }, destination);
  log.error({ err: new Fault('E_X', 'it broke', { cause: new Error('why') }), login: 'alice' }, 'sad');
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] ERROR: sad/);
  assert.match(lines[0]!, /it broke.*E_X.*why/);
  assert.equal(lines[0]!.trimEnd().includes('\n'), false, lines[0]);
  assert.equal(lines[0]!.includes('    at '), false);
});

test('stacks are written only when somebody is debugging', () => {
  for (const [level, expected] of [
    ['info', false],
    ['debug', true],
  ] as const) {
    const { lines, destination } = capture();
    createLog({ level, format: 'json' }, destination).error({ err: new Error('a', { cause: new Error('b') }) }, 'c');
    const { err } = JSON.parse(lines[0]!);
    assert.equal(typeof err.stack === 'string' && typeof err.cause.stack === 'string', expected);
    assert.deepEqual([err.message, err.cause.message], ['a', 'b']);
  }
});

test('the second lock: secrets are hidden if somebody logs them after all', () => {
  for (const format of ['json', 'pretty'] as const) {
    const { lines, destination } = capture();
    const log = createLog({ level: 'trace', format }, destination);
    log.info({ password: 'hunter2', user: { hash: 'hunter2', key: 'hunter2', proof: 'hunter2' } }, 'oops');
    log.child({ password: 'hunter2' }).warn({ key: Buffer.from('hunter2') }, 'oops');
    assert.equal(lines.length, 2);
    assert.equal(lines.join('').includes('hunter2'), false, lines.join(''));
    assert.equal(lines.join('').includes('hidden'), true);
  }
});

test('a password in a URL is not in what an error says', () => {
  const { lines, destination } = capture();
  const log = createLog({ level: 'debug', format: 'json' }, destination);
  log.error({ err: new Error('a', { cause: new Error('https://alice:hunter2@example.org: refused') }) }, 'b');
  assert.doesNotMatch(lines[0]!, /hunter2/);
  assert.match(lines[0]!, /https:\/\/\[hidden\]@example\.org: refused/);
});

/** Clears the screen, sets the title, turns text around, begins lines that look like the broker's. */
const hostile = [
  ...[
    '\u001b[5m',
    '\u001b[2J',
    '\u009b2J',
    '\u001b]0;owned\u0007',
    '\u0008\u0008',
    '\u007f',
    '\r',
    '\u0085',
    '\0',
    '\u000b',
    '\u000c',
  ],
  ...[
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    '\u202e',
    '\u2066',
    '\u2067',
    '\u2068',
    '\u2069',
    '\u200e',
    '\u200f',
    '\u061c',
  ],
  ...['\u2028', '\u2029', '\n[12:00:00.000] INFO: connected'],
].join('-');
const acts = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

function logHostile(log: ReturnType<typeof createLog>): void {
  log.info({ topic: hostile, nested: { list: [hostile] }, [hostile]: 1, err: new Error(hostile) }, hostile);
  log.child({ client: hostile, name: hostile, hostname: hostile, caller: hostile, pid: hostile }).warn('denied');
  log.info({ time: hostile, level: hostile, type: 'Error', stack: hostile, msg: hostile });
  log.error(new Error(hostile));
}

test('JSON: what would act on a terminal is escaped, and the values are the same', () => {
  const { lines, destination } = capture();
  logHostile(createLog({ level: 'info', format: 'json' }, destination));
  assert.equal(lines.length, 4);
  for (const line of lines) assert.doesNotMatch(line.replace(/\n$/, ''), acts);
  const first = JSON.parse(lines[0]!);
  assert.deepEqual([first.topic, first.nested.list[0], first.msg], [hostile, hostile, hostile]);
});

test('JSON: what begins markup is escaped, and the values are the same; on a terminal it is shown', () => {
  const topic = 'iotlab/alice/<script>alert(1)</script>&lt;';
  const json = capture();
  createLog({ level: 'info', format: 'json' }, json.destination).info({ topic }, topic);
  assert.doesNotMatch(json.lines[0]!, /[<>&]/);
  assert.equal(JSON.parse(json.lines[0]!).topic, topic);
  const pretty = capture();
  createLog({ level: 'info', format: 'pretty' }, pretty.destination).info({ topic }, topic);
  assert.equal(pretty.lines[0]!.split(topic).length, 3);
});

test('pretty: what would act on a terminal is shown instead, on one line', () => {
  const { lines, destination } = capture();
  logHostile(createLog({ level: 'info', format: 'pretty' }, destination));
  assert.equal(lines.length, 4);
  for (const line of lines) assert.doesNotMatch(line.replace(/\n$/, ''), acts);
  assert.match(lines[0]!, /\\u001b\[5m.*\\u202e.*\\n\[12:00/);
});

test('on a terminal only colours are left', async (t) => {
  const file = join(await tempFolder(t), 'hostile.mjs');
  const module = new URL('../../src/observe/log.js', import.meta.url);
  await writeFile(
    file,
    `import { createLog } from ${JSON.stringify(module)};
    const hostile = ${JSON.stringify(hostile)};
    (${logHostile})(createLog({ level: 'info', format: 'auto' }));`,
  );
  const line = `'${process.execPath}' '${file}'`;
  const { stdout } = await promisify(execFile)('script', ['-qec', line, '/dev/null'], { timeout: 20_000 });
  const pieces = stdout.trimEnd().split(/(\p{Cc}\[\d{1,2}m)/u);
  assert.ok(pieces.includes('\u001b[32m'), 'the level has a colour');
  assert.ok(!pieces.includes('\u001b[5m'), 'nothing blinks');
  const lines = pieces
    .filter((_, i) => i % 2 === 0)
    .join('')
    .split('\r\n');
  assert.equal(lines.length, 4, stdout);
  assert.match(lines[0]!, /INFO: \\u001b\[5m/);
  for (const shown of lines) assert.doesNotMatch(shown, acts);
});

for (const [end, code] of [
  ['throw new Error("nobody catches")', 1],
  ['process.exit(3)', 3],
  ['process.exitCode = 4', 4],
] as const) {
  test(`JSON on standard output: the last lines are written, whatever the end is: ${end}`, async () => {
    const made = JSON.stringify(new URL('../../src/observe/log.js', import.meta.url).href);
    const program = `
      import { createLog } from ${made};
      const log = createLog({ level: 'info', format: 'json' });
      for (let number = 0; number < 200; number++) log.info({ number }, 'line');
      ${end};
    `;
    const args = ['--input-type=module', '--eval', program];
    const { stdout, code: ended } = await promisify(execFile)(process.execPath, args).catch((error) => error);
    assert.equal(ended, code);
    const numbers = stdout
      .trimEnd()
      .split('\n')
      .map((line: string) => JSON.parse(line).number);
    assert.deepEqual(
      numbers,
      Array.from({ length: 200 }, (_, number) => number),
    );
  });
}

test('JSON on standard output: lines that follow each other closely are written in one piece, soon', async (t) => {
  const made = JSON.stringify(new URL('../../src/observe/log.js', import.meta.url).href);
  const program = `
    import fs from 'node:fs';
    let writes = 0;
    const { write } = fs;
    fs.write = (fd, ...rest) => { if (fd === 1) writes++; return write(fd, ...rest); };
    const { createLog } = await import(${made});
    const log = createLog({ level: 'info', format: 'json' });
    for (let number = 0; number < 20; number++) log.info({ number }, 'line');
    process.stdin.once('data', () => process.stderr.write(String(writes)));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  t.after(() => child.kill('SIGKILL'));
  let lines = '';
  for await (const piece of child.stdout) {
    lines += piece;
    if (lines.endsWith('"number":19,"msg":"line"}\n')) break;
  }
  assert.equal(lines.trimEnd().split('\n').length, 20);
  child.stdin.write('x');
  const [writes] = (await once(child.stderr, 'data')) as [Buffer];
  assert.equal(`${writes}`, '1');
});

test('JSON on standard output: a process may make many logs, and those that say nothing leave nothing with it', () => {
  const before = process.listenerCount('exit');
  // The first one brings what the library has for all of them.
  for (let made = 0; made < 20; made++) createLog({ level: 'silent', format: 'json' });
  assert.ok(process.listenerCount('exit') <= before + 1);
});
