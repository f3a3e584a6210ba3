import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/clock.js';
import { GroupCommit } from '../../src/store/group-commit.js';
import { LongValues } from '../../src/store/long-values.js';
import { RetainedTree } from '../../src/store/retained-messages.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { silent } from '../support/open-store.js';

async function newTree(topics: readonly string[] = []): Promise<RetainedTree> {
  const disk = new FlawedDisk();
  const db = await disk.open('create');
  const tree = new RetainedTree(
    new GroupCommit({ db, open: disk.open, durable: false, log: silent, clock: systemClock }),
    new LongValues(),
  );
  for (const topic of topics) tree.set(retained(topic));
  return tree;
}

const retained = (topic: string) =>
  ({
    topic,
    payload: Buffer.from(topic),
    qos: 0,
    properties: null,
    storedAt: 0,
    owner: null,
    expiresAt: null,
  }) as const;
const topicsOf = (tree: RetainedTree, filter: string) =>
  tree
    .match(filter)
    .map(({ topic }) => topic)
    .sort();

/**
 * How much of the tree a filter walks over. The time and the memory that it takes tell less: they depend on what else
 * the machine does, and on what is collected meanwhile.
 */
const stepsOf = (tree: RetainedTree, filter: string): number => [...tree.walk(filter)].length;

/** The rules of section 4.7 of MQTT 3.1.1, as plainly as can be. */
function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return index <= levels.length;
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}

const level = fc.constantFrom('', 'a', 'b', '$s', 'é');
const topic = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, hash]) => (hash ? [...levels, '#'] : levels).join('/'))
  .filter((text) => text !== '');

describe('retained index', () => {
  test('matches what the rules say, after any sets and deletes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(topic, { maxLength: 30 }),
        fc.array(topic),
        fc.array(filter, { minLength: 5 }),
        async (set, deleted, filters) => {
          const tree = await newTree(set);
          for (const gone of deleted) tree.delete(gone);
          const left = [...new Set(set)].filter((each) => !deleted.includes(each));
          assert.equal(tree.size, left.length);
          for (const each of filters) {
            assert.deepEqual(topicsOf(tree, each), left.filter((name) => matches(each, name)).sort(), each);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a leading wildcard leaves out topics that begin with $ [MQTT-4.7.2-1]', async () => {
    const tree = await newTree(['$SYS/a', 'x/a', 'x/$y']);
    assert.deepEqual(topicsOf(tree, '#'), ['x/$y', 'x/a']);
    assert.deepEqual(topicsOf(tree, '+/a'), ['x/a']);
    assert.deepEqual(topicsOf(tree, '$SYS/#'), ['$SYS/a']);
    assert.deepEqual(topicsOf(tree, 'x/+'), ['x/$y', 'x/a']);
  });

  test('names of object members are plain levels', async () => {
    const tree = await newTree(['constructor/__proto__', 'toString']);
    assert.deepEqual(topicsOf(tree, 'constructor/+'), ['constructor/__proto__']);
    assert.deepEqual(topicsOf(tree, '__proto__/#'), []);
  });

  test('keeps its own copy of a payload', async () => {
    const tree = await newTree();
    const received = Buffer.from('the bytes of a socket');
    tree.set({ ...retained('a'), payload: received.subarray(4, 9) });
    received.fill(0);
    assert.equal(tree.get('a')?.payload.toString(), 'bytes');
  });

  test('thousands of levels and filters made of + alone stay bounded by what is there', async () => {
    const deep = Array.from({ length: 200 }, (_, index) => `l${index}`).join('/');
    const endless = '/'.repeat(30_000);
    const tree = await newTree([deep, endless]);
    for (let width = 0; width < 1000; width++) tree.set(retained(`wide/${width}/x`));
    const pluses = (count: number) => Array(count).fill('+').join('/');
    const cases: [filter: string, matching: string[]][] = [
      [pluses(200), [deep]],
      [`${pluses(199)}/#`, [deep, endless].sort()],
      ['l0/#', [deep]],
      [pluses(60_000), []],
    ];
    for (const [filter, matching] of cases) assert.deepEqual(topicsOf(tree, filter), matching);
    const whole = stepsOf(tree, '#');
    assert.ok(whole > 50, `${whole} steps`);
    for (const [filter] of cases) assert.ok(stepsOf(tree, filter) <= 2 * whole, `${stepsOf(tree, filter)} steps`);
    assert.equal(tree.delete(endless)?.topic, endless);
    assert.equal(tree.size, 1001);
  });

  test("100 000 messages of others cost a user's SUBSCRIBE nothing", async () => {
    const alone = await newTree();
    const crowded = await newTree();
    for (let n = 0; n < 100_000; n++) crowded.insert(retained(`iotlab/user${n % 5000}/node${n}/temperature`));
    for (const tree of [alone, crowded]) {
      for (let n = 0; n < 10; n++) tree.insert(retained(`iotlab/alice/node${n}/temperature`));
    }
    for (const [filter, found] of [
      ['iotlab/alice/#', 10],
      ['iotlab/alice/+/temperature', 10],
      ['iotlab/alice/node7/temperature', 1],
    ] as const) {
      assert.equal(crowded.match(filter).length, found);
      assert.equal(stepsOf(crowded, filter), stepsOf(alone, filter), filter);
    }
  });

  test('branches that lead nowhere any more are cut', async () => {
    const tree = await newTree();
    const topicOf = (n: number) => `iotlab/user${n}/${n}/a/b/c/d/e/f`;
    for (let n = 0; n < 20_000; n++) tree.insert(retained(topicOf(n)));
    const filled = stepsOf(tree, '#');
    for (let n = 0; n < 20_000; n++) tree.delete(topicOf(n));
    // The last one's branch may be needed still, or again.
    tree.insert(retained('iotlab/user0/0/a'));
    assert.deepEqual(topicsOf(tree, '#'), ['iotlab/user0/0/a']);
    assert.ok(filled > 100, `${filled} steps for 160 000 levels`);
    assert.equal(stepsOf(tree, '#'), 0);
  });
});
