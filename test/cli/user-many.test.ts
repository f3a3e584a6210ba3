import assert from 'node:assert/strict';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { openPasswordList } from '../../src/cli/password-list.js';
import { UsersFile } from '../../src/credentials/users-file.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

async function setup(t: TestContext) {
  const folder = await tempFolder(t);
  const config = join(folder, 'broker.yaml');
  const path = join(folder, 'data', 'users');
  const list = join(folder, 'list.txt');
  await writeFile(config, 'credentials: { file: { path: data/users } }\nadmin: { socket: "" }\n');
  return {
    ...{ path, list },
    async add(args: string[], stdin = '') {
      const io = captureIo({}, stdin);
      const code = await runCli(['user', 'add', ...args, '--config', config], io);
      return { code, out: io.out(), err: io.err() };
    },
    users: async () => UsersFile.parse(await readFile(path, 'utf8').catch(() => '')).users,
  };
}

/** Login and password of each printed line. */
const printed = (out: string) => [...out.matchAll(/^login {2}(\S+) +password {2}(\S+)$/gm)].map(([, ...both]) => both);

test('--count and --prefix: as many as that, each with a password that is printed once', async (t) => {
  const { add, users, path } = await setup(t);
  const { code, out, err } = await add(['--count', '12', '--prefix', 'course', '--group', 'students']);
  assert.equal(code, 0, err);
  assert.match(err, /^12 added to .*users \(configuration: .*\)\n$/);
  const pairs = printed(out);
  assert.equal(out.split('\n').length, 13);
  assert.deepEqual([pairs[0]![0], pairs[11]![0]], ['course01', 'course12']);
  assert.equal(new Set(pairs.map(([, password]) => password)).size, 12);
  const made = await users();
  for (const [login, password] of pairs) {
    const user = made.get(login!)!;
    assert.equal(await user.hash.check(password!), true);
    assert.deepEqual(user.groups, ['students']);
  }
  const before = await readFile(path, 'utf8');
  const again = await add(['--count', '13', '--prefix', 'course']);
  assert.deepEqual([again.code, again.out], [2, '']);
  assert.match(again.err, /course01 is in .* already; nobody was added: choose another --prefix/);
  assert.equal(await readFile(path, 'utf8'), before);
  // As many digits as it takes; found out by whom it meets, since a hundred passwords take as long as many tests.
  assert.equal((await add(['lab001', '--password-stdin'], 'hunter2-hunter2\n')).code, 0);
  assert.match((await add(['--count', '100', '--prefix', 'lab'])).err, /lab001 is in .* already/);
});

test('--from: a list, with passwords or without; who is there already stays as he is', async (t) => {
  const { add, users, list } = await setup(t);
  await writeFile(list, '# the class of 2026\nalice\r\n\n  bobby   hunter2-hunter2 \ncarol\n');
  const first = await add(['--from', list]);
  assert.equal(first.code, 0, first.err);
  const pairs = printed(first.out);
  assert.deepEqual(
    pairs.map(([login]) => login),
    ['alice', 'bobby', 'carol'],
  );
  assert.equal(pairs[1]![1], 'hunter2-hunter2');
  assert.equal(await (await users()).get('alice')!.hash.check(pairs[0]![1]!), true);
  const kept = (await users()).get('alice')!.hashText;
  const second = await add(['--from', '-'], 'alice\nbobby\ndavid\n');
  assert.deepEqual(
    printed(second.out).map(([login]) => login),
    ['david'],
  );
  assert.match(second.err, /^1 added to .*; 2 there already, who stay as they are\n$/);
  assert.equal((await users()).get('alice')!.hashText, kept);
});

test('a mistake adds nobody, and is named with its line', async (t) => {
  const { add, users, list } = await setup(t);
  const cases: [string[], string, RegExp][] = [
    [['--from', '-'], 'alice\nBob\n', /line 2: "Bob" could never log in: .*; nobody was added/],
    [['--from', '-'], 'alice\nalice\n', /-:2: alice is in line 1 already/],
    [['--from', '-'], 'alice one two\n', /-:1: more than a login and a password/],
    [['--from', '-'], `alice ${'x'.repeat(1_025)}\n`, /-:1: a password of more than 1024 bytes/],
    [['--from', '-'], '# nobody\n', /-: no login in it/],
    [['--from', list], '', /list\.txt: cannot be read: there is no such file/],
    [['--count', '0', '--prefix', 'course'], '', /--count 0 is not a whole number from 1 to 10000/],
    [['--count', 'forty', '--prefix', 'course'], '', /--count forty is not/],
    [['--count', '3', '--prefix', 'Course'], '', /"Course01" could never log in/],
    [['--count', '3'], '', /--prefix NAME is missing/],
    [['--prefix', 'course'], '', /--count N is missing/],
    [['alice', '--count', '3', '--prefix', 'course'], '', /LOGIN, --from and --count exclude each other/],
    [['--from', '-', '--password-stdin'], 'x\n', /--password-stdin is the password of one LOGIN/],
    [['--count', '3', '--prefix', 'course', '--group', 'a,b'], '', /no group can be called that/],
    [[], '', /LOGIN is missing, or --from FILE, or --count N/],
  ];
  for (const [args, stdin, why] of cases) {
    const { code, out, err } = await add(args, stdin);
    assert.deepEqual([code, out], [2, ''], args.join(' '));
    assert.match(err, why);
  }
  assert.equal((await users()).size, 0);
});

test('--to: a new file that only its owner reads; nothing is overwritten, and nobody added without it', async (t) => {
  const { add, users, list } = await setup(t);
  const { code, out, err } = await add(['--count', '3', '--prefix', 'course', '--to', list]);
  assert.deepEqual([code, out], [0, '']);
  assert.match(err, /^3 added to .*; their passwords are in .*list\.txt\n$/);
  assert.equal((await stat(list)).mode & 0o777, 0o600);
  const text = await readFile(list, 'utf8');
  assert.equal(printed(text).length, 3);
  for (const [login, password] of printed(text)) assert.ok(await (await users()).get(login!)!.hash.check(password!));

  const again = await add(['--count', '3', '--prefix', 'lab', '--to', list]);
  assert.equal(again.code, 2);
  assert.match(again.err, /list\.txt is there already; its passwords are not overwritten; nobody was added/);
  assert.equal(await readFile(list, 'utf8'), text);
  const nowhere = await add(['--count', '3', '--prefix', 'lab', '--to', `${list}.d/x`]);
  assert.match(nowhere.err, /list\.txt\.d\/x cannot be made: .*; nobody was added/);
  // A mistake leaves no file behind.
  const other = `${list}.other`;
  assert.equal((await add(['--count', '3', '--prefix', 'course', '--to', other])).code, 2);
  await assert.rejects(stat(other), { code: 'ENOENT' });
  assert.equal((await users()).size, 3);
  assert.match((await add(['alice', '--to', other])).err, /--to is where a list goes, with --count or --from/);
});

test('a list in a file that a shell has made says that others can read it', async (t) => {
  const { list } = await setup(t);
  for (const [mode, told] of [
    [0o644, true],
    [0o600, false],
  ] as const) {
    await rm(list, { force: true });
    const file = await open(list, 'w', mode);
    await file.chmod(mode);
    const io = captureIo();
    Object.defineProperty(io.stdout, 'fd', { value: file.fd });
    await (await openPasswordList(undefined, io)).write('login  a  password  b\n');
    await file.close();
    assert.equal(io.err().includes('chmod 600'), told);
  }
});
