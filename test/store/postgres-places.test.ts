import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../src/listener/certificates.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { freePort } from '../support/ports.js';
import { Postgres } from '../support/postgres.js';
import { fill, openPostgresStore } from '../support/postgres-store.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { tempFolder } from '../support/temp-folder.js';

test('over TLS the certificate and the name of the database are checked', async (t) => {
  const folder = await tempFolder(t);
  const [authority, other] = [makeAuthority(), makeAuthority()];
  const { cert, key } = authority.issue({ names: ['localhost'] });
  const [ca, wrong] = [join(folder, 'ca.pem'), join(folder, 'wrong.pem')];
  await Promise.all([writeFile(ca, authority.cert), writeFile(wrong, other.cert)]);
  const postgres = await Postgres.start(t, { tls: { cert, key } });
  const at = (host: string, file: string) =>
    `postgres://postgres@${host}:${postgres.port}/postgres?sslmode=verify-full&sslrootcert=${file}`;
  const store = await openPostgresStore(at('localhost', ca));
  await fill(store, ['alice']);
  const used = await postgres.ask(
    'select distinct ssl, version from pg_stat_ssl join pg_stat_activity using (pid) where client_port > 0',
  );
  assert.deepEqual(used, [{ ssl: true, version: 'TLSv1.3' }]);
  await store.close();
  for (const url of [at('localhost', wrong), at('127.0.0.1', ca)]) {
    await assert.rejects(openPostgresStore(url), /sslrootcert/);
  }
  await assert.rejects(
    openPostgresStore(at('localhost', ca).replace('/postgres?', '/nothing?')),
    /create the database/,
  );
});

test('of several hosts the primary is found, and found again when another one has become it', async (t) => {
  const first = await Postgres.start(t);
  const second = await first.startStandby(t);
  const nobody = await freePort();
  const url = Postgres.urlOf(second, first).replace('@', `@127.0.0.1:${nobody},`);
  const { log, waitFor } = captureLog();
  const store = await openPostgresStore(url, { log });
  store.onFault(() => assert.fail('a fault'));
  await fill(store, ['alice']);
  await first.kill('SIGQUIT');
  const stored = fill(store, ['bob']);
  await waitFor(/the database was lost/);
  await second.promote();
  await stored;
  await waitFor(/the shard is still ours/);
  const rows = await second.ask("select key from iotlab_rows where key like 'r:%' order by key");
  assert.deepEqual(
    rows.map(({ key }) => key),
    ['r:iotlab/alice/r', 'r:iotlab/bob/r'],
  );
  await store.close();
});

test('a host that falls silent keeps nobody from the one that is promoted', async (t) => {
  const first = await Postgres.start(t);
  const second = await first.startStandby(t);
  const toFirst = await TcpProxy.start(first.port);
  t.after(() => toFirst.stop());
  const { log, waitFor } = captureLog();
  const store = await openPostgresStore(
    `postgres://postgres@127.0.0.1:${toFirst.port},127.0.0.1:${second.port}/postgres`,
    { log },
  );
  store.onFault(() => assert.fail('a fault'));
  await fill(store, ['alice']);
  await eventually(10_000, 'the connection that writes to be the only one', () => toFirst.open === 1);
  // As with a machine that has lost its power: no connection ends, and attempts at new ones are not answered.
  toFirst.mischief = { kind: 'swallow' };
  const stored = fill(store, ['bob']);
  await eventually(10_000, 'attempts to reach the first', () => toFirst.open > 1);
  await second.promote();
  const promotedMs = performance.now();
  await stored;
  const tookMs = performance.now() - promotedMs;
  assert.ok(tookMs < 1_000, `${Math.round(tookMs)} ms`);
  await waitFor(/the shard is still ours/);
  await store.close();
});

test('a database that is not there is waited for while another host may still have it', async (t) => {
  const postgres = await Postgres.start(t);
  const url = postgres.url.replace(/postgres$/, 'lab');
  await assert.rejects(openPostgresStore(url), /database lab.*create the database/);
  const { log, lines } = captureLog();
  const opened = openPostgresStore(url.replace('@', `@127.0.0.1:${await freePort()},`), { log });
  const refused = () => lines().some(({ reason }) => /"lab" does not exist/.test(String(reason)));
  await eventually(10_000, 'the refusal', refused);
  await postgres.ask('create database lab');
  await (await opened).close();
});
