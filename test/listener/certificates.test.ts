// Own process: changes the process's umask.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { leadsTo, namesOf, readBundle } from '../../src/listener/bundle.js';
import { createCertificates, ensureCertificates } from '../../src/listener/certificate-files.js';
import { makeAuthority, serverNames } from '../../src/listener/certificates.js';
import { tempFolder } from '../support/temp-folder.js';

const dayMs = 86_400_000;

async function filesIn(t: TestContext, inner = 'certs') {
  const folder = join(await tempFolder(t), inner);
  return {
    folder,
    files: { cert: join(folder, 'server.pem'), key: join(folder, 'server.key'), ca: join(folder, 'iot-lab-ca.pem') },
  };
}

const openssl = (...args: string[]) =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const usage = (message: RegExp) => (error: unknown) => error instanceof UsageError && message.test(error.message);

test('the first start makes a CA and a server certificate that OpenSSL verifies under every promised name', async (t) => {
  const { folder, files } = await filesIn(t);
  assert.deepEqual(await ensureCertificates(files), { created: true });
  assert.deepEqual((await readdir(folder)).sort(), ['iot-lab-ca.key', 'iot-lab-ca.pem', 'server.key', 'server.pem']);
  for (const name of ['localhost', 'mqtt.iot-lab.info', 'mqtt4.iot-lab.info', 'mqtt6.iot-lab.info', hostname()]) {
    const out = openssl(
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      files.ca,
      '-verify_hostname',
      name,
      files.cert,
    );
    assert.match(out, /OK/);
  }
  for (const ip of ['127.0.0.1', '::1']) {
    assert.match(openssl('verify', '-CAfile', files.ca, '-verify_ip', ip, files.cert), /OK/);
  }
  assert.throws(() => openssl('verify', '-CAfile', files.ca, '-verify_hostname', 'example.org', files.cert));
  const ca = openssl('x509', '-in', files.ca, '-noout', '-text');
  assert.match(ca, /CA:TRUE, pathlen:0/);
  assert.match(ca, /Certificate Sign, CRL Sign/);
  assert.match(ca, /Subject Key Identifier/);
  const server = openssl('x509', '-in', files.cert, '-noout', '-text');
  assert.match(server, /TLS Web Server Authentication/);
  assert.match(server, /Authority Key Identifier/);
  assert.match(server, /prime256v1/);
});

test('private keys are readable by their owner only, whatever the umask', async (t) => {
  const { folder, files } = await filesIn(t);
  const umask = process.umask(0);
  try {
    await ensureCertificates(files);
  } finally {
    process.umask(umask);
  }
  for (const file of [files.key, join(folder, 'iot-lab-ca.key')]) {
    assert.equal((await stat(file)).mode & 0o777, 0o600, file);
  }
  for (const file of [files.cert, files.ca]) assert.equal((await stat(file)).mode & 0o777, 0o644, file);
});

test('a second start changes nothing, and half a pair is refused', async (t) => {
  const { files } = await filesIn(t);
  await ensureCertificates(files);
  const before = await readFile(files.cert, 'utf8');
  assert.deepEqual(await ensureCertificates(files), { created: false });
  assert.equal(await readFile(files.cert, 'utf8'), before);
  await rm(files.key);
  await assert.rejects(
    ensureCertificates(files),
    usage(/listener\.cert \(.*\) is there but listener\.key \(.*\) is not/),
  );
  assert.equal(await readFile(files.cert, 'utf8'), before);
});

test('a CA without its key is left alone', async (t) => {
  const { folder, files } = await filesIn(t);
  await mkdir(folder);
  const { cert } = makeAuthority();
  await writeFile(files.ca, cert);
  await assert.rejects(
    ensureCertificates(files),
    usage(
      /^listener\.cert: \S+server\.pem is not there, and none can be made: the CA in \S+ca\.pem \(listener\.ca\) cannot sign one: its private key \(\S+ca\.key\) is not there\. It is a development CA: without \S+ca\.pem a new one is made/,
    ),
  );
  assert.deepEqual(await readdir(folder), ['iot-lab-ca.pem']);
  await writeFile(join(folder, 'iot-lab-ca.key'), makeAuthority().key);
  await assert.rejects(ensureCertificates(files), usage(/the key \(\S+ca\.key\) does not belong to it/));
});

