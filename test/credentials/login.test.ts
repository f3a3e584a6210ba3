import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoginRule } from '../../src/credentials/login.js';
import { UsageError } from '../../src/errors.js';

test('the whole login has to match, also where the pattern says neither ^ nor $, or has alternatives', () => {
  for (const pattern of ['abc|def', '^abc|def$', '(abc)|(def)', '^(abc|def)$']) {
    const isLogin = createLoginRule(pattern);
    for (const login of ['abc', 'def']) assert.equal(isLogin(login), true, `${login} by ${pattern}`);
    for (const login of ['xabc', 'abcx', 'xdef', 'defx', 'abcdef', 'abc\n', '', 'ab']) {
      assert.equal(isLogin(login), false, `${JSON.stringify(login)} by ${pattern}`);
    }
  }
});

test('no pattern lets in what would mean something in a topic, a users file or a log line', () => {
  const isLogin = createLoginRule('.*');
  for (const login of [
    'a/b',
    '+',
    'a#',
    '$SYS',
    'a:b',
    '%u',
    'a b',
    'a\tb',
    'a\0',
    '\u2028',
    '\ufeffa',
    'x'.repeat(1_025),
  ]) {
    assert.equal(isLogin(login), false, JSON.stringify(login));
  }
  for (const login of ['alice', 'ALICE', 'é', 'a.b-c_d', 'x'.repeat(1_024)]) assert.equal(isLogin(login), true, login);
});

test('a pattern that is no regular expression is named as such', () => {
  for (const pattern of ['[', '(', 'a)|(b']) {
    assert.throws(
      () => createLoginRule(pattern),
      (error) => error instanceof UsageError && error.message.startsWith('credentials.loginPattern: '),
      pattern,
    );
  }
});
