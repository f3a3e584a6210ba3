import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { makeAuthority } from '../../src/listener/certificates.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import type { CapturedLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { testListener, until } from '../support/test-listener.js';

const dayMs = 86_400_000;

const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subjectaltname;

/** Resolves when `count` log lines match. */
function linesMatching({ lines }: Pick<CapturedLog, 'lines'>, message: RegExp, count: number): Promise<void> {
  return until(() => lines().filter(({ msg }) => message.test(String(msg))).length >= count);
}

test('a certificate that is replaced is taken up by itself, and open connections stay', async (t) => {
  const tested = await testListener(t, { certificate: { names: ['localhost', 'one.example'] } });
  const before = await tested.connect();
  assert.match(String(nameOf(before)), /one\.example/);
  await tested.replace({ names: ['localhost', 'two.example'] });
  await tested.waitFor(/Certificates reloaded/);
  assert.match(String(nameOf(await tested.connect())), /two\.example/);
  before.write('still here');
  assert.equal(String((await once(before, 'data'))[0]), 'still here');
});

test('a certificate that is renamed into place, twice, is taken up', async (t) => {
  const tested = await testListener(t);
  for (const round of [1, 2]) {
    const { cert, key } = tested.authority.issue({
      names: ['localhost', `round${round}.example`],
      keyType: 'rsa',
    });
    await writeFile(`${tested.files.cert}.new`, cert);
    await writeFile(`${tested.files.key}.new`, key);
    await rename(`${tested.files.cert}.new`, tested.files.cert);
    await rename(`${tested.files.key}.new`, tested.files.key);
    await linesMatching(tested, /Certificates reloaded/, round);
    assert.match(String(nameOf(await tested.connect())), new RegExp(`round${round}`));
  }
});

test('reload() takes new files up at once', async (t) => {
  const tested = await testListener(t, { clock: new ManualClock() });
  await tested.replace({ names: ['localhost', 'asked.example'] });
  await tested.listener.reload();
  assert.match(String(nameOf(await tested.connect())), /asked/);
});

for (const [name, spoil, message] of [
  ['a certificate that is no PEM', 'cert', /listener\.cert: .*server\.pem is unusable: holds no PEM certificate/],
  ['a key that is no PEM', 'key', /listener\.key: .*server\.key is unusable: holds no PEM private key/],
  ['a missing certificate', 'gone', /listener\.cert: .*server\.pem cannot be read: no such file/],
  ['a key of another certificate', 'other', /listener\.key: .*server\.key is not the key of the certificate/],
  ['an expired certificate', 'expired', /listener\.cert: .*server\.pem has expired .*Put a valid one in place/],
] as const) {
  test(`${name} leaves the old one in use, and is logged with the remedy`, async (t) => {
    const tested = await testListener(t, { certificate: { names: ['localhost', 'good.example'] } });
    const { files, authority } = tested;
    if (spoil === 'cert') await writeFile(files.cert, 'secret words');
    if (spoil === 'key') await writeFile(files.key, 'secret words');
    if (spoil === 'gone') await rm(files.cert);
    if (spoil === 'other') await writeFile(files.key, authority.issue().key);
    if (spoil === 'expired') {
      await tested.replace({ notBefore: new Date(Date.now() - 9 * dayMs), notAfter: new Date(Date.now() - dayMs) });
    }
    await tested.listener.reload();
    const line = await tested.waitFor(/new certificates are not used, the old ones stay/);
    assert.match(String(line.msg), message);
    assert.equal(line.level, 50);
    assert.ok(!tested.text().includes('secret words'));
    assert.match(String(nameOf(await tested.connect())), /good/);
    await tested.replace({ names: ['localhost', 'mended.example'] });
    await tested.listener.reload();
    assert.match(String(nameOf(await tested.connect())), /mended/);
  });
}

test('a pair whose second half comes seconds later is no error', async (t) => {
  const tested = await testListener(t);
  const { cert, key } = tested.authority.issue({ names: ['localhost', 'slow.example'] });
  await writeFile(tested.files.key, key);
  await tested.waitFor(/not usable yet, trying again/);
  await writeFile(tested.files.cert, cert);
  await tested.waitFor(/Certificates reloaded/);
  assert.match(String(nameOf(await tested.connect())), /slow/);
  assert.ok(tested.lines().every(({ level }) => Number(level) < 40));
});