test('files of others are left alone, and no message suggests to touch them', async (t) => {
  const { folder, files } = await filesIn(t);
  const bundle = join(folder, 'ca-certificates.crt');
  await mkdir(folder);
  const foreign = makeAuthority({ name: 'Somebody Else' });
  await writeFile(bundle, `${foreign.cert}${makeAuthority({ name: 'Another' }).cert}`);
  const own = `Put your certificate at ${files.cert} \\(listener\\.cert\\) and its key at ${files.key} \\(listener\\.key\\)\\.$`;
  for (const attempt of [ensureCertificates, (all: typeof files) => createCertificates({ files: all })]) {
    await assert.rejects(attempt({ ...files, ca: bundle }), usage(new RegExp(`^((?!move|remove|without).)*${own}`)));
  }
  assert.deepEqual(await readdir(folder), ['ca-certificates.crt']);
  await writeFile(files.cert, foreign.issue().cert);
  await assert.rejects(ensureCertificates({ ...files, ca: bundle }), usage(/is not\. Put the missing file there\.$/));
  await rm(files.cert);
  // A folder that cannot be made.
  const ca = join(bundle, 'ca.pem');
  await assert.rejects(ensureCertificates({ ...files, ca }), usage(new RegExp(`cannot be written \\(\\w+\\).*${own}`)));
});

test('names that the development certificate lacks are added under the same CA; another certificate stays as it is', async (t) => {
  const { files } = await filesIn(t);
  await ensureCertificates(files, ['lab.example.org']);
  const ca = await readFile(files.ca, 'utf8');
  assert.deepEqual(await ensureCertificates(files, ['lab.example.org']), { created: false });
  assert.deepEqual(await ensureCertificates(files, ['192.0.2.7']), { created: true });
  const [server] = readBundle(await readFile(files.cert, 'utf8'));
  assert.deepEqual(namesOf(server!), [...serverNames(), 'lab.example.org', '192.0.2.7']);
  assert.equal(await readFile(files.ca, 'utf8'), ca);
  assert.match(openssl('verify', '-CAfile', files.ca, '-verify_ip', '192.0.2.7', files.cert), /OK/);

  const foreign = makeAuthority({ name: 'Somebody Else' });
  const { cert, key } = foreign.issue({ names: ['a.example'] });
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  assert.deepEqual(await ensureCertificates(files, ['lab.example.org']), { created: false });
  assert.equal(await readFile(files.cert, 'utf8'), cert);
});

test('the server certificate is renewed under the same CA', async (t) => {
  const { files } = await filesIn(t);
  assert.deepEqual(await createCertificates({ files }), { authorityCreated: true });
  const ca = await readFile(files.ca, 'utf8');
  await assert.rejects(createCertificates({ files }), usage(/server\.pem is there already\. --force/));
  const renewed = await createCertificates({
    files,
    force: true,
    keyTypes: ['rsa'],
    names: ['broker.example.org', '192.0.2.7'],
    days: 10,
  });
  assert.deepEqual(renewed, { authorityCreated: false });
  assert.equal(await readFile(files.ca, 'utf8'), ca);
  const out = openssl(
    'verify',
    '-x509_strict',
    '-CAfile',
    files.ca,
    '-verify_hostname',
    'broker.example.org',
    files.cert,
  );
  assert.match(out, /OK/);
  const [server] = readBundle(await readFile(files.cert, 'utf8'));
  const key = createPrivateKey(await readFile(files.key, 'utf8'));
  assert.equal(key.asymmetricKeyType, 'rsa');
  assert.equal(key.asymmetricKeyDetails?.modulusLength, 2048);
  assert.ok(server!.checkPrivateKey(key));
  assert.ok(['::1', '192.0.2.7', 'broker.example.org'].every((name) => namesOf(server!).includes(name)));
  const left = Date.parse(server!.validTo) - Date.now();
  assert.ok(left > 9 * dayMs && left <= 10 * dayMs);
});

test('a certificate of each kind goes into the same files, and both get a name that is missing', async (t) => {
  const { files } = await filesIn(t);
  await createCertificates({ files, keyTypes: ['ec', 'rsa'] });
  const kinds = async () =>
    readBundle(await readFile(files.cert, 'utf8')).map(({ publicKey }) => publicKey.asymmetricKeyType);
  assert.deepEqual(await kinds(), ['ec', 'rsa']);
  assert.deepEqual(await ensureCertificates(files, ['more.example']), { created: true });
  assert.deepEqual(await kinds(), ['ec', 'rsa']);
  for (const server of readBundle(await readFile(files.cert, 'utf8'))) {
    assert.ok(namesOf(server).includes('more.example'));
    assert.ok(leadsTo([server], readBundle(await readFile(files.ca, 'utf8'))));
  }
  assert.deepEqual(await ensureCertificates(files, ['more.example']), { created: false });
});

