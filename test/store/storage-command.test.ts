import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { captureIo } from '../support/command-io.js';
import { collect, openLevel, silent, wholeSessions } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

const open = (path: string): Promise<Store> =>
  openStore({ config: { path, sessionExpiryMs: 1000 }, log: silent, clock: systemClock });

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = captureIo();
  const code = await runCli(['storage', ...args], io);
  return { code, out: io.out(), err: io.err() };
}

const will = {
  clientId: 'bob/w',
  login: 'bob',
  topic: 'iotlab/bob/gone',
  payload: Buffer.from([0, 1, 255]),
  qos: 1,
  retain: true,
  properties: null,
  delaySeconds: 3,
  expirySeconds: 9,
  dueAt: 1_900_000_000_000,
} as const;

/** Of two users, with everything that a store can hold. */
async function filledStore(t: TestContext): Promise<{ folder: string; path: string }> {
  const folder = await tempFolder(t);
  const path = join(folder, 'store');
  const store = await open(path);
  for (const clientId of ['alice/a', 'alice/b é', 'bobby/x']) {
    const writer = store.session(clientId);
    writer.save(sessionRecord(clientId, { expiresAt: 1_900_000_000_000, expiryMs: 60_000, sentSeq: 4 }));
    writer.subscribe([{ filter: `iotlab/${clientId}/#`, qos: 2, options: 0b1000, identifier: 5 }]);
    for (let seq = 1; seq <= 20; seq++) {
      writer.putOutgoing(
        outgoingRecord(seq, {
          ...{ qos: 2, payload: Buffer.alloc(50, seq), properties: Buffer.from([seq]) },
          ...{ expiresAt: 1_900_000_000_000, identifiers: [seq, 5] },
        }),
      );
    }
    writer.putIncoming(12);
    writer.putRequest({ place: 30, last: 40, filter: 'iotlab/+', qos: 1, identifier: 5, askedAt: 1_700_000_000_000 });
    writer.moveRequest(30, { next: 33, after: 'iotlab/alice' });
  }
  store.session('alice/a').releaseOutgoing(outgoingRecord(3, { qos: 2 }));
  for (const topic of ['iotlab/alice', 'iotlab/alice/x', 'iotlab/bobby/x', 'localisation/x', 'iotlab/no/y']) {
    store.retained.set({
      topic,
      payload: Buffer.from('12345'),
      qos: 1,
      properties: null,
      storedAt: 1,
      owner: null,
      expiresAt: 1_900_000_000_000,
    });
  }
  store.putWill('bob/w', will);
  store.putUser('bobby', { groups: ['lab'] });
  await store.close();
  return { folder, path };
}

async function contents(path: string): Promise<unknown> {
  const store = await open(path);
  const sessions = await wholeSessions(store);
  const retained = [...store.retained];
  const wills = await collect(store.loadWills());
  const users = await collect(store.loadUsers());
  await store.close();
  return { sessions, retained, wills, users };
}

