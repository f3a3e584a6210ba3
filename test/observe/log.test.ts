import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../src/errors.js';
import { createLog } from '../../src/observe/log.js';

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
  assert.match(lines[0]!, /ERROR.*sad/);
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
