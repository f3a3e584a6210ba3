import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { shardOf } from '../../src/shard.js';
import { captureIo } from '../support/command-io.js';
import { checkHaproxy } from '../support/haproxy.js';
import { tempFolder } from '../support/temp-folder.js';

async function run(t: TestContext, yaml: string, ...args: string[]) {
  const folder = await tempFolder(t);
  const { cert, key } = makeAuthority().issue();
  await writeFile(join(folder, 'server.pem'), cert);
  await writeFile(join(folder, 'server.key'), key);
  const file = join(folder, 'broker.yaml');
  await writeFile(file, `listener: { port: 8883, cert: server.pem, key: server.key, ca: server.pem }\n${yaml}`);
  const io = captureIo();
  const code = await runCli(['cluster', ...args, '--config', file], io);
  return { code, out: io.out(), err: io.err(), folder };
}

test('cluster config prints what HAProxy accepts, and --write puts it where it is run from', async (t) => {
  const yaml = 'cluster: { proxy: { folder: run, threads: 3 } }';
  const shown = await run(t, yaml, 'config', '--shards', '6');
  assert.deepEqual([shown.code, shown.err], [0, '']);
  assert.match(shown.out, /nbthread 3\n/);
  assert.match(shown.out, /use_backend shard%\[var\(sess\.login\),djb2\(1\),mod\(256\),mod\(6\)\]/);
  assert.equal(shown.out.match(/^backend shard\d$/gm)?.length, 6);
  const written = await run(t, yaml, 'config', '--shards', '6', '--write');
  assert.equal(written.code, 0, written.err);
  const [config = '', certificate = ''] = written.out.split('\n');
  assert.equal(await checkHaproxy(config), '');
  assert.equal((await stat(certificate)).mode & 0o777, 0o600);
  assert.match(await readFile(certificate, 'utf8'), /END CERTIFICATE-----\n-----BEGIN PRIVATE KEY/);
});

test('cluster config for several machines names every one of them in every shard, by TLS', async (t) => {
  const { code, out, err } = await run(
    t,
    `cluster:
  shards: 2
  machines: [{ host: localhost }, { host: 192.0.2.2 }]
  proxy: { folder: ., certificate: front.pem }
`,
    ...['config', '--write'],
  );
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /cluster\.machines: needs listener\.proxy\.port/);
  const folder = await tempFolder(t);
  const { cert, key } = makeAuthority().issue();
  await writeFile(join(folder, 'server.pem'), cert);
  await writeFile(join(folder, 'both.pem'), cert + key);
  await writeFile(join(folder, 'server.key'), key);
  const file = join(folder, 'broker.yaml');
  await writeFile(
    file,
    `listener:
  { cert: server.pem, key: server.key, ca: server.pem, proxy: { port: 8900, ca: server.pem } }
storage: { url: 'postgres://db.example.org/lab' }
cluster:
  shards: 2
  machines: [{ host: localhost }, { host: broker-b.example.org, address: 192.0.2.2 }]
  proxy: { folder: run, certificate: both.pem }
`,
  );
  const io = captureIo();
  assert.equal(await runCli(['cluster', 'config', '--write', '--config', file], io), 0, io.err());
  const [config = ''] = io.out().split('\n');
  assert.equal(await checkHaproxy(config), '');
  const servers = [
    ...(await readFile(config, 'utf8')).matchAll(/^ {2}server (\S+ \S+) ssl .* verify required verifyhost (\S+) /gm),
  ];
  assert.deepEqual(
    servers.map(([, server, host]) => `${server} ${host}`),
    [
      'm0 localhost:8900 localhost',
      'm1 192.0.2.2:8900 broker-b.example.org',
      'm0 localhost:8901 localhost',
      'm1 192.0.2.2:8901 broker-b.example.org',
    ],
  );
});

test('cluster config refuses what HAProxy could not do', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  const refused = async (yaml: string, message: RegExp) => {
    await writeFile(file, yaml);
    const io = captureIo();
    assert.equal(await runCli(['cluster', 'config', '--config', file], io), 2);
    assert.match(io.err(), message);
  };
  await refused('listener: { port: 0 }', /listener\.port: 0 is any free port, and HAProxy needs to know which/);
  await refused(
    'cluster: { shards: 2, shard: 2 }',
    /:1: cluster\.shard: is one of cluster\.shards \(2\), counted from 0/,
  );
  await refused(
    'cluster: { shards: 2 }\nacl: [{ access: read, topic: localisation/# }]',
    /:2: acl\[0\]\.topic: has no %u: with cluster\.shards, users of different shards have no topic in common/,
  );
});

test('cluster shard says where a login belongs', async (t) => {
  const { code, out } = await run(t, 'cluster: { shards: 4 }', 'shard', 'alice');
  assert.deepEqual([code, out], [0, `${shardOf('alice', 4)}\n`]);
  assert.equal((await run(t, '', 'shard', 'alice', '--shards', '0')).code, 2);
});

test('cluster certificate makes what a broker accepts of HAProxy, once', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  await writeFile(
    file,
    'listener: { proxy: { port: 8900, ca: proxies-ca.pem } }\ncluster: { proxy: { certificate: proxy.pem } }\n',
  );
  const make = async () => {
    const io = captureIo();
    return { code: await runCli(['cluster', 'certificate', '--config', file], io), out: io.out(), err: io.err() };
  };
  assert.match((await make()).out, /proxy\.pem\n.*proxies-ca\.pem\nthe same two files belong on every machine/);
  const pem = await readFile(join(folder, 'proxy.pem'), 'utf8');
  const [certificate, ca] = [
    new X509Certificate(pem),
    new X509Certificate(await readFile(join(folder, 'proxies-ca.pem'))),
  ];
  assert.ok(certificate.verify(ca.publicKey) && certificate.checkPrivateKey(createPrivateKey(pem)));
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.deepEqual([(await make()).code, await readFile(join(folder, 'proxy.pem'), 'utf8')], [2, pem]);
});
