import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runCli } from '../../src/cli/command-line.js';
import { UsersFile } from '../../src/credentials/users-file.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

/** Runs a program to its end, but not for ever. */
const execute = (file: string, args: readonly string[]) => promisify(execFile)(file, args, { timeout: 30_000 });
const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

async function setup(t: TestContext) {
  const folder = await tempFolder(t);
  const config = join(folder, 'broker.yaml');
  const path = join(folder, 'data', 'users');
  await writeFile(
    config,
    'credentials: { file: { path: data/users } }\nstorage: { path: data/store }\nadmin: { socket: "" }\n',
  );
  const user = async (args: string[], stdin = '') => {
    const io = captureIo({}, stdin);
    const code = await runCli(['user', ...args, '--config', config], io);
    return { code, out: io.out(), err: io.err() };
  };
  const users = async () => UsersFile.parse(await readFile(path, 'utf8')).users;
  const isRight = async (login: string, password: string) => (await users()).get(login)?.hash.check(password);
  const from = `(configuration: ${config})`;
  return { folder, config, path, from, user, users, isRight };
}

test('add, list, passwd, remove: from nothing to nothing', async (t) => {
  const { path, from, user, users, isRight } = await setup(t);
  assert.match((await user(['list'])).err, /there is none; make one: iotlab-broker user add LOGIN\n$/);
  assert.deepEqual(await user(['add', 'alice', '--password-stdin'], ' secret one! \n'), {
    code: 0,
    out: `alice added to ${path} ${from}\n`,
    err: '',
  });
  assert.equal(await isRight('alice', ' secret one! '), true);
  const random = await user(['add', 'bobby', '--random']);
  assert.match(random.out, /^[A-Za-z0-9]{20}\n$/);
  assert.deepEqual([random.code, random.err], [0, `bobby added to ${path} ${from}\n`]);
  assert.equal(await isRight('bobby', random.out.trim()), true);
  assert.deepEqual(await user(['list']), { code: 0, out: 'alice\nbobby\n', err: '' });
  assert.equal((await user(['passwd', 'alice', '--password-stdin'], 'secret two!')).code, 0);
  assert.equal(await isRight('alice', 'secret two!'), true);
  assert.deepEqual([...(await users()).keys()], ['alice', 'bobby']);
  assert.deepEqual(await user(['remove', 'alice']), {
    code: 0,
    out: `alice removed from ${path} ${from}\nNothing was kept of alice.\n`,
    err: '',
  });
  assert.deepEqual(await user(['remove', 'bobby']), {
    code: 0,
    out: `bobby removed from ${path} ${from}\nNothing was kept of bobby.\n`,
    err: '',
  });
  assert.deepEqual(await user(['list']), { code: 0, out: '', err: '' });
});

test('of two that add one login at the same time one is told that it is there already', async (t) => {
  const { user, users, isRight } = await setup(t);
  const passwords = ['one', 'two', 'three'];
  const added = await Promise.all(passwords.map((password) => user(['add', 'alice', '--password-stdin'], password)));
  assert.deepEqual(added.map(({ code }) => code).sort(), [0, 2, 2]);
  for (const { code, err } of added) if (code !== 0) assert.match(err, /alice is in .* already/);
  assert.deepEqual([...(await users()).keys()], ['alice']);
  // And it has the password of the one who was told that it was added.
  assert.equal(await isRight('alice', passwords[added.findIndex(({ code }) => code === 0)]!), true);
});

test('on a disk that takes nothing more, nothing is left behind that keeps out the next one', async (t) => {
  const { config, path, user } = await setup(t);
  assert.equal((await user(['add', 'alice', '--password-stdin'], 'one')).code, 0);
  const before = await readFile(path, 'utf8');
  // Files can be made and stay empty, as on a full disk.
  const add = `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`;
  const args = ['-c', add, process.execPath, main, 'user', 'add', 'bobby', '--random', '--config', config];
  await assert.rejects(execute('/bin/sh', args), (error: { code?: number }) => error.code !== 0);
  assert.deepEqual(await readdir(dirname(path)), ['users']);
  assert.equal(await readFile(path, 'utf8'), before);
  assert.equal((await user(['add', 'bobby', '--password-stdin'], 'two')).code, 0);
});

