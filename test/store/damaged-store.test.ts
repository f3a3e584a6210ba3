// What a bad disk or a bad backup does to a store: it is never emptied for it, whoever meets it says where and what to do,
// and what can be read is saved.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { systemClock } from '../../src/clock.js';
import { UsageError } from '../../src/errors.js';
import type { Store } from '../../src/store/contract.js';
import { findDamage, tablesIn } from '../../src/store/damage.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { BrokerProcess } from '../support/broker-process.js';
import { captureIo } from '../support/command-io.js';
import { damageTables, settle, tablesOf } from '../support/damage.js';
import { openLevel, silent, wholeSessions } from '../support/open-store.js';
import { onSmallDisk } from '../support/small-disk.js';
import { tempFolder } from '../support/temp-folder.js';

const open = (path: string): Promise<Store> =>
  openStore({ config: { path, sessionExpiryMs: 1000 }, log: silent, clock: systemClock });

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = captureIo();
  const code = await runCli(['storage', ...args], io);
  return { code, out: io.out(), err: io.err() };
}

const refusal =
  (code: string, ...says: RegExp[]) =>
  (error: unknown) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.equal(error.code, code);
    for (const text of says) assert.match(error.message, text);
    return true;
  };

const MESSAGES = 2_000;

/** A session with a queue in tables of its own; `path` is in a folder that a broker process can be started in. */
async function queueOnDisk(t: TestContext): Promise<{ folder: string; path: string }> {
  const folder = await tempFolder(t);
  const path = join(folder, 'store');
  const store = await open(path);
  const now = Date.now();
  store.session('alice/a').save(sessionRecord('alice/a', { createdAt: now, lastSeenAt: now }));
  for (let seq = 1; seq <= MESSAGES; seq++) {
    const payload = Buffer.from(`payload ${seq} `.repeat(20));
    store.session('alice/a').putOutgoing(outgoingRecord(seq, { payload }));
  }
  await store.close();
  await settle(path);
  return { folder, path };
}

async function queueOf(path: string): Promise<number[]> {
  const store = await open(path);
  const sessions = await wholeSessions(store);
  await store.close();
  assert.deepEqual(
    sessions.map(({ session }) => session.clientId),
    ['alice/a'],
  );
  return sessions[0]!.outgoing.map(({ seq }) => seq);
}

