// Disks that are full or read-only: a real, small file system where this process may mount one, and a file system that
// answers the same errors where it may not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { Fault, UsageError } from '../../src/errors.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { captureLog } from '../support/captured-log.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { silent, wholeSessions } from '../support/open-store.js';
import { onSmallDisk } from '../support/small-disk.js';
import { tempFolder } from '../support/temp-folder.js';

const MEGABYTE = 1024 * 1024;

const answer = (store: Store): Promise<Fault | null> => new Promise((resolve) => store.committed(resolve));

interface FullDisk {
  open(): Promise<Store>;
  fill(): Promise<void>;
  free(): Promise<void>;
  nextTry(): void;
}

async function realDisk(folder: string): Promise<FullDisk> {
  const ballast = join(folder, 'ballast');
  const clock = new ManualClock();
  const config = { path: join(folder, 'store'), sessionExpiryMs: 1000 };
  return {
    open: () => openStore({ config, log: silent, clock }),
    fill: () => writeFile(ballast, Buffer.alloc(6 * MEGABYTE)),
    free: () => rm(ballast),
    nextTry: () => clock.advance(10_000),
  };
}

async function injectedDisk(): Promise<FullDisk> {
  const disk = new FlawedDisk();
  const clock = new ManualClock();
  const config = { path: '/nowhere', sessionExpiryMs: 1000 };
  return {
    open: () => openStore({ config, log: silent, clock, open: disk.open }),
    fill: async () => {
      disk.writeError = new Error('IO error: No space left on device');
    },
    free: async () => {
      disk.writeError = null;
    },
    nextTry: () => clock.advance(10_000),
  };
}

describe('a full disk', () => {
  async function scenario(disk: FullDisk): Promise<void> {
    let store = await disk.open();
    const writer = store.session('alice/a');
    writer.save(sessionRecord('alice/a'));
    const acknowledged: number[] = [];
    const refused: number[] = [];
    const put = async (seq: number) => {
      writer.putOutgoing(outgoingRecord(seq, { payload: Buffer.alloc(100_000, seq) }));
      ((await answer(store)) === null ? acknowledged : refused).push(seq);
    };
    for (let seq = 1; seq <= 5; seq++) await put(seq);
    assert.equal(refused.length, 0);
    await disk.fill();
    let seq = 5;
    while (refused.length === 0 && seq < 100) await put(++seq);
    assert.equal(store.fault?.code, 'E_STORE_WRITE');
    assert.match(store.fault.message, /No space left on device/);
    await put(++seq);
    assert.equal(refused.length, 2);

    const recovered = new Promise<void>((resolve) => store.onRecovered(resolve));
    await disk.free();
    const trying = setInterval(() => disk.nextTry(), 20);
    await recovered;
    clearInterval(trying);
    assert.equal(store.fault, null);
    await put(++seq);
    assert.equal(acknowledged.at(-1), seq);
    await store.close();
    store = await disk.open();
    const [session] = await wholeSessions(store);
    // What was refused was not forgotten by the session either, so it is there too.
    assert.deepEqual(
      session?.outgoing.map((record) => record.seq),
      [...acknowledged, ...refused].sort((a, b) => a - b),
    );
    for (const record of session.outgoing) assert.equal(record.payload.length, 100_000);
    await store.close();
  }

  test('nothing unsafe is acknowledged, and service resumes when space returns', async (t) => {
    const folder = await tempFolder(t);
    await onSmallDisk(folder, 8, async () => scenario(await realDisk(folder)));
    await scenario(await injectedDisk());
  });
});

describe('a start on a full disk', () => {
  test('says so, with what to do, also when there is no store yet', async (t) => {
    const folder = await tempFolder(t);
    await onSmallDisk(join(folder, 'disk'), 4, async () => {
      const disk = join(folder, 'disk');
      const path = join(disk, 'store');
      const options = (name: string) => ({
        config: { path: join(disk, name), sessionExpiryMs: 1000 },
        log: silent,
        clock: systemClock,
      });
      await (await openStore(options('store'))).close();
      const { bavail, bsize } = await statfs(disk);
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize));
      const expected = (error: unknown) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.equal(error.code, 'E_STORE_FULL');
        assert.match(
          error.message,
          /disk\/\w+: the disk is full \(.*space.*\)\. Free some space there, or set storage\.path/i,
        );
        return true;
      };
      await assert.rejects(openStore(options('store')), expected);
      await assert.rejects(openStore(options('new')), expected);
      await rm(join(disk, 'ballast'));
      await (await openStore(options('store'))).close();
      assert.ok((await readdir(path)).includes('CURRENT'));
    });
  });
});

describe('a read-only file system', () => {
  test('is named when the store is opened, with what to do', async (t) => {
    const folder = await tempFolder(t);
    const expected = (error: unknown) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, /writable.*storage\.path/);
      return true;
    };
    // Nobody, not even root, can make a folder here.
    const config = { path: '/sys/iotlab-broker-store', sessionExpiryMs: 1000 };
    await assert.rejects(openStore({ config, log: silent, clock: systemClock }), expected);
    await onSmallDisk(folder, 8, async () => {
      const path = join(folder, 'store');
      const options = { config: { path, sessionExpiryMs: 1000 }, log: silent, clock: systemClock };
      await (await openStore(options)).close();
      execFileSync('mount', ['-o', 'remount,ro', folder]);
      await assert.rejects(openStore(options), expected);
    });
  });

  test('a disk that turns read-only while the store is open is a fault like any other', async (t) => {
    const captured = captureLog();
    const disk = new FlawedDisk();
    const clock = new ManualClock();
    const config = { path: '/nowhere', sessionExpiryMs: 1000 };
    const store = await openStore({ config, log: captured.log, clock, open: disk.open });
    t.after(() => store.close());
    disk.writeError = new Error('IO error: Read-only file system');
    store.retained.set({
      topic: 'a',
      payload: Buffer.from('x'),
      qos: 1,
      properties: null,
      storedAt: 0,
      owner: null,
      expiresAt: null,
    });
    const fault = await answer(store);
    assert.ok(fault instanceof Fault);
    assert.equal(store.retained.get('a')?.payload.toString(), 'x');
    disk.writeError = null;
    clock.advance(1000);
    await captured.waitFor(/can be written again/);
    assert.equal((await disk.rows()).has('r:a'), true);
  });
});
