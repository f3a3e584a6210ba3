import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { frontPem } from '../../src/cluster/write-files.js';
import { readBundle } from '../../src/listener/bundle.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { identitiesOf, readKeys } from '../../src/listener/identities.js';
import { testListener } from '../support/test-listener.js';

const authority = makeAuthority();
const [ec, rsa] = [authority.issue({ keyType: 'ec' }), authority.issue({ keyType: 'rsa' })];
const identities = (certs: string, keys: string) => identitiesOf(readBundle(certs), readKeys(keys));
const kindsOf = (certs: string, keys: string) => identities(certs, keys)?.map(({ key }) => key.asymmetricKeyType);

test('certificates find their keys, in whatever order those stand, and keep what stands behind them', () => {
  const both = `${rsa.cert}${authority.cert}${ec.cert}`;
  const [first, second] = identities(both, `${ec.key}${rsa.key}`)!;
  assert.deepEqual([first!.key.asymmetricKeyType, first!.chain.length], ['rsa', 2]);
  assert.deepEqual([second!.key.asymmetricKeyType, second!.chain.length], ['ec', 1]);
  assert.deepEqual(kindsOf(`${ec.cert}${authority.cert}`, ec.key), ['ec']);
  assert.equal(kindsOf(`${authority.cert}${ec.cert}`, ec.key), undefined);
  assert.equal(kindsOf(ec.cert, rsa.key), undefined);
});

test('a key that belongs to nothing, two of a kind, and one with a passphrase are refused', () => {
  assert.throws(() => kindsOf(ec.cert, `${ec.key}${rsa.key}`), /key 2 of 2 belongs to none of the certificates/);
  const other = authority.issue({ keyType: 'ec' });
  assert.throws(() => kindsOf(`${ec.cert}${other.cert}`, `${ec.key}${other.key}`), /two keys of one kind \(ec, ec\)/);
  assert.throws(() => readKeys('-----BEGIN ENCRYPTED PRIVATE KEY-----'), /protected by a passphrase/);
});

test('each client is shown the certificate that it can check, the ECDSA one first', async (t) => {
  const tested = await testListener(t);
  const [ecdsa, old] = (['ec', 'rsa'] as const).map((keyType) => tested.authority.issue({ keyType }));
  await writeFile(tested.files.key, `${old!.key}${ecdsa!.key}`);
  await writeFile(tested.files.cert, `${old!.cert}${ecdsa!.cert}`);
  await tested.listener.reload();
  const shown = async (options: ConnectionOptions) => {
    const socket = await tested.connect(options);
    return new X509Certificate(socket.getPeerCertificate().raw).publicKey.asymmetricKeyType;
  };
  assert.equal(await shown({}), 'ec');
  assert.equal(await shown({ maxVersion: 'TLSv1.2' }), 'ec');
  // What mbed TLS in a small device offers when elliptic curves are compiled out for signatures.
  assert.equal(await shown({ sigalgs: 'rsa_pss_rsae_sha256:RSA+SHA256' }), 'rsa');
  assert.equal(await shown({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }), 'rsa');
  assert.equal(tested.listener.certificates().filter(({ role }) => role === 'server').length, 1);
});

test('HAProxy, which wants one of each in a file, gets the first', () => {
  const front = frontPem({ certPem: `${rsa.cert}${ec.cert}`, keyPem: `${ec.key}${rsa.key}` });
  assert.equal(front, `${rsa.cert.trimEnd()}\n${rsa.key.trimEnd()}\n`);
});
