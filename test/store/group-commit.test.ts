import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fault } from '../../src/errors.js';
import { GroupCommit } from '../../src/store/group-commit.js';
import { inParts } from '../../src/store/parted-database.js';
import { Patience } from '../../src/store/patience.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from '../support/captured-log.js';
import { within } from '../support/deadline.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { collect, silent } from '../support/open-store.js';

const bytes = (text: string) => Buffer.from(text);
const turn = () => new Promise((resolve) => setImmediate(resolve));

interface GroupOptions {
  disk?: FlawedDisk;
  durable?: boolean;
  log?: typeof silent;
  /** Groups ripen in the time of the machine, and not in that of the test. */
  realDisk?: boolean;
}

async function newGroup(options: GroupOptions = {}) {
  const disk = options.disk ?? new FlawedDisk();
  const clock = new ManualClock();
  const ripen = (callback: () => void, delayMs: number) => void clock.after(delayMs, callback);
  const db = await disk.open('create');
  const { durable = true, log = silent, realDisk = false } = options;
  const group = new GroupCommit({ db, open: disk.open, durable, log, clock, ...(!realDisk && { ripen }) });
  const committed = () =>
    new Promise<Fault | null>((resolve) => {
      group.committed(resolve);
    });
  return { disk, clock, group, committed };
}

describe('group commit', () => {
  test('operations of one turn are one synced batch', async () => {
    const { disk, group, committed } = await newGroup();
    for (let n = 0; n < 100; n++) group.put(`key:${n}`, bytes('x'));
    group.delete('other:1');
    assert.equal(await committed(), null);
    assert.deepEqual(
      disk.writes.map(({ sync, changes }) => [sync, changes.length]),
      [[true, 101]],
    );
    await group.close();
  });

  test('what comes while a batch is on its way is the next one', async () => {
    const { disk, group, committed } = await newGroup();
    let release = () => {};
    disk.pause = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const order: string[] = [];
    group.put('a', bytes('1'));
    group.committed(() => order.push('first'));
    await turn();
    await turn();
    for (const key of ['b', 'c']) {
      group.put(key, bytes('1'));
      await turn();
    }
    assert.equal(disk.writes.length, 1);
    assert.equal(group.idle, false);
    group.committed(() => order.push('second'));
    disk.pause = async () => {};
    release();
    await committed();
    assert.deepEqual(order, ['first', 'second']);
    assert.deepEqual(
      disk.writes.map(({ changes }) => changes.map(([key]) => key)),
      [['a'], ['b', 'c']],
    );
    await group.close();
  });

  test('the last operation on a key is the one that is written', async () => {
    const { disk, group } = await newGroup();
    group.put('a', bytes('1'));
    group.put('a', bytes('2'));
    group.put('b', bytes('1'));
    group.delete('b');
    group.delete('c');
    group.put('c', bytes('3'));
    await group.close();
    assert.deepEqual(disk.writes[0]?.changes, [
      ['a', bytes('2')],
      ['b', null],
      ['c', bytes('3')],
    ]);
  });

  test('a fresh row that is deleted before its group starts is never written', async () => {
    const { disk, group, committed } = await newGroup();
    group.put('a', bytes('1'), true);
    group.put('a', bytes('2'));
    let called = false;
    group.committed(() => {
      called = true;
    });
    group.delete('a');
    assert.equal(called, false);
    assert.equal(await committed(), null);
    assert.equal(called, true);
    assert.equal(disk.writes.length, 0);
    assert.equal(group.idle, true);
    await group.close();
  });

  test('a fresh row whose group has started is deleted by the next', async () => {
    const { disk, group, committed } = await newGroup();
    group.put('a', bytes('1'), true);
    await turn();
    group.delete('a');
    await committed();
    assert.equal(disk.writes.length, 2);
    assert.equal((await disk.rows()).size, 0);
    await group.close();
  });

  test('reads see what is pending: gathering, on its way, deleted', async () => {
    const { disk, group, committed } = await newGroup();
    for (const key of ['k:1', 'k:3', 'k:5', 'l:1']) group.put(key, bytes(`stored ${key}`));
    await committed();
    disk.pause = () => new Promise((resolve) => setTimeout(resolve, 20));
    group.put('k:2', bytes('on its way'));
    group.delete('k:3');
    await turn();
    await turn();
    assert.equal(disk.writes.length, 2);
    group.put('k:4', bytes('gathering'));
    group.put('k:\u{1F600}', bytes('beyond the basic plane'));
    group.put('k:\uFFFD', bytes('before it, as bytes are'));
    group.delete('k:5');
    const rows = await collect(group.entries({ gte: 'k:', lt: 'k;' }));
    assert.deepEqual(
      rows.map(([key]) => key),
      ['k:1', 'k:2', 'k:4', 'k:\uFFFD', 'k:\u{1F600}'],
    );
    assert.equal(await group.get('k:3'), undefined);
    assert.equal((await group.get('k:2'))?.toString(), 'on its way');
    assert.equal((await group.get('k:4'))?.toString(), 'gathering');
    assert.equal((await group.get('k:1'))?.toString(), 'stored k:1');
    await group.close();
    assert.equal((await disk.rows()).size, 6);
  });

  test('without a disk to wait for, committed answers at once and short-lived rows are never written', async () => {
    const { disk, clock, group } = await newGroup({ durable: false });
    let answered = false;
    group.put('a', bytes('1'), true);
    group.put('b', bytes('1'), true);
    group.committed((fault) => {
      answered = fault === null;
    });
    assert.equal(answered, true);
    assert.equal(group.idle, true);
    group.delete('a');
    clock.advance(1000);
    await group.close();
    assert.deepEqual([...(await disk.rows()).keys()], ['b']);
  });
});

