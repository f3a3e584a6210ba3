import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reachInto, treeOwner, userTrees } from '../../src/mqtt/user-trees.js';

test('trees are what is below the first level with the login', () => {
  const found = userTrees(['iotlab/%u/#', 'iotlab/%u/x', 'a/b/user-%u', '%u/#', 'localisation/#']);
  assert.deepEqual(
    found.map(({ topic, above }) => [topic, above.join('/')]),
    [
      ['iotlab/%u/#', 'iotlab'],
      ['a/b/user-%u', 'a/b'],
      ['%u/#', ''],
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
    assert.equal(reachInto(userTrees([tree])[0]!, rule), reach, `${tree} ${rule}`);
});
