import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reachInto, type TreeRule, treeOwner, unnamedReach, userTrees } from '../../src/mqtt/user-trees.js';

test('trees are what is below the first level with the login', () => {
  const rules = ['iotlab/%u/#', 'iotlab/%u/x', 'a/b/user-%u', '%u/#', 'localisation/#'].map((topic) => ({ topic }));
  const found = userTrees([
    ...rules,
    { topic: 'c/alice/#', users: ['bob', 'alice'] },
    { topic: 'c/bob', users: ['robot'] },
  ]);
  assert.deepEqual(
    found.map(({ topic, above, owner }) => [topic, above.join('/'), owner]),
    [
      ['iotlab/%u/#', 'iotlab', null],
      ['a/b/user-%u', 'a/b', null],
      ['%u/#', '', null],
      ['c/alice/#', 'c', 'alice'],
    ],
  );
});

test('a topic belongs to whose tree it is in, the deepest one that there is', () => {
  const ownerOf = treeOwner(['%u/#', 'iotlab/%u/#', 'a/+/user-%u/x', 'localisation/#']);
  const owners = ['iotlab/alice', 'iotlab/alice/x/y', 'bob/x', 'a/b/user-carol/x', 'iotlab', ''].map(ownerOf);
  assert.deepEqual(owners, ['alice', 'alice', 'bob', 'carol', 'iotlab', '']);
  assert.equal(treeOwner(['iotlab/%u/#'])('other/alice'), '');
});

test('a rule reaches into trees in as many words, or without, or not', () => {
  const cases: readonly (readonly [tree: string, rule: string, reach: string])[] = [
    ['iotlab/%u/#', '#', 'unnamed'],
    ['iotlab/%u/#', '+/#', 'unnamed'],
    ['iotlab/%u/#', '+/+', 'unnamed'],
    ['iotlab/%u/#', '+/alice/#', 'unnamed'],
    ['iotlab/%u/#', '+', 'not'],
    ['iotlab/%u/#', 'iotlab', 'not'],
    ['iotlab/%u/#', 'iotlab/#', 'named'],
    ['iotlab/%u/#', 'iotlab/+', 'named'],
    ['iotlab/%u/#', 'iotlab/+/x', 'named'],
    ['iotlab/%u/#', 'iotlab/bob/#', 'named'],
    ['iotlab/%u/#', 'iotlab/%u/x', 'not'],
    ['iotlab/%u/#', '+/%u/x', 'not'],
    ['iotlab/%u/#', 'localisation/#', 'not'],
    ['iotlab/%u/#', 'localisation/+/x', 'not'],
    ['iotlab/%u/#', '$SYS/#', 'not'],
    ['a/b/%u', 'a/#', 'unnamed'],
    ['a/b/%u', 'a/+/#', 'unnamed'],
    ['a/b/%u', 'a/b/#', 'named'],
    ['a/b/%u', 'a/+', 'not'],
    ['+/%u/#', '+/+/x', 'named'],
    ['+/%u/#', 'iotlab/+', 'named'],
    ['+/%u/#', '#', 'unnamed'],
    ['%u/#', '#', 'unnamed'],
    ['%u/#', '+/#', 'named'],
    ['%u/#', 'bob/#', 'named'],
    ['$lab/%u/#', '#', 'not'],
    ['$lab/%u/#', '+/+', 'not'],
    ['$lab/%u/#', '$lab/#', 'named'],
    ['+/%u/#', '$lab/#', 'not'],
  ];
  for (const [tree, rule, reach] of cases)
    assert.equal(reachInto(userTrees([{ topic: tree }])[0]!, { topic: rule }), reach, `${tree} ${rule}`);
});

