import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../../src/clock.js';
import type { CredentialBackend } from '../../src/credentials/backend.js';
import { openFileBackend } from '../../src/credentials/file-backend.js';
import { editUsersFile } from '../../src/credentials/users-file.js';
import { Fault, UsageError } from '../../src/errors.js';
import { captureLog } from '../support/captured-log.js';
import { cheapScrypt } from '../support/cheap-scrypt.js';
import { tempFolder } from '../support/temp-folder.js';

const hash = cheapScrypt('x');
const other = cheapScrypt('y');
/** As mosquitto_passwd -H sha512 makes them, for "x". */
const cheap = `$6$${Buffer.alloc(12).toString('base64')}$${createHash('sha512').update('x').update(Buffer.alloc(12)).digest('base64')}`;

/** Time as hashing makes it pass: nothing else takes any, and each hash that node:crypto computes takes a bit longer. */
function countHashes(t: TestContext) {
  const hashing = { hashes: 0, tookMs: 0, clock: { ...systemClock, monotonicMs: () => hashing.tookMs } };
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'SCRYPTREQUEST') hashing.tookMs += 10 + ++hashing.hashes / 1_024;
    },
  });
  hook.enable();
  t.after(() => hook.disable());
  return hashing;
}

async function setup(t: TestContext, text = `alice:${hash}\nbobby:${hash}\n`, clock: Clock = systemClock) {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  await writeFile(path, text);
  const captured = captureLog();
  const backend = await openFileBackend({ path, log: captured.log, clock });
  t.after(() => backend.close());
  const revoked: string[] = [];
  backend.onRevoked((login) => revoked.push(login));
  return { folder, path, captured, backend, revoked };
}

async function answer(backend: CredentialBackend, login: string, password: string): Promise<string> {
  const verdict = await backend.verify(login, password, AbortSignal.timeout(10_000));
  return verdict.accepted ? 'accepted' : verdict.reason;
}

const readAgain = /^users file read again$/;

test('the file is read again when it is written in place, replaced, or edited, and changes are told', async (t) => {
  const { folder, path, captured, backend, revoked } = await setup(t);
  const proofs = await Promise.all(
    ['alice', 'bobby'].map((login) => backend.verify(login, 'x', AbortSignal.timeout(10_000))),
  );

  await writeFile(path, `alice:${other}\nbobby:${hash}\n`);
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked, ['alice']);
  assert.equal(await answer(backend, 'alice', 'x'), 'wrong-password');
  assert.equal(await answer(backend, 'alice', 'y'), 'accepted');

  captured.clear();
  await writeFile(join(folder, 'new'), `alice:${other}\ncarol:${hash}\n`);
  await rename(join(folder, 'new'), path);
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked, ['alice', 'bobby']);
  assert.equal(await answer(backend, 'bobby', 'x'), 'unknown-user');
  assert.equal(await answer(backend, 'carol', 'x'), 'accepted');

  captured.clear();
  await editUsersFile(path, (file) => file.with('dave', hash));
  await captured.waitFor(readAgain);
  assert.equal(await answer(backend, 'dave', 'x'), 'accepted');
  assert.deepEqual(revoked, ['alice', 'bobby']);

  for (const verdict of proofs) {
    assert.ok(verdict.accepted);
    assert.equal(await backend.revalidate(verdict.login, verdict.proof, AbortSignal.timeout(1_000)), false);
  }
});

test('a proof is worth nothing for another login, nor is an invented one', async (t) => {
  const { backend } = await setup(t, `alice:${hash}\nbobby:${other}\n`);
  const verdict = await backend.verify('alice', 'x', AbortSignal.timeout(10_000));
  assert.ok(verdict.accepted);
  const ask = (login: string, proof: unknown) => backend.revalidate(login, proof, AbortSignal.timeout(1_000));
  assert.equal(await ask('alice', verdict.proof), true);
  assert.equal(await ask('bobby', verdict.proof), false);
  for (const proof of [undefined, null, hash, {}]) assert.equal(await ask('alice', proof), false);
});

test('a bad line costs nobody but its own user, and is logged with its number', async (t) => {
  const { captured, path, backend } = await setup(t, `# lab\nalice:${hash}\nbobby:hunter2\nnonsense\ncarol:${hash}\n`);
  assert.equal(await answer(backend, 'alice', 'x'), 'accepted');
  assert.equal(await answer(backend, 'carol', 'x'), 'accepted');
  assert.equal(await answer(backend, 'bobby', 'hunter2'), 'unknown-user');
  const ignored = captured.lines().filter((line) => String(line.msg).startsWith('line ignored'));
  assert.deepEqual(
    ignored.map(({ file, line }) => [file, line]),
    [
      [path, 3],
      [path, 4],
    ],
  );
  assert.ok(!captured.text().includes('hunter2'));
});

test('a file that disappears, or becomes something else, leaves the last content in use', async (t) => {
  const { path, captured, backend, revoked } = await setup(t);
  await rm(path);
  assert.equal((await captured.waitFor(/cannot be read/)).reason, 'ENOENT');
  assert.equal(await answer(backend, 'alice', 'x'), 'accepted');
  captured.clear();
  await mkdir(path);
  assert.equal((await captured.waitFor(/cannot be read/)).reason, 'EISDIR');
  assert.equal(await answer(backend, 'alice', 'x'), 'accepted');
  assert.deepEqual(revoked, []);
  await rm(path, { recursive: true });
  captured.clear();
  await writeFile(path, `bobby:${hash}\n`);
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked, ['alice']);
});

