// `storage usage` and `storage export` beside a broker, on a full disk, and interrupted.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openDatabase } from '../../src/store/open-database.js';
import { readingCopy } from '../../src/store/reading-copy.js';
import { openStore } from '../../src/store/store.js';
import { settle, tablesOf } from '../support/damage.js';
import { collect, openLevel, silent } from '../support/open-store.js';
import { onSmallDisk } from '../support/small-disk.js';
import { tempFolder } from '../support/temp-folder.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const open = (path: string): Promise<Store> =>
  openStore({ config: { path, sessionExpiryMs: 1000 }, log: silent, clock: systemClock });

/** A folder for temporary files, and a store of some megabytes that does not fit into a pipe. */
async function scene(t: TestContext): Promise<{ folder: string; path: string; temporary: string }> {
  const folder = await tempFolder(t);
  const [path, temporary] = [join(folder, 'store'), join(folder, 'tmp')];
  await mkdir(temporary);
  await fill(path);
  return { folder, path, temporary };
}

async function fill(path: string): Promise<void> {
  const store = await open(path);
  for (let n = 0; n < 1_000; n++) {
    const payload = Buffer.alloc(1_000, n);
    store.retained.set({
      topic: `iotlab/alice/${n}`,
      payload,
      qos: 0,
      properties: null,
      storedAt: 0,
      owner: null,
      expiresAt: null,
    });
  }
  await store.close();
  await settle(path);
}

function start(temporary: string, ...args: string[]): ChildProcess {
  const env = { ...process.env, TMPDIR: temporary };
  return spawn(process.execPath, [main, 'storage', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finish(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const written = { out: '', err: '' };
  child.stdout!.on('data', (chunk) => {
    written.out += String(chunk);
  });
  child.stderr!.on('data', (chunk) => {
    written.err += String(chunk);
  });
  const [code] = await once(child, 'close');
  return { code, ...written };
}

describe('a copy to read from', () => {
  test('stays whole while the broker merges and deletes the tables that it was made of', async (t) => {
    const { path } = await scene(t);
    const live = await openDatabase({ path, log: silent, clock: systemClock, mode: 'create' });
    const copied = await tablesOf(path);
    const { path: copy, remove } = await readingCopy(path);
    const batch = live.batch();
    for (const n of [0, 999]) batch.put(`r:iotlab/alice/${n}`, Buffer.from('newer'));
    await batch.write({ sync: true });
    await live.compactRange?.('', '~');
    const left = await tablesOf(path);
    assert.deepEqual(
      copied.filter((name) => left.includes(name)),
      [],
      'the tables are still there: this shows nothing',
    );
    const level = await openLevel(copy);
    assert.equal((await level.get('r:iotlab/alice/0'))?.length, 1_020);
    assert.equal((await level.keys({ gte: 'r:', lt: 'r;' }).all()).length, 1_000);
    await level.close();
    await remove();
    await live.close();
  });

  test('that a killed command left goes with the next command and the next start; those in use stay', async (t) => {
    const { folder, path, temporary } = await scene(t);
    const store = await open(path);
    const interrupted = start(temporary, 'export', '--path', path);
    await once(interrupted.stdout!, 'readable');
    const [own, ...more] = await readdir(temporary);
    assert.match(own!, /^iotlab-broker-reading-\d+-/);
    assert.deepEqual(more, []);
    // Left by an earlier release: one that nobody has, and one that somebody reads.
    await mkdir(join(folder, 'store.reading-dead'));
    await (await open(join(folder, 'store.reading-used'))).close();
    const reader = await openLevel(join(folder, 'store.reading-used'));

    const beside = await finish(start(temporary, 'usage', '--path', path));
    assert.deepEqual([beside.code, beside.err], [0, '']);
    assert.deepEqual(await readdir(temporary), [own], 'the copy of a living process was removed');
    assert.deepEqual((await readdir(folder)).sort(), ['store', 'store.reading-used', 'tmp']);

    interrupted.kill('SIGKILL');
    await once(interrupted, 'close');
    await reader.close();
    const after = await finish(start(temporary, 'usage', '--path', path));
    assert.deepEqual([after.code, after.err], [0, '']);
    assert.deepEqual(await readdir(temporary), []);
    assert.deepEqual((await readdir(folder)).sort(), ['store', 'tmp']);

    await mkdir(join(folder, 'store.reading-dead'));
    await store.close();
    await (await open(path)).close();
    assert.deepEqual((await readdir(folder)).sort(), ['store', 'tmp'], 'a start leaves them');
  });

  test('needs no room on a full disk, whether a broker has the store open or not', async (t) => {
    const { folder, temporary } = await scene(t);
    const disk = join(folder, 'disk');
    await onSmallDisk(disk, 8, async () => {
      const path = join(disk, 'store');
      await fill(path);
      const store = await open(path);
      const { bavail, bsize } = await statfs(disk);
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize));
      assert.equal((await statfs(disk)).bavail, 0);
      for (const used of [true, false]) {
        if (!used) await store.close();
        const usage = await finish(start(temporary, 'usage', '--json', '--path', path));
        assert.deepEqual([usage.code, usage.err], [0, ''], `in use: ${used}`);
        assert.equal(JSON.parse(usage.out)[0].retainedMessages, 1_000);
        const exported = await finish(start(temporary, 'export', '--path', path));
        assert.equal(exported.out.split('\n').length, 1_002);
        assert.deepEqual((await readdir(disk)).sort(), ['ballast', 'store']);
        assert.deepEqual(await readdir(temporary), []);
      }
    });
  });

  test('is not made good when the store is damaged: that would write into the tables of the broker', async (t) => {
    const { path } = await scene(t);
    const { path: copy, remove } = await readingCopy(path);
    const [manifest] = (await readdir(copy)).filter((name) => name.startsWith('MANIFEST'));
    await writeFile(join(copy, manifest!), 'nonsense');
    await assert.rejects(openDatabase({ path: copy, log: silent, clock: systemClock, mode: 'existing' }), {
      code: 'E_STORE_DAMAGED',
    });
    await remove();
    const sessions = await open(path);
    assert.equal(sessions.retained.size, 1_000);
    assert.deepEqual(await collect(sessions.loadSessions()), []);
    await sessions.close();
  });
});