test('what cannot be done says why and what to do instead, exits 2, and changes nothing', async (t) => {
  const { config, path, user } = await setup(t);
  await user(['add', 'alice', '--password-stdin'], 'x');
  const before = await readFile(path, 'utf8');
  const table: [string[], string, RegExp][] = [
    [[], '', /one of add, passwd, groups, remove, forget, list, import is missing/],
    [
      ['edit', 'alice'],
      '',
      /"edit" is not one of add, passwd, groups, remove, forget, list, import; see: iotlab-broker user --help/,
    ],
    [['add'], '', /LOGIN is missing, or --from FILE, or --count N/],
    [['add', 'Alice', '--random'], '', /"Alice" could never log in: .*loginPattern/],
    [['add', 'al', '--random'], '', /could never log in/],
    [['add', 'alice/x', '--random'], '', /could never log in/],
    [['add', 'alice', '--random'], '', /already; for a new password: iotlab-broker user passwd alice/],
    [['passwd', 'bobby', '--random'], '', /there is no "bobby" in .*; see: iotlab-broker user list/],
    [['remove', 'bobby'], '', /there is no "bobby"/],
    [['add', 'bobby'], 'x\n', /no terminal .*--password-stdin or --random/],
    [['add', 'bobby', '--password-stdin'], '\n', /empty password/],
    [['add', 'bobby', '--password-stdin'], 'one\ntwo\n', /more than one line/],
    [['add', 'bobby', '--password-stdin'], 'a\0b', /zero byte/],
    [['add', 'bobby', '--password-stdin'], 'x'.repeat(1_025), /more than 1024 bytes/],
    [['add', 'bobby', '--password-stdin', '--random'], '', /exclude each other/],
    [['ad', 'alice'], '', /"ad" is not one of .*; did you mean add\?/],
    [['list', '--random'], '', /--random is for: iotlab-broker user add, iotlab-broker user passwd/],
    [['add', 'bobby', '--replace'], '', /--replace is for/],
    [['passwd', 'alice', 'hunter2'], '', /too many arguments; usage/],
    [['list', 'alice'], '', /too many arguments/],
    [['import', `${path}.none`], '', /users\.none: cannot be read: there is no such file$/m],
    [['list', '--file', ''], '', /--file needs a value: PATH/],
    [['list', '--fil', 'x'], '', /did you mean --file/],
  ];
  for (const [args, stdin, complaint] of table) {
    const { code, out, err } = await user(args, stdin);
    assert.deepEqual([code, out], [2, ''], args.join(' '));
    assert.match(err, complaint);
    assert.ok(!err.includes('hunter2'));
  }
  assert.equal(await readFile(path, 'utf8'), before);
  await writeFile(config, 'credentials: { backend: api, api: { url: "https://api.example.org" } }\n');
  assert.match((await user(['list'])).err, /credentials\.backend is "api"/);
  assert.equal((await user(['list', '--file', path])).out, 'alice\n');
});

test('list tells what is in the file but of no use', async (t) => {
  const { path, user } = await setup(t);
  await user(['add', 'alice', '--password-stdin'], 'x');
  const [, hash] = (await readFile(path, 'utf8')).trim().split(':');
  await appendFile(path, `Bob:${hash}\nplain:text\n`);
  const { code, out, err } = await user(['list']);
  assert.deepEqual([code, out], [0, 'Bob\nalice\n']);
  const json = JSON.parse((await user(['list', '--json'])).out);
  assert.deepEqual(json, [
    { login: 'Bob', groups: [] },
    { login: 'alice', groups: [] },
  ]);
  assert.match(err, /Bob cannot log in.*\n.*users:3: ignored: .*plain text, perhaps\n$/);
});

test('import takes what mosquitto_passwd made, and reports the rest by line', async (t) => {
  const { folder, path, from, user, isRight } = await setup(t);
  const theirs = join(folder, 'passwd');
  await writeFile(theirs, '');
  for (const [login, options] of [
    ['alice', []],
    ['bobby', ['-H', 'sha512']],
    ['Carol', []],
  ] as const) {
    await execute('mosquitto_passwd', [...options, '-b', theirs, login, `${login} theirs`]);
  }
  await appendFile(theirs, 'plain:text\nnonsense\n');
  await user(['add', 'alice', '--password-stdin'], 'ours');

  const first = await user(['import', theirs]);
  assert.equal(first.code, 1);
  assert.equal(
    first.out,
    `1 imported into ${path} ${from}, 1 already there and kept as they are (--replace takes the file's), 3 refused\n`,
  );
  assert.deepEqual(
    first.err
      .trim()
      .split('\n')
      .map((line) => line.split(':', 2).join(':')),
    [3, 4, 5].map((line) => `${theirs}:${line}`),
  );
  assert.equal(await isRight('alice', 'ours'), true);
  assert.equal(await isRight('bobby', 'bobby theirs'), true);

  const clean = (await readFile(theirs, 'utf8')).split('\n').slice(0, 2).join('\n');
  const second = await user(['import', '-', '--replace'], clean);
  assert.deepEqual(second, {
    code: 0,
    out: `1 imported into ${path} ${from}, 1 already there with the same password\n`,
    err: '',
  });
  assert.equal(await isRight('alice', 'alice theirs'), true);
});