test("a rule with %u reaches into others' trees when a login is a word of another rule", () => {
  const cases: readonly (readonly [tree: string, rule: TreeRule, reach: string])[] = [
    ['iotlab/%u/#', { topic: '%u/#' }, 'unnamed'],
    ['iotlab/%u/#', { topic: '%u/+/x' }, 'unnamed'],
    ['iotlab/%u/#', { topic: '%u/bob' }, 'unnamed'],
    ['iotlab/%u/#', { topic: '%u' }, 'not'],
    ['iotlab/%u/#', { topic: '%u/%u/#' }, 'not'],
    // Of the login iotlab, below iotlab: its own.
    ['iotlab/%u/#', { topic: '%u/iotlab/#' }, 'not'],
    ['iotlab/%u/#', { topic: 'x%u/#' }, 'not'],
    ['iotlab/%u/#', { topic: 'iot%u/#' }, 'unnamed'],
    ['iotlab/%u/#', { topic: 'io%u%u/#' }, 'not'],
    ['abab/%u/#', { topic: '%u%u/#' }, 'unnamed'],
    ['iotlab/%u/#', { topic: '%u/#', users: ['alice'] }, 'not'],
    ['iotlab/%u/#', { topic: '%u/#', users: ['alice', 'iotlab'] }, 'unnamed'],
    ['iotlab/%u/#', { topic: '%u/#', users: ['alice'], groups: ['g'] }, 'unnamed'],
    ['iotlab/%u/#', { topic: 'iotlab/x%u/#' }, 'unnamed'],
    ['iotlab/x%u/#', { topic: 'iotlab/y%u/#' }, 'not'],
    ['iotlab/x%u/#', { topic: 'iotlab/%u/#' }, 'unnamed'],
    ['iotlab/x%u/#', { topic: '%u/y/#' }, 'not'],
    ['+/%u/#', { topic: 'iotlab/%u/#' }, 'not'],
    ['+/%u/#', { topic: '%u/+' }, 'unnamed'],
    ['$lab/%u/#', { topic: '%u/#' }, 'not'],
    ['%u/#', { topic: 'iotlab/%u/#' }, 'named'],
  ];
  for (const [topic, rule, reach] of cases) {
    const found = reachInto(userTrees([{ topic }])[0]!, rule);
    // What is another user's by its literal is judged by the other rule, which is refused.
    assert.equal(found, reach === 'named' ? 'unnamed' : reach, `${topic} ${JSON.stringify(rule)}`);
  }
});

test('the tree of somebody whom a rule names is as closed as those of %u', () => {
  const tree = userTrees([{ topic: 'iotlab/alice/#', users: ['alice'] }])[0]!;
  const cases: readonly (readonly [rule: TreeRule, reach: string])[] = [
    [{ topic: '#' }, 'unnamed'],
    [{ topic: '#', users: ['alice'] }, 'not'],
    [{ topic: '#', users: ['alice', 'bob'] }, 'unnamed'],
    [{ topic: '#', users: ['alice'], groups: ['g'] }, 'unnamed'],
    [{ topic: '+/alice/#' }, 'unnamed'],
    [{ topic: '+/bob/#' }, 'not'],
    [{ topic: 'iotlab/#' }, 'named'],
    [{ topic: 'iotlab/+/#' }, 'named'],
    [{ topic: 'iotlab/alice/#', groups: ['g'] }, 'named'],
    [{ topic: 'iotlab/bob/#' }, 'not'],
    [{ topic: '%u/#' }, 'unnamed'],
    [{ topic: '%u/bob/#' }, 'not'],
    [{ topic: 'iotlab/%u/#' }, 'not'],
    [{ topic: 'iotlab/al%u/#' }, 'unnamed'],
    [{ topic: '+/%u/#' }, 'not'],
  ];
  for (const [rule, reach] of cases) assert.equal(reachInto(tree, rule), reach, JSON.stringify(rule));
  assert.match(unnamedReach(tree, { topic: '#' }), /^reaches into the tree of alice .*write "iotlab\/alice\/#"/);
  assert.match(unnamedReach(tree, { topic: '%u/#' }), /for the login "iotlab"/);
});

test('what somebody is granted in the tree of another is no tree of his', () => {
  const trees = (...rules: TreeRule[]) => userTrees(rules).map(({ topic }) => topic);
  const own = { topic: 'iotlab/%u/#' };
  assert.deepEqual(trees({ topic: 'iotlab/alice/bob/#', users: ['bob'] }, own), ['iotlab/%u/#']);
  assert.deepEqual(trees({ topic: 'iotlab/+/bob', users: ['bob'] }), []);
  assert.deepEqual(trees({ topic: 'course/bob/#', users: ['bob'] }, own), ['course/bob/#', 'iotlab/%u/#']);
  assert.deepEqual(trees({ topic: 'iotlab/bob/#', users: ['bob'] }, { topic: '%u/#' }), ['iotlab/bob/#', '%u/#']);
});