test('a server certificate never outlives its CA, and a wrong name is refused before anything is made', async (t) => {
  const { folder, files } = await filesIn(t);
  await assert.rejects(createCertificates({ files, names: ['not a name'] }), usage(/--name not a name/));
  await assert.rejects(stat(folder), { code: 'ENOENT' });
  await createCertificates({ files, days: 99_999 });
  const [server] = readBundle(await readFile(files.cert, 'utf8'));
  const [ca] = readBundle(await readFile(files.ca, 'utf8'));
  assert.equal(server!.validTo, ca!.validTo);
});

test('an authority in memory issues what it is asked for', () => {
  const authority = makeAuthority({ keyType: 'rsa' });
  const [notBefore, notAfter] = [new Date('2020-01-01T00:00:00Z'), new Date('2020-02-01T00:00:00Z')];
  const { cert } = authority.issue({ names: ['a.example'], notBefore, notAfter });
  const certificate = new X509Certificate(cert);
  assert.equal(certificate.subjectAltName, 'DNS:a.example');
  assert.equal(Date.parse(certificate.validFrom), notBefore.getTime());
  assert.equal(Date.parse(certificate.validTo), notAfter.getTime());
  assert.ok(leadsTo([certificate], [new X509Certificate(authority.cert)]));
  assert.ok(!leadsTo([certificate], [new X509Certificate(makeAuthority().cert)]));
  assert.ok(certificate.publicKey.asymmetricKeyType === 'ec');
});

test('servers are issued under a CA that somebody else made, of any key and form', async (t) => {
  const { folder, files } = await filesIn(t);
  const keyFile = join(folder, 'iot-lab-ca.key');
  await mkdir(folder);
  const wide = `/C=FR/O=INRIA Rhône-Alpes/OU=${'x'.repeat(60)}/CN=Testbed CA`;
  const kinds: [kind: string, ...args: string[]][] = [
    ['RSA', '-newkey', 'rsa:2048', '-subj', wide, '-utf8'],
    ['P-384, a name of several values', '-newkey', 'ec:P384', '-subj', '/O=Lab+CN=Two/CN=CA', '-multivalue-rdn'],
    ['without a key identifier', '-newkey', 'ec:P256', '-subj', '/CN=plain', '-addext', 'subjectKeyIdentifier=none'],
    [
      'with a long key identifier',
      '-newkey',
      'ec:P256',
      '-subj',
      '/CN=x',
      '-addext',
      `subjectKeyIdentifier=${'ab'.repeat(200)}`,
      '-addext',
      'authorityKeyIdentifier=none',
    ],
  ];
  openssl('ecparam', '-name', 'prime256v1', '-out', join(folder, 'P256'));
  openssl('ecparam', '-name', 'secp384r1', '-out', join(folder, 'P384'));
  for (const [kind, ...args] of kinds) {
    const request = args.map((arg) => arg.replace(/^ec:/, `ec:${folder}/`));
    openssl('req', '-x509', '-nodes', '-days', '30', '-keyout', keyFile, '-out', files.ca, ...request);
    assert.deepEqual(await createCertificates({ files, force: true }), { authorityCreated: false }, kind);
    assert.match(openssl('verify', '-CAfile', files.ca, '-verify_hostname', 'localhost', files.cert), /OK/, kind);
    const [server] = readBundle(await readFile(files.cert, 'utf8'));
    assert.ok(leadsTo([server!], readBundle(await readFile(files.ca, 'utf8'))), kind);
  }
  openssl('req', '-x509', '-nodes', '-keyout', keyFile, '-out', files.ca, '-newkey', 'ed25519', '-subj', '/CN=ed');
  await assert.rejects(createCertificates({ files, force: true }), usage(/a CA's key must be RSA or EC, not ed25519/));
});

test('dates beyond 2049, every form of an address and hundreds of names are written as OpenSSL reads them', () => {
  const names = [
    '2001:db8::7',
    '::ffff:192.0.2.7',
    '2001:db8:1:2:3:4:5:6',
    '::',
    ...Array.from({ length: 3_000 }, (_, i) => `node-${i}.example.org`),
  ];
  const [notBefore, notAfter] = [new Date('2049-12-31T23:59:59Z'), new Date('2050-01-01T00:00:00Z')];
  const certificate = new X509Certificate(makeAuthority().issue({ names, notBefore, notAfter }).cert);
  assert.deepEqual(namesOf(certificate), ['2001:db8::7', '::ffff:c000:207', ...names.slice(2)]);
  assert.equal(Date.parse(certificate.validFrom), notBefore.getTime());
  assert.equal(Date.parse(certificate.validTo), notAfter.getTime());
});