test('a file that is emptied and filled again throws nobody out; one that stays empty does', async (t) => {
  const { path, captured, backend, revoked } = await setup(t);
  const text = await readFile(path, 'utf8');
  await writeFile(path, '');
  await captured.waitFor(/holds no user any more/);
  await writeFile(path, `${text}carol:${hash}\n`);
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked, []);
  assert.equal(await answer(backend, 'carol', 'x'), 'accepted');
  captured.clear();
  await writeFile(path, '');
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked.sort(), ['alice', 'bobby', 'carol']);
});

test('a file that is only touched revokes nobody', async (t) => {
  const { path, captured, revoked } = await setup(t);
  await utimes(path, 1, 1);
  await captured.waitFor(readAgain);
  assert.deepEqual(revoked, []);
});

test('an unknown login is told later, by a time that wrong passwords took, and costs no hashing', async (t) => {
  const hashing = countHashes(t);
  const { backend } = await setup(t, undefined, hashing.clock);
  const known: number[] = [];
  for (let index = 0; index < 40; index += 1) {
    const before = hashing.tookMs;
    assert.equal(await answer(backend, index % 2 === 0 ? 'alice' : 'bobby', 'wrong'), 'wrong-password');
    known.push(hashing.tookMs - before);
  }
  const { hashes } = hashing;
  const delays = new Set<number>();
  for (let index = 0; index < 1_000; index += 1) {
    const verdict = await backend.verify(`nobody${index}`, 'wrong', AbortSignal.timeout(10_000));
    assert.ok(!verdict.accepted && verdict.reason === 'unknown-user' && verdict.delayMs !== undefined);
    delays.add(verdict.delayMs);
  }
  assert.equal(hashing.hashes, hashes);
  const made = [...delays].filter((delayMs) => !known.includes(delayMs));
  assert.deepEqual(made, [], 'times that no wrong password took');
  assert.ok(delays.size > 10, 'always the same times');
});

test('an unknown login takes the times of one kind of hash of the file, always of the same one', async (t) => {
  const { backend } = await setup(t, `alice:${hash}\nbobby:${cheap}\n`, countHashes(t).clock);
  for (let index = 0; index < 5; index += 1) await answer(backend, 'alice', 'wrong');
  for (let index = 0; index < 5; index += 1) await answer(backend, 'bobby', 'wrong');
  const kinds = new Set<boolean>();
  for (let login = 0; login < 40; login += 1) {
    const dear = new Set<boolean>();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const verdict = await backend.verify(`nobody${login}`, `wrong ${attempt}`, AbortSignal.timeout(10_000));
      if (!verdict.accepted && verdict.delayMs !== undefined) dear.add(verdict.delayMs > 0);
    }
    assert.ok(dear.size <= 1, `nobody${login} takes both times`);
    for (const each of dear) kinds.add(each);
  }
  assert.deepEqual([...kinds].sort(), [false, true]);
});

test('what nobody measured yet, or not lately, is measured by hashing, once', async (t) => {
  const { backend } = await setup(t);
  const first = await Promise.all(
    Array.from({ length: 3 }, (_, index) => backend.verify(`nobody${index}`, 'x', AbortSignal.timeout(10_000))),
  );
  // No time is known while the first is measured, so those that come meanwhile are hashed as well.
  assert.ok(first.every((verdict) => !verdict.accepted && verdict.delayMs === undefined));
  const later = await backend.verify('nobody', 'x', AbortSignal.timeout(10_000));
  assert.ok(!later.accepted && later.delayMs !== undefined && later.delayMs > 0);
});

test('a question that is called off while it is hashed has no verdict, and the next one has', async (t) => {
  const { backend } = await setup(t);
  const controller = new AbortController();
  const called = backend.verify('alice', 'x', controller.signal);
  controller.abort();
  await assert.rejects(called, (error) => error instanceof Fault && error.code === 'E_CREDENTIALS_CALLED_OFF');
  assert.equal(await answer(backend, 'alice', 'x'), 'accepted');
});

test('a missing file is an error with a remedy; an empty one a warning', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  const captured = captureLog();
  const open = (file: string) => openFileBackend({ path: file, log: captured.log, clock: systemClock });
  await assert.rejects(open(path), (error) => error instanceof UsageError && /user add LOGIN/.test(error.message));
  await assert.rejects(open(folder), (error) => error instanceof UsageError && /is a folder/.test(error.message));
  await writeFile(path, '# nobody yet\n');
  const backend = await open(path);
  t.after(() => backend.close());
  assert.equal(captured.lines().filter((line) => line.level === 40).length, 1);
  assert.equal(await answer(backend, 'alice', 'x'), 'unknown-user');
});

test('neither hash nor password is in the log', async (t) => {
  const { path, captured, backend } = await setup(t);
  await answer(backend, 'alice', 'wrong-Secret');
  await writeFile(path, `alice:${other}\nbobby:${hash}x!\n$6$nothing\n${other}:x\n`);
  await captured.waitFor(readAgain);
  for (const secret of ['wrong-Secret', hash.slice(30), other.slice(30), '$6$nothing']) {
    assert.ok(!captured.text().includes(secret), secret);
  }
});