describe('group commit, when the disk fails', () => {
  test('every waiting callback gets the fault, and so does whoever asks later', async () => {
    const { disk, group, committed } = await newGroup();
    disk.writeError = Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
    group.put('a', bytes('1'));
    const first = committed();
    await turn();
    group.put('b', bytes('1'));
    const second = committed();
    for (const fault of [await first, await second, await committed(), group.fault]) {
      assert.equal(fault?.code, 'E_STORE_WRITE');
      assert.match(fault.message, /No space left on device/);
    }
    assert.equal(group.idle, false);
    disk.writeError = null;
    await group.close();
  });

  test('nothing is forgotten: operations wait in front of later ones, which replace them key by key', async () => {
    const { disk, clock, group, committed } = await newGroup();
    group.put('old', bytes('1'));
    await committed();
    disk.writeError = new Error('no');
    group.put('a', bytes('1'), true);
    group.put('b', bytes('1'), true);
    group.delete('old');
    await turn();
    group.put('b', bytes('2'));
    group.put('gone', bytes('1'), true);
    await committed();
    group.delete('a');
    group.delete('gone');
    group.put('c', bytes('3'));
    assert.equal(await group.get('a'), undefined);
    assert.equal((await group.get('b'))?.toString(), '2');
    disk.writeError = null;
    const recovered = new Promise<void>((resolve) => group.onRecovered(resolve));
    clock.advance(1000);
    await recovered;
    assert.equal(group.fault, null);
    assert.equal(await committed(), null);
    const changes = new Map(disk.writes.at(-1)?.changes);
    // `a` may have reached the disk before the write failed: it has to be deleted there.
    assert.equal(changes.get('a'), null);
    assert.equal(changes.has('gone'), false);
    const rows = [...(await disk.rows())].map(([key, value]) => [key, value.toString()]);
    assert.deepEqual(rows, [
      ['b', '2'],
      ['c', '3'],
    ]);
    await group.close();
  });

  test('told once, logged once, tried again after 1, 2, 4, 8, 10, 10 s with the database opened anew', async () => {
    const captured = captureLog();
    const { disk, clock, group, committed } = await newGroup({ log: captured.log });
    let faults = 0;
    let recoveries = 0;
    group.onFault(() => faults++);
    group.onRecovered(() => recoveries++);
    disk.writeError = new Error('no');
    group.put('a', bytes('1'));
    await committed();
    for (const [index, seconds] of [1, 2, 4, 8, 10, 10].entries()) {
      const attempts = disk.opened.length;
      if (index === 3) disk.openError = new Error('no folder either');
      clock.advance(seconds * 1000 - 1);
      for (let n = 0; n < 5; n++) await turn();
      assert.equal(disk.opened.length, attempts, `too early in round ${index}`);
      clock.advance(1);
      for (let n = 0; n < 5; n++) await turn();
      assert.equal(disk.opened.length, attempts + 1, `not in round ${index}`);
      disk.openError = null;
    }
    assert.deepEqual(new Set(disk.opened.slice(1)), new Set(['existing']));
    assert.equal(recoveries, 0);
    disk.writeError = null;
    clock.advance(10_000);
    assert.equal((await captured.waitFor(/can be written again/)).level, 30);
    assert.deepEqual([faults, recoveries], [1, 1]);
    assert.equal(captured.lines().filter(({ level }) => Number(level) >= 40).length, 1);
    await group.close();
  });

  test('a fault only delays what waits to be stored, until that is stored', async () => {
    const { disk, clock, group, committed } = await newGroup();
    disk.writeError = new Error('no');
    const stored: string[] = [];
    group.put('a', bytes('1'));
    group.whenStored(() => stored.push('a'));
    await committed();
    group.put('b', bytes('1'));
    group.whenStored(() => stored.push('b'));
    assert.equal(stored.length, 0);
    disk.writeError = null;
    clock.advance(1000);
    // Handed over while the first group is tried again: its row is not in that.
    await turn();
    group.put('c', bytes('1'));
    group.whenStored(() => stored.push('c'));
    await new Promise<void>((resolve) => group.onRecovered(resolve));
    assert.equal(await committed(), null);
    assert.deepEqual(stored, ['a', 'b', 'c']);
    assert.equal((await disk.rows()).size, 3);
    await group.close();
  });

  test('the end writes once more, and says so when that fails too', async () => {
    const { disk, group, committed } = await newGroup();
    disk.writeError = new Error('no');
    group.put('a', bytes('1'));
    await committed();
    await assert.rejects(group.close(), { code: 'E_STORE_WRITE' });

    const second = await newGroup();
    second.disk.writeError = new Error('no');
    second.group.put('a', bytes('1'));
    await second.committed();
    second.disk.writeError = null;
    await second.group.close();
    assert.deepEqual([...(await second.disk.rows()).keys()], ['a']);
    assert.equal((await second.committed())?.code, 'E_STORE_CLOSED');
  });

  test('a callback that throws does not keep the others from being called', async () => {
    const { group, committed } = await newGroup();
    group.put('a', bytes('1'));
    group.committed(() => {
      throw new Error('mine');
    });
    assert.equal(await committed(), null);
    await group.close();
  });
});

