import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { shardOf } from '../../src/shard.js';
import { captureIo } from '../support/command-io.js';
import { Postgres } from '../support/postgres.js';
import { fill, openPostgresStore } from '../support/postgres-store.js';
import { tempFolder } from '../support/temp-folder.js';

const logins = Array.from({ length: 8 }, (_, number) => `user${number}`);

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = captureIo();
  const code = await runCli(['storage', ...args], io);
  return { code, out: io.out(), err: io.err() };
}

const lines = async (file: string) => (await readFile(file, 'utf8')).trim().split('\n').sort();

test('the commands about the store read the database beside the brokers, and move it from and to a folder', async (t) => {
  const postgres = await Postgres.start(t);
  const folder = await tempFolder(t);
  const config = join(folder, 'broker.yaml');
  await writeFile(config, JSON.stringify({ storage: { url: postgres.url, path: 'store' }, cluster: { shards: 2 } }));
  const of = (...args: string[]) => run(...args, '--config', config);
  assert.match((await of('usage')).err, /there is no store. It is made when the broker starts/);

  const stores = [];
  for (const shard of [0, 1]) {
    const store = await openPostgresStore(postgres.url, { shards: 2, shard });
    await fill(
      store,
      logins.filter((login) => shardOf(login, 2) === shard),
    );
    stores.push(store);
  }
  const usage = JSON.parse((await of('usage', '--json')).out) as { user: string; queuedMessages: number }[];
  assert.deepEqual(
    usage.map(({ user, queuedMessages }) => [user, queuedMessages]),
    logins.map((login) => [login, 1]),
  );
  assert.deepEqual(await of('check'), {
    code: 0,
    out: 'contents: 8\nretained: 8\nsession: 8\noutgoing: 8\nsubscriptions: 8\nschema: 1\nstorage.url: fine\n',
    err: '',
  });
  const first = join(folder, 'first.jsonl');
  assert.equal((await of('export', first)).code, 0);
  assert.match((await of('import', first)).err, /a broker has these users open. Stop the brokers first/);
  for (const store of stores) await store.close();
  assert.match((await of('import', first)).err, /the store has something in it/);
  for (const [name, why] of [
    ['repair', /Restore it from a backup/],
    ['compact', /autovacuum/],
    ['split', /a restart of all brokers/],
  ] as const) {
    assert.match((await of(name)).err, why);
  }

  // To a folder, and from there into a database with nothing in it.
  assert.equal((await of('import', first, '--path', join(folder, 'store'))).code, 0);
  const second = join(folder, 'second.jsonl');
  assert.equal((await of('export', second, '--path', join(folder, 'store'))).code, 0);
  assert.deepEqual(await lines(second), await lines(first));
  await postgres.ask('drop table iotlab_rows, iotlab_slots');
  assert.deepEqual((await of('import', second)).out, `${second}: ${(await lines(second)).length} lines imported\n`);
  const third = join(folder, 'third.jsonl');
  assert.equal((await of('export', third)).code, 0);
  assert.deepEqual(await lines(third), await lines(first));
  const counts = await postgres.ask(
    "select slot % 2 as shard, count(*)::int from iotlab_rows where key like 'r:%' group by 1 order by 1",
  );
  assert.deepEqual(
    counts,
    [0, 1].map((shard) => ({ shard, count: logins.filter((it) => shardOf(it, 2) === shard).length })),
  );
});