test('groups: with a new user, shown, changed, kept by a new password, and none', async (t) => {
  const { path, from, user, users } = await setup(t);
  assert.equal((await user(['add', 'alice', '--random', '--group', 'lab', '--group', 'Teachers'])).code, 0);
  assert.deepEqual((await user(['groups', 'alice'])).out, 'lab\nTeachers\n');
  await user(['passwd', 'alice', '--random']);
  assert.deepEqual((await users()).get('alice')?.groups, ['lab', 'Teachers']);
  assert.equal((await user(['groups', 'alice', 'students'])).out, `alice belongs to students in ${path} ${from}\n`);
  assert.deepEqual((await users()).get('alice')?.groups, ['students']);
  assert.equal((await user(['groups', 'alice', '--none'])).out, `alice belongs to no group in ${path} ${from}\n`);
  assert.equal((await user(['groups', 'alice'])).out, '');
  assert.match((await user(['groups', 'bobby', 'lab'])).err, /there is no "bobby"/);
  assert.match((await user(['groups', 'alice', 'a:b'])).err, /"a:b" has a ":" or "," in it: no group/);
  assert.match((await user(['groups', 'alice', 'lab', '--none'])).err, /exclude each other/);
  assert.match((await user(['passwd', 'alice', '--random', '--group', 'lab'])).err, /--group is for: .*user add/);
});

test("two commands at once do not lose each other's user", async (t) => {
  const { config, users } = await setup(t);
  const logins = Array.from({ length: 4 }, (_, index) => `user${index}`);
  await Promise.all(
    logins.map((login) => execute(process.execPath, [main, 'user', 'add', login, '--random', '--config', config])),
  );
  assert.deepEqual([...(await users()).keys()].sort(), logins);
});

/** Runs the command on a terminal of its own, answering each prompt as it appears; resolves with what was shown. */
function onTerminal(args: string[], answers: [RegExp, string][]): Promise<{ code: number | null; shown: string }> {
  const line = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    let shown = '';
    let seen = 0;
    const timer = setTimeout(() => {
      child.kill();
      reject(new Error(`the terminal went quiet after: ${shown}`));
    }, 20_000);
    child.stdout.on('data', (chunk) => {
      shown += String(chunk);
      const next = answers[0];
      if (next === undefined || !next[0].test(shown.slice(seen))) return;
      seen = shown.length;
      answers.shift();
      child.stdin.write(next[1]);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, shown });
    });
  });
}

test('on a terminal the password is asked for twice and never shown', async (t) => {
  const { config, isRight, users } = await setup(t);
  const add = ['user', 'add', 'alice', '--config', config];
  // A typing error is taken back with the backspace key.
  const right = await onTerminal(add, [
    [/Password for alice: /, 'secret onx\x7fe!\r'],
    [/Again: /, 'secret one!\r'],
  ]);
  assert.equal(right.code, 0, right.shown);
  assert.match(right.shown, /alice added/);
  assert.ok(!right.shown.includes('secret'), right.shown);
  assert.equal(await isRight('alice', 'secret one!'), true);

  const passwd = ['user', 'passwd', 'alice', '--config', config];
  const different = await onTerminal(passwd, [
    [/Password for alice: /, 'one\r'],
    [/Again: /, 'two\r'],
  ]);
  assert.equal(different.code, 2);
  assert.match(different.shown, /the two passwords differ/);
  for (const key of ['\x03', '\x04']) {
    const interrupted = await onTerminal(passwd, [[/Password for alice: /, key]]);
    assert.equal(interrupted.code, 2, interrupted.shown);
    assert.match(interrupted.shown, /no password given/);
  }
  assert.equal(await isRight('alice', 'secret one!'), true);
  assert.equal((await users()).size, 1);
});
