import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Level } from 'level';
import type { Database } from '../../src/store/database.js';
import { openLevel } from '../../src/store/level-database.js';
import { tempFolder } from '../support/temp-folder.js';

const bytes = (count: number, fill: string): Buffer => Buffer.alloc(count, fill);
const mebibyte = 1024 * 1024;

async function write(db: Database, rows: Readonly<Record<string, Buffer | null>>): Promise<void> {
  const batch = db.batch();
  for (const [key, value] of Object.entries(rows)) {
    if (value === null) batch.del(key);
    else batch.put(key, value);
  }
  await batch.write({ sync: true });
}

/** What is really in the folder. */
async function rawRows(path: string): Promise<Map<string, Buffer>> {
  const level = new Level<string, Buffer>(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const rows = new Map(await level.iterator().all());
  await level.close();
  return rows;
}

async function shownRows(db: Database): Promise<[string, number, string][]> {
  const rows: [string, number, string][] = [];
  for await (const [key, value] of db.iterator({ gte: '', lt: '~' })) {
    rows.push([key, value.length, value.toString('latin1', value.length - 1)]);
  }
  return rows;
}

test('a long value is there whole, in the place of its key, and no row of the folder is long', async (t) => {
  const path = await tempFolder(t);
  const db = await openLevel(path, 'create');
  await write(db, { 'r:a': bytes(10, 'a'), 'r:b': bytes(3 * mebibyte + 7, 'b'), 'r:c': bytes(mebibyte / 4, 'c') });
  const expected = [
    ['r:a', 10, 'a'],
    ['r:b', 3 * mebibyte + 7, 'b'],
    ['r:c', mebibyte / 4, 'c'],
  ];
  assert.deepEqual(await shownRows(db), expected);
  assert.ok((await db.get('r:b'))!.equals(bytes(3 * mebibyte + 7, 'b')));
  await db.close();
  for (const value of (await rawRows(path)).values()) assert.ok(value.length <= mebibyte / 4);
  const again = await openLevel(path, 'existing');
  assert.deepEqual(await shownRows(again), expected);
  await again.close();
});

test('what is replaced or deleted leaves no part behind', async (t) => {
  const path = await tempFolder(t);
  const db = await openLevel(path, 'create');
  await write(db, { a: bytes(mebibyte, '1'), b: bytes(mebibyte, '1'), c: bytes(mebibyte, '1') });
  await write(db, { a: bytes(2 * mebibyte, '2'), b: bytes(3, '2'), c: null });
  await write(db, { a: bytes(mebibyte, '3') });
  assert.deepEqual(await shownRows(db), [
    ['a', mebibyte, '3'],
    ['b', 3, '2'],
  ]);
  await db.close();
  assert.equal((await rawRows(path)).size, 1 + 1 + 4 + 1);
  const again = await openLevel(path, 'existing');
  await write(again, { a: null });
  await again.close();
  assert.deepEqual([...(await rawRows(path)).keys()], ['b']);
});

test('a value that was prepared is written once; one that nobody put goes at the next start', async (t) => {
  const path = await tempFolder(t);
  const db = await openLevel(path, 'create');
  const [kept, dropped, forgotten] = ['1', '2', '3'].map((fill) => bytes(mebibyte, fill)) as [Buffer, Buffer, Buffer];
  for (const value of [kept, dropped, forgotten]) await db.prepare!(value);
  assert.deepEqual(await shownRows(db), []);
  await db.discard!(dropped);
  await write(db, { a: kept });
  assert.deepEqual(await shownRows(db), [['a', mebibyte, '1']]);
  await db.close();
  assert.equal((await rawRows(path)).size, 1 + 1 + 4 + 1 + 4, 'those of the first and of the third');
  await (await openLevel(path, 'existing')).close();
  assert.equal((await rawRows(path)).size, 1 + 1 + 4);
});

test('a value that has lost a part is read as what no row is', async (t) => {
  const path = await tempFolder(t);
  const db = await openLevel(path, 'create');
  await write(db, { a: bytes(mebibyte, '1') });
  await db.close();
  const level = new Level<string, Buffer>(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const [part] = await level.keys({ gte: 'part:', lt: 'part;' }).all();
  await level.del(part!);
  await level.close();
  const again = await openLevel(path, 'existing');
  assert.equal((await again.get('a'))![0], 0xff);
  await write(again, { a: null });
  await again.close();
  assert.equal((await rawRows(path)).size, 0);
});