describe('a store without CURRENT', () => {
  test('is refused and left as it is, by the start and by every command but repair', async (t) => {
    const { folder, path } = await queueOnDisk(t);
    await rm(join(path, 'CURRENT'));
    const before = await readdir(path);
    const tables = await Promise.all((await tablesOf(path)).map((name) => readFile(join(path, name))));
    const says = [/store: the store is incomplete \(it has 0000\d\d\.ldb.*not CURRENT/, /storage repair --path/];
    await assert.rejects(open(path), refusal('E_STORE_INCOMPLETE', ...says));
    for (const action of ['usage', 'export', 'compact']) {
      const { code, err } = await run(action, '--path', path);
      assert.equal(code, 2);
      for (const text of says) assert.match(err, text);
    }
    const checked = await run('check', '--path', path);
    assert.equal(checked.code, 1);
    assert.match(checked.out, /the store is incomplete[\s\S]*cannot be opened\n.*storage repair/);
    const left = (await readdir(path)).filter((name) => !/^(LOG|LOCK)/.test(name));
    assert.deepEqual(left.sort(), before.filter((name) => !/^(LOG|LOCK)/.test(name)).sort());
    const same = await Promise.all((await tablesOf(path)).map((name) => readFile(join(path, name))));
    assert.deepEqual(same, tables);

    const broker = await BrokerProcess.prepare(folder, { alice: 'secret' }, {});
    await assert.rejects(broker.start(), /the store is incomplete/);

    const repaired = await run('repair', '--path', path);
    assert.deepEqual([repaired.code, repaired.err], [0, '']);
    assert.match(repaired.out, /copied to .*store\.damaged-[\s\S]*repaired, 2002 rows/);
    assert.equal((await queueOf(path)).length, MESSAGES);
  });

  test('is made new when there is nothing in it, or what an interrupted first start left', async (t) => {
    const path = join(await tempFolder(t), 'store');
    const store = await open(path);
    await store.close();
    for (const name of await readdir(path)) if (!name.startsWith('MANIFEST')) await rm(join(path, name));
    await (await open(path)).close();
  });

  test('a table that is missing is not passed over in silence', async (t) => {
    const { path } = await queueOnDisk(t);
    const [first] = await tablesOf(path);
    await rm(join(path, first!));
    await assert.rejects(open(path), refusal('E_STORE_INCOMPLETE', /missing files/, /Put the whole folder back/));
  });
});

describe('a damaged block', () => {
  test('is none in a table that LevelDB began to write while the store was looked through', async (t) => {
    const { path } = await queueOnDisk(t);
    const before = await tablesIn(path);
    const [name] = [...before.keys()];
    const half = (await readFile(join(path, name!))).subarray(0, 5_000);
    await writeFile(join(path, '999999.ldb'), half);
    assert.deepEqual(await findDamage(path, before), []);
    // A name may be used again.
    await rm(join(path, name!));
    await writeFile(join(path, name!), half);
    assert.deepEqual(await findDamage(path, before), []);
    assert.deepEqual(
      (await findDamage(path, await tablesIn(path))).map((table) => table.name).sort(),
      ['999999.ldb', name].sort(),
    );
  });

  test('is named with the remedy by the start, usage and export, and by check with its rows', async (t) => {
    const { folder, path } = await queueOnDisk(t);
    await damageTables(path);
    const says = /store: the store is damaged \(.*corrupt.*\)\. Stop the broker; then .*storage check.*storage repair/;
    for (const action of ['usage', 'export']) {
      const { code, err } = await run(action, '--path', path);
      assert.equal(code, 2, err);
      assert.match(err, says);
    }
    const broker = await BrokerProcess.prepare(folder, { alice: 'secret' }, {});
    await assert.rejects(broker.start(), says);

    const checked = await run('check', '--path', path);
    assert.deepEqual([checked.code, checked.err], [1, '']);
    const found = /\d+\.ldb: a block of \d+ bytes is damaged, with the rows after (\S+) up to (\S+)\n/.exec(
      checked.out,
    );
    assert.ok(found !== null, checked.out);
    assert.match(checked.out, /outgoing: 19\d\d\n/);
    assert.match(checked.out, /: 1 damaged blocks, 0 rows with a problem\n.*storage repair --path/);
  });

  test('is left out by repair, which keeps a copy and every other row', async (t) => {
    const { folder, path } = await queueOnDisk(t);
    const damaged = await damageTables(path);
    const bytes = await readFile(join(path, damaged[0]!));
    const { code, out, err } = await run('repair', '--path', path);
    assert.deepEqual([code, err], [0, '']);
    const copy = (await readdir(folder)).find((name) => name.startsWith('store.damaged-'))!;
    assert.match(out, new RegExp(`copied to .*${copy}\\n`));
    assert.deepEqual(await readFile(join(folder, copy, damaged[0]!)), bytes);
    const queue = await queueOf(path);
    // A block has some four thousand bytes of rows, unpacked.
    assert.ok(queue.length > MESSAGES - 50 && queue.length < MESSAGES, `${queue.length} messages`);
    assert.match((await run('check', '--path', path)).out, /fine\n$/);
    assert.match((await run('repair', '--path', path)).out, /nothing to repair\n$/);
  });

  test('that the library would read as if nothing was is found all the same, and never delivered', async (t) => {
    const path = join(await tempFolder(t), 'store');
    const store = await open(path);
    store.session('alice/a').save(sessionRecord('alice/a'));
    // Bytes that do not pack are kept as they are: no unpacking fails.
    const noise = (seq: number) => createHash('shake256', { outputLength: 400 }).update(String(seq)).digest();
    for (let seq = 1; seq <= 500; seq++) {
      store.session('alice/a').putOutgoing(outgoingRecord(seq, { payload: noise(seq) }));
    }
    await store.close();
    await settle(path);
    await damageTables(path);
    assert.equal((await queueOf(path)).length, 500);
    const checked = await run('check', '--path', path);
    assert.equal(checked.code, 1);
    assert.match(checked.out, /1 damaged blocks/);
    assert.equal((await run('repair', '--path', path)).code, 0);
    const again = await open(path);
    const [session] = await wholeSessions(again);
    await again.close();
    assert.ok(session!.outgoing.length > 450 && session!.outgoing.length < 500);
    for (const { seq, payload } of session!.outgoing) assert.deepEqual(payload, noise(seq), `message ${seq}`);
  });
});

describe('repair', () => {
  test('takes out rows of an unknown format, with which the broker does not start', async (t) => {
    const { path } = await queueOnDisk(t);
    const level = await openLevel(path);
    await level.put('r:broken\u0007', Buffer.from([99]));
    await level.close();
    await assert.rejects(open(path), { code: 'E_STORE_ROW' });
    const { code, out } = await run('repair', '--path', path);
    assert.equal(code, 0);
    assert.match(out, /r:broken\\u\{7\}: cannot be read: unknown format\n/);
    assert.equal((await queueOf(path)).length, MESSAGES);
  });

  test('does not touch a store that is in use, and says so', async (t) => {
    const { path } = await queueOnDisk(t);
    await damageTables(path);
    const store = await open(path);
    t.after(() => store.close());
    const { code, err } = await run('repair', '--path', path);
    assert.equal(code, 2);
    assert.match(err, /in use by another process/);
  });

  test('without room for the copy says so and changes nothing', async (t) => {
    const { folder, path } = await queueOnDisk(t);
    const [name] = await damageTables(path);
    const before = await readFile(join(path, name!));
    const disk = join(folder, 'disk');
    await onSmallDisk(disk, 1, async () => {
      await cp(path, join(disk, 'store'), { recursive: true });
      const { bavail, bsize } = await statfs(disk);
      // Room enough to open it.
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 65_536));
      assert.ok(before.length > 65_536);
      const { code, err } = await run('repair', '--path', join(disk, 'store'));
      assert.equal(code, 2, err);
      assert.match(err, /not repaired, because it cannot be copied.*ENOSPC.*Make room/);
      assert.deepEqual(await readFile(join(disk, 'store', name!)), before);
      assert.deepEqual((await readdir(disk)).sort(), ['ballast', 'store']);
    });
  });
});