describe('storage', () => {
  test('usage counts by user, as a table and as JSON', async (t) => {
    const { path } = await filledStore(t);
    const json = await run('usage', '--json', '--path', path);
    assert.equal(json.err, '');
    const [nobody, alice, bobby, ...more] = JSON.parse(json.out);
    assert.deepEqual(more, []);
    assert.deepEqual([nobody.user, nobody.sessions, nobody.retainedMessages], ['-', 0, 2]);
    assert.equal(alice.user, 'alice');
    assert.deepEqual(
      [alice.sessions, alice.subscriptions, alice.queuedMessages, alice.retainedMessages],
      [2, 2, 40, 2],
    );
    assert.equal(alice.retainedBytes, 'iotlab/alice'.length + 'iotlab/alice/x'.length + 10);
    const queue = Array.from({ length: 20 }, (_, index) => `iotlab/alice/${index + 1}`.length + 51);
    const all = queue.reduce((sum, bytes) => sum + bytes);
    assert.equal(bobby.queuedBytes, all);
    assert.equal(alice.queuedBytes, 2 * all - queue[2]!);
    const table = await run('usage', '--path', path);
    assert.equal(table.code, 0);
    assert.match(
      table.out,
      /^user +sessions +subscriptions +queued +bytes +retained +bytes\n- .*\nalice +2 +2 +40 +\d+ +2 +36\nbobby /,
    );
  });

  test('an export imported elsewhere makes the same store', async (t) => {
    const { folder, path } = await filledStore(t);
    const file = join(folder, 'lab.jsonl');
    const exported = await run('export', file, '--path', path);
    assert.deepEqual([exported.code, exported.err], [0, '']);
    const copy = join(folder, 'copy');
    const imported = await run('import', file, '--path', copy);
    assert.deepEqual([imported.code, imported.err], [0, '']);
    assert.deepEqual(await contents(copy), await contents(path));
    const printed = await run('export', '--path', copy);
    assert.equal(printed.out, await readFile(file, 'utf8'));
    for (const line of printed.out.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line).kind, 'string');
  });

  test('an export of an earlier release, which says less, is imported', async (t) => {
    const { folder, path } = await filledStore(t);
    const file = join(folder, 'lab.jsonl');
    const { out } = await run('export', '--path', path);
    assert.match(out, /"sentSeq":4,/);
    const later = /"(sentSeq|expiryMs|identifiers|dueAt|expirySeconds)":(\[.*?\]|\d+),|,"expiresAt":\d+(?=})/g;
    assert.ok(out.match(later)!.length > 100);
    await writeFile(file, out.replaceAll(later, ''));
    const copy = join(folder, 'copy');
    assert.deepEqual((await run('import', file, '--path', copy)).err, '');
    assert.match((await run('export', '--path', copy)).out, /"sentSeq":null,/);
    await writeFile(file, out.replaceAll('"sentSeq":4', '"sentSeq":"x"'));
    const refused = await run('import', file, '--force', '--path', copy);
    assert.match(refused.err, /"sentSeq" is null or an integer from 0/);
  });

  test('import into a store that has something needs --force, which replaces what has the same name', async (t) => {
    const { folder, path } = await filledStore(t);
    const file = join(folder, 'lab.jsonl');
    await run('export', file, '--path', path);
    const other = join(folder, 'other');
    const store = await open(other);
    store.session('alice/a').save(sessionRecord('alice/a', { protocol: 3 }));
    store.session('alice/a').putOutgoing(outgoingRecord(999));
    store.session('carol/c').save(sessionRecord('carol/c'));
    await store.close();
    const refused = await run('import', file, '--path', other);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /something in it.*--force/);
    assert.equal((await run('import', file, '--force', '--path', other)).code, 0);
    const { sessions } = (await contents(other)) as {
      sessions: { session: { clientId: string }; outgoing: unknown[] }[];
    };
    assert.deepEqual(
      sessions.map(({ session }) => session.clientId),
      ['carol/c', 'alice/a', 'alice/b é', 'bobby/x'],
    );
    assert.equal(sessions[1]?.outgoing.length, 20);
  });

  test('import names the line that is wrong, and imports nothing then', async (t) => {
    const { folder, path } = await filledStore(t);
    const good = (await run('export', '--path', path)).out.trimEnd().split('\n');
    const file = join(folder, 'bad.jsonl');
    const copy = join(folder, 'copy');
    const retained = good.findIndex((line) => line.includes('"kind":"retained"'));
    const message = good.findIndex((line) => line.includes('"kind":"message"'));
    const wrong: [line: number, text: string, says: RegExp][] = [
      [0, good[1]!, /:1: not an export/],
      [0, '{"kind":"iotlab-broker-store","version":2}', /:1: an export of version 2/],
      [5, 'nonsense', /:6: not JSON/],
      [5, '[]', /:6: "kind" must be one of/],
      [5, good[0]!, /:6: a second beginning/],
      [message, good[message]!.replace('alice/a', 'zoe/z'), /no line before has the session "zoe\/z"/],
      [
        message,
        good[message]!.replace(/"payload":"[^"]*"/, '"payload":"no base64!"'),
        /"message" must be an object whose "payload" is base64/,
      ],
      [message, good[message]!.replace(/"qos":2/, '"qos":3'), /"qos" is an integer from 1 to 2/],
      [retained, good[retained]!.replace(/"topic":"[^"]*"/, '"topic":"a/#"'), /"topic" is a topic without wildcards/],
      [retained, good[retained]!.replace('{', '{"__proto__":1,'), /an object without "__proto__"/],
    ];
    for (const [index, text, says] of wrong) {
      await writeFile(file, `${good.with(index, text).join('\n')}\n`);
      const result = await run('import', file, '--path', copy);
      assert.equal(result.code, 2, String(says));
      assert.match(result.err, says);
    }
    await writeFile(file, '');
    assert.match((await run('import', file, '--path', copy)).err, /empty/);
    assert.match((await run('import', join(folder, 'none'), '--path', copy)).err, /none cannot be read: ENOENT/);
    assert.equal((await readdir(folder)).includes('copy'), false);
  });

  test('usage and export read a store that a broker has open; the others say that it is in use', async (t) => {
    const { folder, path } = await filledStore(t);
    const store = await open(path);
    t.after(() => store.close());
    store.retained.set({
      topic: 'iotlab/alice/new',
      payload: Buffer.from('1'),
      qos: 0,
      properties: null,
      storedAt: 0,
      owner: null,
      expiresAt: null,
    });
    await new Promise((resolve) => store.committed(resolve));
    const usage = await run('usage', '--json', '--path', path);
    assert.equal(usage.code, 0, usage.err);
    assert.equal(JSON.parse(usage.out)[1].retainedMessages, 3);
    assert.match((await run('export', '--path', path)).out, /iotlab\/alice\/new/);
    for (const args of [['check'], ['compact'], ['import', join(folder, 'x')]]) {
      await writeFile(join(folder, 'x'), '{"kind":"iotlab-broker-store","version":1}\n');
      const refused = await run(...args, '--path', path);
      assert.equal(refused.code, 2);
      assert.match(refused.err, /in use by another process/);
    }
    // Nothing of the copies is left.
    assert.deepEqual((await readdir(folder)).sort(), ['store', 'x']);
  });

  test('check reads everything, and names what it cannot read', async (t) => {
    const { path } = await filledStore(t);
    const fine = await run('check', '--path', path);
    assert.deepEqual([fine.code, fine.err], [0, '']);
    assert.match(fine.out, /outgoing: 60\n[\s\S]*store: fine\n$/);
    const level = await openLevel(path);
    await level.put('r:broken', Buffer.from([99]));
    await level.put('s:b77:i:1', Buffer.from([0xc0]));
    await level.close();
    const bad = await run('check', '--path', path);
    assert.equal(bad.code, 1);
    assert.match(bad.out, /r:broken: cannot be read: unknown format/);
    assert.match(bad.out, /s:b77:i:1: belongs to no session/);
    assert.match(bad.out, /2 rows with a problem\n/);
  });

  test('compact gives space back', async (t) => {
    const path = join(await tempFolder(t), 'store');
    const store = await open(path);
    for (let n = 0; n < 100; n++) {
      store.retained.set({
        topic: `t/${n}`,
        payload: Buffer.alloc(100_000, n),
        qos: 0,
        properties: null,
        storedAt: 0,
        owner: null,
        expiresAt: null,
      });
    }
    await new Promise((resolve) => store.committed(resolve));
    for (let n = 0; n < 100; n++) store.retained.delete(`t/${n}`);
    await store.close();
    const { code, out } = await run('compact', '--path', path);
    assert.equal(code, 0);
    const [, before, after] = /: (\d+) bytes before, (\d+) now/.exec(out)!;
    assert.ok(Number(after) < Number(before) / 2, out);
  });

  test('says what is wrong with the call', async (t) => {
    const folder = await tempFolder(t);
    for (const [args, says] of [
      [['shrink'], /"shrink" is not one of usage, check, repair, compact, export, import/],
      [['import'], /usage: iotlab-broker storage import FILE/],
      [['check', 'x'], /too many arguments/],
      [['check', '--force'], /--force is for/],
      [['usage', '--path', 'memory-'], /there is no store/],
      [['usage', '--path', folder], /there is no store.*--path names another/],
    ] as const) {
      const result = await run(...args);
      assert.equal(result.code, 2);
      assert.match(result.err, says);
    }
    const sharded = join(folder, 'sharded');
    await mkdir(join(sharded, 'shard-0-of-2'), { recursive: true });
    const { code, err } = await run('import', 'lab.jsonl', '--path', sharded);
    assert.equal(code, 2);
    assert.match(err, /has the stores of 2 shards: import into another folder.*storage split --shards 2/);
    assert.deepEqual(await readdir(sharded), ['shard-0-of-2']);
    const file = join(folder, 'broker.yaml');
    await writeFile(file, 'storage: { path: memory }\n');
    assert.match((await run('usage', '--config', file)).err, /storage\.path is "memory"/);
  });
});
