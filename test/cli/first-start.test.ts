import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { quoteForShell, terminalOf, welcomeLines } from '../../src/cli/first-start.js';

test('a real shell reads every quoted word as it was', () => {
  for (const word of [
    'plain',
    'a b',
    "it's",
    '$HOME',
    '`id`',
    '!x',
    '#',
    '"',
    '\\',
    "''",
    '*',
    '<a>',
    '~',
    '',
    'a\nb',
    'é',
    '-n',
  ]) {
    const out = execFileSync('/bin/sh', ['-c', `printf %s ${quoteForShell(word)}`], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    assert.equal(out, word);
  }
});

test('the lines of a first start hold the login and the password, a later start does not', () => {
  const alice = { login: 'alice', password: 'pass-word' };
  const first = welcomeLines({ host: '::', port: 8883, webPort: 8443, caFile: '/a b/ca.pem', ...alice });
  assert.ok(first.includes('In a browser:\n  https://localhost:8443/me\n'), first);
  const common = "--cafile '/a b/ca.pem' -h localhost -p 8883 -u alice -P pass-word -t";
  assert.ok(first.includes(`  mosquitto_sub ${common} 'iotlab/alice/#'\n`), first);
  assert.ok(first.includes(`  mosquitto_pub ${common} iotlab/alice/test -m 'Hello, world!'\n`), first);
  assert.ok(first.includes('login alice, password pass-word'));
  const later = welcomeLines({
    host: '192.0.2.7',
    port: 1,
    webPort: null,
    caFile: '/ca.pem',
    ...alice,
    password: null,
  });
  assert.ok(later.includes("-h 192.0.2.7 -p 1 -u alice -P '…your password…' -t 'iotlab/alice/#'"), later);
  assert.ok(!/Made a first user|In a browser/.test(later));
});

test('no brackets that somebody could copy, also when no login is known', () => {
  const lines = welcomeLines({
    host: '0.0.0.0',
    port: 8883,
    webPort: null,
    caFile: '/ca.pem',
    login: null,
    password: null,
  });
  assert.ok(lines.includes("-u your_login -P '…your password…' -t 'iotlab/your_login/#'"), lines);
  assert.ok(!/[<>]/.test(lines));
});

test('a person reads along on a terminal that is not full of JSON, or nowhere', () => {
  const stream = (isTTY: boolean) => Object.assign(new PassThrough(), { isTTY });
  const [stdin, terminal, other, file] = [stream(false), stream(true), stream(true), stream(false)];
  const choose = (stdout: typeof file, stderr: typeof file, format: 'auto' | 'pretty' | 'json') =>
    terminalOf({ stdin, stdout, stderr, env: {} }, { level: 'info', format });
  for (const format of ['auto', 'pretty'] as const) {
    assert.equal(choose(terminal, file, format), terminal);
    assert.equal(choose(file, other, format), other);
    assert.equal(choose(file, file, format), null);
  }
  assert.equal(choose(terminal, other, 'json'), other);
  assert.equal(choose(terminal, file, 'json'), null);
});
