import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

async function prepare(t: TestContext) {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  await writeFile(file, 'listener: { cert: tls/broker.crt, key: tls/broker.key, ca: tls/ca.pem }\n');
  const certs = async (...args: string[]) => {
    const io = captureIo();
    const code = await runCli(['certs', ...args, '--config', file], io);
    return { code, out: io.out(), err: io.err() };
  };
  return { folder, certs };
}

test('certs create writes where the configuration says, and certs show prints it', async (t) => {
  const { folder, certs } = await prepare(t);
  const none = await certs('show');
  assert.equal(none.code, 2);
  assert.match(
    none.err,
    /listener\.cert: .*broker\.crt: there is no such file; `iotlab-broker certs create` makes one/,
  );
  const created = await certs('create', '--name', 'broker.example.org', '--days', '30');
  assert.deepEqual([created.code, created.err], [0, '']);
  assert.match(created.out, /\n\(configuration: \S+broker\.yaml\)\n$/);
  assert.match(created.out, /CA for clients: +\S+ca\.pem \(new: hand it to the clients\)/);
  const { code, out } = await certs('show');
  assert.equal(code, 0);
  assert.match(
    out,
    /broker\.crt: server certificate\n {2}subject {2}CN=iotlab-broker\n {2}names .*::1.*broker\.example\.org\n/,
  );
  assert.match(out, /(29|30) days left/);
  assert.match(out, /ca\.pem: certificate authority/);
  assert.match(out, /SHA-256 {2}([0-9A-F]{2}:){31}[0-9A-F]{2}/);
  // A bundle is shown whole.
  const ca = join(folder, 'tls', 'ca.pem');
  await writeFile(ca, `${await readFile(ca, 'utf8')}${makeAuthority().cert}`);
  const shown = JSON.parse((await certs('show', '--json')).out) as { ca: boolean }[];
  assert.deepEqual(
    shown.map((each) => each.ca),
    [false, true, true],
  );
});

test('certs create replaces only with --force, and refuses what makes no sense', async (t) => {
  const { certs } = await prepare(t);
  assert.equal((await certs('create', '--key', 'rsa')).code, 0);
  const again = await certs('create');
  assert.equal(again.code, 2);
  assert.match(again.err, /is there already\. --force replaces/);
  const forced = await certs('create', '--force');
  assert.equal(forced.code, 0);
  assert.ok(!forced.out.includes('new: hand it'));
  for (const args of [
    ['create', '--key', 'dsa'],
    ['create', '--days', '0'],
    ['create', '--name', 'a b'],
    ['renew'],
    [],
  ]) {
    assert.equal((await certs(...args)).code, 2, args.join(' '));
  }
});
