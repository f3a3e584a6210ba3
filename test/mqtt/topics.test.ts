import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isValidTopicFilter,
  isValidTopicName,
  maxTopicBytes,
  maxTopicLevels,
  parseShare,
  topicMatchesFilter,
} from '../../src/mqtt/topics.js';

const levels = (count: number) => new Array(count).fill('a').join('/');

test('topic names', () => {
  for (const name of [
    'a',
    '/',
    '//',
    'a/',
    ' ',
    'iotlab/alice',
    '$SYS/x',
    'é/😀',
    'constructor',
    '__proto__',
    levels(maxTopicLevels),
  ]) {
    assert.equal(isValidTopicName(name), true, name);
  }
  const invalid = [
    '',
    '#',
    '+',
    'a/+',
    'a/#',
    'a+',
    'a#b',
    'a\0b',
    '\ud800',
    'a\udc00',
    '\ud800a',
    levels(maxTopicLevels + 1),
  ];
  for (const name of invalid) assert.equal(isValidTopicName(name), false, JSON.stringify(name));
});

test('topic names have at most 65 535 bytes of UTF-8, not characters', () => {
  assert.equal(isValidTopicName('a'.repeat(maxTopicBytes)), true);
  assert.equal(isValidTopicName('a'.repeat(maxTopicBytes + 1)), false);
  assert.equal(isValidTopicName('€'.repeat(maxTopicBytes / 3)), true);
  assert.equal(isValidTopicName(`${'€'.repeat(maxTopicBytes / 3)}a`), false);
  assert.equal(isValidTopicName('😀'.repeat(Math.floor(maxTopicBytes / 4))), true);
  assert.equal(isValidTopicName('😀'.repeat(Math.ceil(maxTopicBytes / 4))), false);
});

test('topic filters', () => {
  const valid = [
    '#',
    '+',
    '+/+',
    '/+',
    '+/',
    'a/#',
    'a/+/b',
    '/#',
    '//#',
    '$SYS/#',
    '$share',
    '$share/g/a',
    '$share/g/#',
  ];
  for (const filter of valid) assert.equal(isValidTopicFilter(filter), true, filter);
  const invalid = ['', 'a#', 'a/#/b', '#/', '##', 'a+', '+a', 'a/b+/c', '++', '+#', 'a\0', levels(maxTopicLevels + 1)];
  const invalidShares = [
    '$share/',
    '$share//a',
    '$share/g',
    '$share/g/',
    '$share/+/a',
    '$share/#',
    '$share/a#/b',
    '$share/g/a#',
  ];
  for (const filter of [...invalid, ...invalidShares]) assert.equal(isValidTopicFilter(filter), false, filter);
});

test('shared subscriptions are taken apart', () => {
  assert.deepEqual(parseShare('$share/g/a/+/#'), { group: 'g', filter: 'a/+/#' });
  assert.deepEqual(parseShare('$share/g//'), { group: 'g', filter: '/' });
  for (const other of ['a', '$SYS/a', '$shared/g/a', '$share', '$share/', '$share//a', '$share/g/', '$share/+/a']) {
    assert.equal(parseShare(other), null, other);
  }
});

test('matching', () => {
  const matching: [filter: string, ...topics: string[]][] = [
    ['a', 'a'],
    ['a/b', 'a/b'],
    ['#', 'a', '/', 'a/b/c', ' '],
    ['+', 'a', 'abc'],
    ['+/+', '/', 'a/b', '/b', 'a/'],
    ['a/#', 'a', 'a/', 'a/b', 'a/b/c', 'a//'],
    ['a/+', 'a/', 'a/b'],
    ['/+', '/', '/a'],
    ['a/+/c', 'a/b/c', 'a//c'],
    ['a/+/#', 'a/b', 'a/b/c', 'a/', 'a//'],
    ['a/', 'a/'],
    ['$SYS/#', '$SYS', '$SYS/a'],
    ['$SYS/+', '$SYS/a'],
    ['a/$b', 'a/$b'],
    ['a/+', 'a/$b'],
  ];
  for (const [filter, ...topics] of matching) {
    for (const topic of topics) assert.equal(topicMatchesFilter(topic, filter), true, `${filter} ${topic}`);
  }
  const other: [filter: string, ...topics: string[]][] = [
    ['a', 'b', 'ab', 'a/', '/a', 'a/b', 'A'],
    ['a/b', 'a', 'a/', 'a/bc', 'a/b/', 'ab'],
    ['ab', 'a', 'abc'],
    ['#', '$SYS', '$SYS/a', '$'],
    ['+', '/', 'a/', 'a/b', '$SYS'],
    ['+/#', '$SYS/a'],
    ['+/a', '$SYS/a'],
    ['a/#', 'ab', 'b', 'ab/c', '/a'],
    ['a/+', 'a', 'a/b/c', 'a//'],
    ['a/+/c', 'a/c', 'a/b/d', 'a/b/c/d'],
    ['a/+/#', 'a'],
    ['a/', 'a', 'a/b', 'a//'],
    ['a//#', 'a', 'a/b'],
    ['$share/g/a', 'a'],
  ];
  for (const [filter, ...topics] of other) {
    for (const topic of topics) assert.equal(topicMatchesFilter(topic, filter), false, `${filter} ${topic}`);
  }
});
