import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { UsageError } from '../../src/errors.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { captureLog } from '../support/captured-log.js';
import { openLevel, silent, wholeSessions } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

const open = (path: string, log = silent): Promise<Store> =>
  openStore({ config: { path, sessionExpiryMs: 1000 }, log, clock: systemClock });

const refusal = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UsageError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe('opening a store', () => {
  test('makes the folder, for its owner alone', async (t) => {
    const path = join(await tempFolder(t), 'data', 'store');
    await (await open(path)).close();
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    await (await open(path)).close();
  });

  test('says when another process has it, and which setting to change', async (t) => {
    const path = join(await tempFolder(t), 'store');
    const level = createRequire(import.meta.url).resolve('level');
    const script = `const { Level } = require(process.argv[1]);
      new Level(process.argv[2]).open().then(() => process.stdout.write('open'));
      process.stdin.resume().on('end', () => process.exit(0));`;
    const other = spawn(process.execPath, ['-e', script, level, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    await assert.rejects(open(path), refusal('E_STORE_LOCKED', /in use by another process.*storage\.path/));
    const ended = once(other, 'exit');
    other.stdin.end();
    await ended;
    await (await open(path)).close();
  });

  test('says when the path is a file, or below one', async (t) => {
    const file = join(await tempFolder(t), 'file');
    await writeFile(file, '');
    await assert.rejects(open(file), refusal('E_STORE_FOLDER', /file: not a folder/));
    await assert.rejects(open(join(file, 'store')), refusal('E_STORE_FOLDER', /not a folder/));
    await assert.rejects(open('/proc/iotlab-broker/store'), refusal('E_STORE_FOLDER', /cannot be made/));
  });

  test('refuses a store of a newer release, without touching it', async (t) => {
    const path = join(await tempFolder(t), 'store');
    await (await open(path)).close();
    let level = await openLevel(path);
    await level.put('schema:version', Buffer.from('4'));
    await level.close();
    await assert.rejects(open(path), refusal('E_STORE_NEWER', /schema version 4.*up to 3/));
    level = await openLevel(path);
    assert.equal(String(await level.get('schema:version')), '4');
    await level.put('schema:version', Buffer.from('nonsense'));
    await level.close();
    await assert.rejects(open(path), { code: 'E_STORE_SCHEMA' });
  });

  test('keeps a copy of a damaged store, and repairs it', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'store');
    const store = await open(path);
    for (let n = 0; n < 1000; n++) {
      store.retained.set({
        topic: `t/${n}`,
        payload: Buffer.alloc(1000, n),
        qos: 0,
        properties: null,
        storedAt: 0,
        owner: null,
        expiresAt: null,
      });
    }
    await store.close();
    // Opening again moves the log into a table; then the list of tables loses its end.
    await (await open(path)).close();
    const manifest = (await readdir(path)).find((name) => name.startsWith('MANIFEST'))!;
    await truncate(join(path, manifest), 7);
    const captured = captureLog();
    const repaired = await open(path, captured.log);
    assert.equal(repaired.retained.size, 1000);
    await repaired.close();
    const copy = (await readdir(folder)).find((name) => name.startsWith('store.damaged-'));
    assert.ok(copy !== undefined);
    assert.equal((await stat(join(folder, copy, manifest))).size, 7);
    assert.match(captured.text(), /the store is damaged.*\n.*the store was repaired/);
  });

  test('rows whose session is missing are removed, and said to be', async (t) => {
    const path = join(await tempFolder(t), 'store');
    let store = await open(path);
    for (const id of ['alice/a', 'alice/b', 'alice/c']) {
      if (id === 'alice/b') store.session(id).save(sessionRecord(id));
      store.session(id).putOutgoing(outgoingRecord(1));
      store.session(id).putIncoming(1);
      store.session(id).subscribe([{ filter: 'x', qos: 1, options: 0, identifier: null }]);
    }
    await store.close();
    const captured = captureLog();
    store = await open(path, captured.log);
    assert.deepEqual(
      (await wholeSessions(store)).map(({ session }) => session.clientId),
      ['alice/b'],
    );
    assert.equal((await captured.waitFor(/without a session/)).rows, 6);
    await store.close();
    const level = await openLevel(path);
    assert.equal((await level.keys().all()).length, 5);
    await level.close();
  });
});
