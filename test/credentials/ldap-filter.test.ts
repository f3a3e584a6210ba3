import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnFor, escapeDnValue, filterFor, parseFilter } from '../../src/credentials/ldap-filter.js';
import { UsageError } from '../../src/errors.js';

test('parses every kind of filter', () => {
  const equal = (attribute: string, value: string) => ({ kind: 'equal', attribute, value });
  assert.deepEqual(parseFilter('(uid=%u)', 'key'), equal('uid', '%u'));
  assert.deepEqual(parseFilter('(&(uid=%u)(!(|(cn=a)(cn=*)(sn>=b)(sn<=c)(sn~=d))))', 'key'), {
    kind: 'and',
    filters: [
      equal('uid', '%u'),
      {
        kind: 'not',
        filter: {
          kind: 'or',
          filters: [
            equal('cn', 'a'),
            { kind: 'present', attribute: 'cn' },
            { kind: 'atLeast', attribute: 'sn', value: 'b' },
            { kind: 'atMost', attribute: 'sn', value: 'c' },
            { kind: 'approx', attribute: 'sn', value: 'd' },
          ],
        },
      },
    ],
  });
  assert.deepEqual(parseFilter('(cn=a*b**c)', 'key'), {
    kind: 'substrings',
    attribute: 'cn',
    initial: 'a',
    any: ['b'],
    final: 'c',
  });
  assert.deepEqual(parseFilter('(memberOf:1.2.840.113556.1.4.1941:=cn=x)', 'key'), {
    kind: 'extensible',
    attribute: 'memberOf',
    rule: '1.2.840.113556.1.4.1941',
    dn: false,
    value: 'cn=x',
  });
  assert.deepEqual(parseFilter('(ou:dn:=Lab)', 'key'), {
    kind: 'extensible',
    attribute: 'ou',
    rule: '',
    dn: true,
    value: 'Lab',
  });
});

test('reads escapes as the bytes they stand for', () => {
  assert.deepEqual(parseFilter('(cn=Lu\\c4\\8di\\c4\\87 \\28a\\2a\\29\\5c)', 'key'), {
    kind: 'equal',
    attribute: 'cn',
    value: 'Lučić (a*)\\',
  });
});

test('refuses what is not a filter, naming the key', () => {
  for (const text of [
    '',
    'uid=%u',
    '(uid=%u',
    '(uid=%u))',
    '()',
    '(=x)',
    '(&)',
    '(uid=a\\zz)',
    '(uid=(a))',
    '(:=x)',
    '(a)',
  ]) {
    assert.throws(
      () => parseFilter(text, 'credentials.ldap.searchFilter'),
      (error) => error instanceof UsageError && error.message.startsWith('credentials.ldap.searchFilter: '),
      text,
    );
  }
});

test('a login enters a filter as it is, whatever it holds', () => {
  for (const login of ['*', '*)(uid=*', 'a\\2a', '$&', '%u', 'č']) {
    const filled = filterFor(parseFilter('(|(uid=%u)(cn=x-%u*))', 'key'), login);
    assert.deepEqual(filled, {
      kind: 'or',
      filters: [
        { kind: 'equal', attribute: 'uid', value: login },
        { kind: 'substrings', attribute: 'cn', initial: `x-${login}`, any: [], final: '' },
      ],
    });
  }
});

test('a login enters every part of a filter, however deep, also what is negated', () => {
  const filter = '(&(!(uid=%u))(|(cn~=%u)(!(&(sn=a*%u*b)(sn>=%u))))(ou:dn:=%u)(uid=*))';
  const filled = JSON.stringify(filterFor(parseFilter(filter, 'key'), 'alice'));
  assert.doesNotMatch(filled, /%u/);
  assert.equal(filled, JSON.stringify(parseFilter(filter.replaceAll('%u', 'alice'), 'key')));
});

test('a login enters a DN as one value', () => {
  const template = 'uid=%u,ou=People,dc=senslab,dc=info';
  assert.equal(dnFor(template, 'alice'), 'uid=alice,ou=People,dc=senslab,dc=info');
  assert.equal(dnFor(template, 'a,ou=x'), 'uid=a\\2cou\\3dx,ou=People,dc=senslab,dc=info');
  assert.equal(escapeDnValue(' #a+b"<>;\\\0 '), '\\20\\23a\\2bb\\22\\3c\\3e\\3b\\5c\\00\\20');
  assert.equal(escapeDnValue('č'), '\\c4\\8d');
  assert.equal(dnFor(template, '$&'), 'uid=\\24\\26,ou=People,dc=senslab,dc=info');
});
