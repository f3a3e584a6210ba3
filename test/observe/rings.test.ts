import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Rings } from '../../src/observe/rings.js';

function newRings(entries: number, entriesPerOwner: number, bytes = Number.MAX_SAFE_INTEGER) {
  let charged = 0;
  const rings = new Rings<{ text: string; count: number }>({
    ...{ entries, entriesPerOwner, bytes },
    bytesOf: ({ text }) => text.length,
    charge: (change) => {
      charged += change;
    },
  });
  const put = (owner: string, key: string, text = key) =>
    rings.put(
      owner,
      key,
      () => ({ text, count: 1 }),
      (known) => {
        known.count++;
      },
    );
  return { rings, put, charged: () => charged, texts: (owner: string) => [...rings.of(owner)].map(({ text }) => text) };
}

test('an owner has its last entries, and one that is repeated is the newest again', () => {
  const { rings, put, texts } = newRings(100, 3);
  for (const key of ['a', 'b', 'c', 'd']) put('alice', key);
  assert.deepEqual(texts('alice'), ['b', 'c', 'd']);
  put('alice', 'b');
  assert.deepEqual(texts('alice'), ['c', 'd', 'b']);
  assert.deepEqual(
    [...rings.of('alice')].map(({ count }) => count),
    [1, 1, 2],
  );
  put('alice', 'e');
  assert.deepEqual(texts('alice'), ['d', 'b', 'e']);
});

test('whoever knows the place of an entry makes it the newest without its key, for as long as it is kept', () => {
  const { rings, put, texts, charged } = newRings(100, 3);
  const [a, b] = [put('alice', 'a'), put('alice', 'b')];
  put('alice', 'c');
  rings.renew('alice', a);
  rings.renew('alice', a);
  assert.deepEqual(texts('alice'), ['b', 'c', 'a']);
  put('alice', 'd');
  assert.equal(b.entry, null);
  const before = charged();
  rings.renew('alice', b);
  assert.deepEqual([texts('alice'), charged()], [['c', 'a', 'd'], before]);
  rings.drop('alice');
  rings.renew('alice', a);
  assert.deepEqual([[...rings], charged()], [[], 0]);
});

test('when all of it is full, whoever has most gives way', () => {
  const { rings, put, texts } = newRings(20, 100);
  put('alice', 'hers');
  put('benoit', 'his');
  for (let i = 0; i < 1_000; i++) put('mallory', String(i));
  assert.deepEqual([texts('alice'), texts('benoit')], [['hers'], ['his']]);
  assert.ok(rings.size <= 20);
  assert.equal(texts('mallory').at(-1), '999');
});

test('bytes are bounded too, and what is charged is what is kept', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(30), fc.string({ maxLength: 300 })), { maxLength: 200 }),
      (puts) => {
        const { rings, put, charged } = newRings(50, 20, 4_000);
        for (const [owner, key, text] of puts) {
          put(owner, String(key), text);
          assert.ok(charged() <= 4_000);
          for (const each of ['a', 'b', 'c']) assert.ok([...rings.of(each)].length <= 20);
          assert.equal([...rings].length, rings.size);
        }
        rings.clear();
        assert.deepEqual([charged(), rings.size], [0, 0]);
      },
    ),
  );
});
