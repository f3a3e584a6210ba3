import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Matching, SubscriptionTree } from '../../src/routing/subscription-tree.js';
import { RecordingSubscriber } from './recording-subscriber.js';

function found(tree: SubscriptionTree, topic: string): Matching {
  const matching = tree.match(topic);
  assert.ok(matching.proceed(Number.POSITIVE_INFINITY));
  return matching;
}

/** Nodes that are looked at for a topic, told by looking at one at a time. */
function nodesVisited(tree: SubscriptionTree, topic: string): number {
  const matching = tree.match(topic);
  let visited = 1;
  while (!matching.proceed(1)) visited++;
  return visited;
}

interface Change {
  readonly filter: string;
  readonly who: number;
  readonly share: string | null;
}

const subscribers = [new RecordingSubscriber('alice'), new RecordingSubscriber('bob')];
const level = fc.constantFrom('a', 'b', '+');
const filter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'));
const change: fc.Arbitrary<Change> = fc.record({
  filter,
  who: fc.nat({ max: 1 }),
  share: fc.constantFrom(null, null, 'g'),
});
const topics = ['a', 'b'].flatMap((first) =>
  ['', '/a', '/b'].flatMap((second) => ['', '/a/b/a', '/b/b'].map((rest) => first + second + rest)),
);

/** What a walk down the tree visits tells which nodes are there. */
function visited(tree: SubscriptionTree): number[] {
  return topics.map((topic) => nodesVisited(tree, topic));
}

function treeOf(changes: readonly Change[]): SubscriptionTree {
  const tree = new SubscriptionTree();
  for (const { filter, who, share } of changes) tree.add(filter, subscribers[who]!, 0, share);
  return tree;
}

const keyOf = ({ filter, who, share }: Change) => `${filter} ${who} ${share}`;

test('after any subscriptions and their ends the tree is as if only what is left had ever been there', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.array(fc.nat({ max: 19 })), (added, ended) => {
      const tree = treeOf(added);
      const left = new Map(added.map((each) => [keyOf(each), each]));
      for (const index of ended) {
        const gone = added[index];
        if (gone === undefined) continue;
        const found = tree.delete(gone.filter, subscribers[gone.who]!, gone.share);
        assert.equal(found, left.delete(keyOf(gone)), keyOf(gone));
      }
      assert.deepEqual(visited(tree), visited(treeOf([...left.values()])));
    }),
    { numRuns: 1_000 },
  );
});

test('a branch that leads nowhere any more is cut, whatever it ended with', () => {
  for (const [filter, topic] of [
    ['a/b/c/d', 'a/b/c/d'],
    ['a/b/c/#', 'a/b/c/d'],
    ['a/+/+/d', 'a/b/c/d'],
    ['+/+/+/+', 'a/b/c/d'],
  ] as const) {
    for (const share of [null, 'group']) {
      const tree = new SubscriptionTree();
      const [alice] = subscribers as [RecordingSubscriber];
      const bare = nodesVisited(tree, topic);
      tree.add(filter, alice, 0, share);
      assert.ok(nodesVisited(tree, topic) > bare + 2);
      tree.delete(filter, alice, share);
      assert.equal(nodesVisited(tree, topic), bare, `${filter} of ${share}`);
    }
  }
});

test('a branch that leads somewhere else still is not', () => {
  const tree = new SubscriptionTree();
  const [alice, bob] = subscribers as [RecordingSubscriber, RecordingSubscriber];
  const matching = (topic: string) => found(tree, topic).targets.transient.map(({ subscriber }) => subscriber);
  tree.add('a/b/c/d', alice, 0, null);
  tree.add('a/b', bob, 0, null);
  tree.delete('a/b/c/d', alice, null);
  assert.deepEqual(matching('a/b'), [bob]);
  tree.add('a/b/c/d', alice, 0, null);
  tree.delete('a/b', bob, null);
  assert.deepEqual(matching('a/b/c/d'), [alice]);
  tree.add('a/b/c/d', bob, 0, null);
  tree.delete('a/b/c/d', bob, null);
  assert.deepEqual(matching('a/b/c/d'), [alice]);
});