test('a half that never comes is an error once there was time enough for it, and only once', async (t) => {
  const clock = new ManualClock();
  const tested = await testListener(t, { clock });
  await writeFile(tested.files.key, tested.authority.issue().key);
  const errors = () => tested.lines().filter(({ level }) => level === 50);
  const pass = async (seconds: number): Promise<void> => {
    for (let step = 0; step < seconds * 4; step += 1) {
      clock.advance(250);
      // Behind the file operations of the listener, which come one after the other.
      for (let turns = 0; turns < 10; turns += 1) await stat(tested.files.key);
    }
  };
  await pass(12);
  assert.equal(errors().length, 0);
  // The files are read in the time of the machine, whatever the clock here says.
  await eventually(10_000, 'the error', async () => {
    if (errors().length === 0) await pass(1);
    return errors().length > 0;
  });
  assert.match(String(errors()[0]?.msg), /old ones stay: listener\.key: .* is not the key/);
  await pass(30);
  assert.equal(errors().length, 1);
  assert.match(String(nameOf(await tested.connect())), /localhost/);
});

test('touching a file is no news', async (t) => {
  const tested = await testListener(t);
  await utimes(tested.files.cert, new Date(), new Date());
  await tested.waitFor(/Certificates unchanged/);
  assert.ok(!tested.text().includes('reloaded'));
});

test('a session can be resumed for half a day, and the client is told', async (t) => {
  const { port, files } = await testListener(t);
  const args = [
    's_client',
    '-tls1_2',
    '-connect',
    `127.0.0.1:${port}`,
    '-CAfile',
    files.ca,
    '-servername',
    'localhost',
  ];
  const asking = promisify(execFile)('openssl', args, { timeout: 20_000 });
  asking.child.stdin!.end();
  const { stdout: said } = await asking;
  assert.match(said, /TLS session ticket lifetime hint: 43200 \(seconds\)/);
});

test('ticket keys rotate: a session of yesterday is not resumed', async (t) => {
  const clock = new ManualClock();
  const tested = await testListener(t, { clock });
  const [session] = await once(await tested.connect(), 'session');
  clock.advance(dayMs);
  assert.equal((await tested.connect({ session: session as Buffer })).isSessionReused(), false);
});

test('the end of a certificate is announced daily from 30 days before, and its passing is an error', async (t) => {
  const start = Date.now();
  const clock = new ManualClock(start);
  const tested = await testListener(t, { clock, certificate: { notAfter: new Date(start + 32.5 * dayMs) } });
  const said = (message: RegExp) => tested.lines().filter(({ msg }) => message.test(String(msg)));
  const [loaded] = said(/Server certificate loaded/);
  assert.equal(loaded?.daysLeft, 32);
  assert.equal(loaded?.level, 30);
  clock.advance(2 * dayMs);
  assert.equal(said(/expires in/).length, 0);
  clock.advance(dayMs);
  assert.deepEqual(
    said(/expires in 29 days/).map(({ level, file }) => [level, file]),
    [[40, tested.files.cert]],
  );
  clock.advance(29 * dayMs);
  assert.equal(said(/expires in/).length, 30);
  assert.equal(said(/has expired/).length, 0);
  clock.advance(dayMs);
  const [expired] = said(/has expired: clients refuse it\. Renew it/);
  assert.equal(expired?.level, 50);
});

test('an expired or not yet valid certificate, and one that the CA file does not vouch for, is said at the start', async (t) => {
  const now = Date.now();
  const expired = await testListener(t, {
    certificate: { notBefore: new Date(now - 9 * dayMs), notAfter: new Date(now - dayMs) },
  });
  assert.equal((await expired.waitFor(/has expired/)).level, 50);
  const early = await testListener(t, { certificate: { notBefore: new Date(now + dayMs) } });
  await early.waitFor(/not valid yet/);
  const stranger = await testListener(t);
  await writeFile(stranger.files.ca, makeAuthority().cert);
  await stranger.listener.reload();
  await stranger.waitFor(/was not issued by a CA in .*ca\.pem: clients that trust that file will refuse the broker/);
  // A bundle of an old and the new CA vouches for both.
  await writeFile(stranger.files.ca, `${makeAuthority().cert}\n${stranger.authority.cert}`);
  const before = stranger.lines().length;
  await stranger.listener.reload();
  assert.ok(
    stranger
      .lines()
      .slice(before)
      .every(({ level }) => Number(level) < 40),
  );
});

test('of a bundle that clients trust, only what the certificate leads to is looked at', async (t) => {
  const now = Date.now();
  const old = makeAuthority({
    name: 'old root',
    notBefore: new Date(now - 9 * dayMs),
    notAfter: new Date(now - dayMs),
  });
  const tested = await testListener(t);
  const before = tested.lines().length;
  await writeFile(tested.files.ca, `${old.cert}\n${tested.authority.cert}\n${makeAuthority().cert}`);
  await tested.listener.reload();
  const said = tested
    .lines()
    .slice(before)
    .map(({ msg }) => msg);
  assert.deepEqual(said, ['Certificates reloaded', 'Server certificate loaded']);
});