describe('a group that ripens', () => {
  const changes = ({ writes }: FlawedDisk) =>
    writes.map((write) => write.changes.map(([key, value]) => `${key} ${value}`));

  /** In which most of what is put is taken back. */
  async function patientGroup(realDisk = false) {
    const disk = new FlawedDisk();
    disk.ripenMs = 2;
    const parts = await newGroup({ disk, realDisk });
    for (let n = 0; n < 10; n++) {
      parts.group.put(`${n}`, bytes('x'), true);
      parts.group.delete(`${n}`);
    }
    await turn();
    assert.equal(parts.group.idle, true);
    return parts;
  }

  test('is without what was acknowledged within that moment', async () => {
    const { disk, clock, group, committed } = await patientGroup();
    group.put('a', bytes('1'), true);
    group.put('b', bytes('1'), true);
    const stored = committed();
    await turn();
    group.delete('a', true);
    group.put('c', bytes('1'), true);
    assert.equal(await group.get('a'), undefined);
    assert.deepEqual(await group.get('b'), bytes('1'));
    assert.deepEqual(await collect(group.entries({ gte: '', lt: '~' })), [
      ['b', bytes('1')],
      ['c', bytes('1')],
    ]);
    assert.equal(group.idle, false);
    assert.equal(disk.writes.length, 0);
    clock.advance(2);
    assert.equal(await stored, null);
    assert.deepEqual(changes(disk), [['b 1']]);
    await group.close();
    assert.deepEqual(changes(disk), [['b 1'], ['c 1']]);
  });

  test('makes no row that is acknowledged before it is written, and each other one once', async () => {
    const { disk, clock, group } = await patientGroup();
    const made: string[] = [];
    const row = (key: string) => () => {
      made.push(key);
      return bytes(key);
    };
    group.put('gone', row('gone'), true);
    group.put('read', row('read'), true);
    group.put('written', row('written'), true);
    group.delete('gone', true);
    await turn();
    assert.deepEqual(await group.get('read'), bytes('read'));
    assert.deepEqual(await group.get('read'), bytes('read'));
    clock.advance(2);
    await group.settled();
    assert.deepEqual(made, ['read', 'written']);
    assert.deepEqual(changes(disk), [['read read', 'written written']]);
    await group.close();
  });

  for (const [writtenInMs, waits] of [
    [10, true],
    [11, false],
  ] as const) {
    const what = waits ? 'waits' : 'has waited, and does not wait again,';
    test(`${what} behind one that took ${writtenInMs} ms to be written`, async () => {
      const { disk, clock, group } = await patientGroup();
      let release = () => {};
      disk.pause = () => new Promise((resolve) => (release = resolve));
      group.put('a', bytes('1'), true);
      await turn();
      group.put('b', bytes('1'), true);
      clock.advance(2);
      assert.deepEqual(changes(disk), [['a 1']]);
      group.put('c', bytes('1'), true);
      clock.advance(writtenInMs);
      release();
      await turn();
      await turn();
      assert.deepEqual(changes(disk), [['a 1'], waits ? ['b 1'] : ['b 1', 'c 1']]);
      disk.pause = async () => {};
      release();
      await group.close();
      assert.equal((await disk.rows()).size, 3);
    });
  }

  test('ripens after a long time without any, too', async () => {
    const { disk, clock, group } = await patientGroup();
    clock.advance(1_000);
    group.put('a', bytes('1'), true);
    await turn();
    group.delete('a', true);
    clock.advance(2);
    await group.close();
    assert.deepEqual(changes(disk), []);
  });

  test('is read behind what came later for the same key, also after a fault', async () => {
    const { disk, clock, group, committed } = await patientGroup();
    group.put('a', bytes('first'), true);
    await turn();
    group.put('a', bytes('second'));
    assert.deepEqual(await group.get('a'), bytes('second'));
    assert.deepEqual(await collect(group.entries({ gte: '', lt: '~' })), [['a', bytes('second')]]);
    disk.writeError = new Error('no space');
    clock.advance(2);
    group.put('b', bytes('first'), true);
    await committed();
    group.put('b', bytes('second'));
    disk.writeError = null;
    clock.advance(1_000);
    await group.settled();
    await group.close();
    assert.deepEqual(await disk.rows(), new Map([...'ab'].map((key) => [key, bytes('second')])));
  });

  test('writes the deletion of what is on disk, and of what was put again behind it', async () => {
    const { disk, clock, group, committed } = await patientGroup();
    group.put('stored', bytes('1'));
    await turn();
    clock.advance(2);
    await committed();
    group.put('stored', bytes('2'));
    group.put('again', bytes('1'), true);
    await turn();
    group.put('again', bytes('2'));
    group.delete('stored', true);
    group.delete('again', true);
    clock.advance(2);
    await group.close();
    assert.deepEqual([...(await disk.rows()).keys()], []);
  });

  test('has the time that its database says, also with values in parts', async () => {
    const disk = new FlawedDisk();
    disk.ripenMs = 2;
    assert.equal((await inParts(await disk.open('create'))).ripenMs, 2);
  });

  test('does so also while a test holds the clock', async () => {
    const { group, committed } = await patientGroup(true);
    group.put('a', bytes('1'), true);
    assert.equal(await within(5_000, 'the group to be written', committed()), null);
    await group.close();
  });

  test('has what something else of the same turn depends on', async () => {
    const { disk, clock, group } = await patientGroup();
    group.put('of the first queue', bytes('1'), true);
    await turn();
    group.delete('of the first queue');
    group.put('of the second queue', bytes('1'), true);
    clock.advance(2);
    await turn();
    await turn();
    assert.deepEqual(changes(disk), [['of the first queue 1']]);
    await group.close();
    assert.deepEqual(changes(disk)[1], ['of the first queue null', 'of the second queue 1']);
  });

  test('is written with all the rest after a fault', async () => {
    const { disk, clock, group, committed } = await patientGroup();
    group.put('a', bytes('1'), true);
    await turn();
    group.put('b', bytes('1'), true);
    disk.writeError = new Error('no space');
    clock.advance(2);
    assert.equal((await committed())?.code, 'E_STORE_WRITE');
    disk.writeError = null;
    clock.advance(1_000);
    await group.settled();
    await group.close();
    assert.deepEqual([...(await disk.rows()).keys()], ['a', 'b']);
  });
});

test('patience is as long as the last write, from 2 to 10 ms, while most was taken back of late', () => {
  const patience = new Patience();
  for (let n = 0; n < 1_000; n++) patience.put();
  assert.equal(patience.waitMs(2, 0), 0);
  for (let n = 0; n < 100; n++) {
    patience.fade();
    patience.put();
    patience.spared();
  }
  const waits = [1, 5, 50].map((inMs) => {
    patience.written(inMs);
    return patience.waitMs(2, 0);
  });
  assert.deepEqual(waits, [2, 5, 10]);
  assert.deepEqual([patience.waitMs(0, 0), patience.waitMs(2, 11)], [0, 0]);
});
