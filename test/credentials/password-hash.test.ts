import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  hashPassword,
  type PasswordHash,
  parsePasswordHash,
  unmatchedHash,
} from '../../src/credentials/password-hash.js';
import { UsersFile } from '../../src/credentials/users-file.js';
import { tempFolder } from '../support/temp-folder.js';

const run = promisify(execFile);

function parsed(text: string): PasswordHash {
  const hash = parsePasswordHash(text);
  assert.ok(!('problem' in hash), 'problem' in hash ? hash.problem : '');
  return hash;
}

test('a hash made here is salted, in PHC format, and checks', async () => {
  const [one, two] = await Promise.all([hashPassword('pässwörd 🔑'), hashPassword('pässwörd 🔑')]);
  assert.match(one, /^\$scrypt\$ln=14,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, two);
  assert.equal(await parsed(one).check('pässwörd 🔑'), true);
  assert.equal(await parsed(one).check('pässwörd'), false);
  assert.equal(await parsed(one).check(''), false);
});

test('a hash of no password is as dear to check as one that is made here, and no password is right', async () => {
  const unmatched = unmatchedHash();
  assert.equal(unmatched.cost, parsed(await hashPassword('x')).cost);
  for (const password of ['', 'x', '\0']) assert.equal(await unmatched.check(password), false);
});

test("scrypt agrees with the vectors of RFC 7914, section 12, as far as a file's limits allow them", async () => {
  const vectors: [string, string, number, number, number, string][] = [
    [
      'password',
      'NaCl',
      10,
      8,
      16,
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    ],
    [
      'pleaseletmein',
      'SodiumChloride',
      14,
      8,
      1,
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
    ],
  ];
  for (const [password, salt, ln, r, p, hex] of vectors) {
    const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
    const text = `$scrypt$ln=${ln},r=${r},p=${p}$${base64(Buffer.from(salt))}$${base64(Buffer.from(hex, 'hex'))}`;
    assert.equal(await parsed(text).check(password), true);
    assert.equal(await parsed(text).check(`${password}.`), false);
  }
});

test("mosquitto_passwd's own hashes check as they are", async (t) => {
  const path = join(await tempFolder(t), 'passwd');
  await writeFile(path, '');
  const users: [string, string, string[], string][] = [
    ['alice', 'secret one!', ['-H', 'sha512-pbkdf2'], 'mosquitto-7'],
    ['bob1', 'pässwörd 🔑', ['-H', 'sha512'], 'mosquitto-6'],
    ['carol', ' "$x" ', ['-H', 'sha512-pbkdf2', '-I', '5000'], 'mosquitto-7'],
  ];
  for (const [login, password, options] of users) {
    await run('mosquitto_passwd', [...options, '-b', path, login, password]);
  }
  const file = UsersFile.parse(await readFile(path, 'utf8'));
  assert.deepEqual(file.problems, []);
  for (const [login, password, , scheme] of users) {
    const hash = file.users.get(login)!.hash;
    assert.equal(hash.scheme, scheme);
    assert.equal(await hash.check(password), true, login);
    assert.equal(await hash.check(`${password} `), false, login);
    assert.equal(await hash.check('secret two!'), false, login);
  }
});

test('what is damaged, unknown or too expensive is told apart, and none of it repeated', () => {
  const b64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64').replaceAll('=', '');
  const table: [string, RegExp][] = [
    ['', /no hash/],
    ['hunter2secret', /plain text/],
    ['$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA', /argon2/],
    ['$2b$10$abcdefghijklmnopqrstuv', /not a password hash/],
    [`$6$${b64(12)}$${b64(63)}`, /damaged \$6\$/],
    [`$6$saltsalt$${b64(64).slice(0, 86)}!`, /damaged \$6\$/],
    ['$6$rounds=5000$abcdefgh$abcdefgh', /crypt/],
    [`$7$0$${b64(12)}$${b64(64)}`, /damaged \$7\$/],
    [`$7$5000001$${b64(12)}$${b64(64)}`, /costs too much/],
    [`$7$101$${b64(12)}$${b64(32)}`, /damaged \$7\$/],
    [`$scrypt$ln=18,r=8,p=1$${b64(16)}$${b64(32)}`, /costs too much/],
    [`$scrypt$ln=17,r=32,p=1$${b64(16)}$${b64(32)}`, /costs too much/],
    [`$scrypt$ln=0,r=8,p=1$${b64(16)}$${b64(32)}`, /damaged \$scrypt\$/],
    [`$scrypt$ln=14,r=8,p=1$${b64(16)}$${b64(8)}`, /damaged \$scrypt\$/],
    [`$scrypt$ln=14,r=8,p=1$${b64(16)}`, /damaged \$scrypt\$/],
  ];
  for (const [text, problem] of table) {
    const hash = parsePasswordHash(text);
    assert.ok('problem' in hash, text);
    assert.match(hash.problem, problem);
    assert.ok(text.length < 12 || !hash.problem.includes(text.slice(4)));
  }
});

test('checking does not hold up the event loop', async () => {
  const hash = parsed(await hashPassword('x'));
  let turns = 0;
  const count = (): void => {
    turns += 1;
    immediate = setImmediate(count);
  };
  let immediate = setImmediate(count);
  await hash.check('y');
  clearImmediate(immediate);
  assert.ok(turns > 100, `${turns} turns`);
});
