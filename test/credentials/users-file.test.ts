import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { hashPassword } from '../../src/credentials/password-hash.js';
import { editUsersFile, UsersFile } from '../../src/credentials/users-file.js';
import { UsageError } from '../../src/errors.js';
import { eventually } from '../support/deadline.js';
import { startMosquitto } from '../support/mosquitto.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';

const hash = await hashPassword('x');
const other = await hashPassword('y');

test('reads users, and tells the line of what it cannot use', () => {
  const text = [
    '# the lab',
    '',
    `alice:${hash}`,
    'bobby',
    ':x',
    'carol:plain',
    `  dave:${other}  `,
    `alice:${other}`,
    `__proto__:${hash}`,
  ];
  const file = UsersFile.parse(`\ufeff${text.join('\r\n')}`);
  assert.deepEqual([...file.users.keys()], ['alice', 'dave', '__proto__']);
  assert.equal(file.users.get('alice')?.hashText, hash);
  assert.equal(file.users.get('dave')?.hashText, other);
  assert.deepEqual(
    file.problems.map(({ line }) => line),
    [4, 5, 6, 8],
  );
});

test('an edit changes its line and keeps every other one', () => {
  const text = `# the lab\n\nalice:${hash}\n  # old\nbobby:broken\nalice:again\ncarol:${hash}\n`;
  const file = UsersFile.parse(text);
  assert.equal(file.toString(), text);
  assert.equal(
    file.with('alice', other).toString(),
    `# the lab\n\nalice:${other}\n  # old\nbobby:broken\ncarol:${hash}\n`,
  );
  assert.equal(file.with('bobby', other).users.get('bobby')?.hashText, other);
  assert.equal(file.with('erin', other).toString(), `${text}erin:${other}\n`);
  assert.equal(file.without('alice').toString(), `# the lab\n\n  # old\nbobby:broken\ncarol:${hash}\n`);
  assert.equal(file.mentions('bobby'), true);
  assert.equal(file.without('bobby').mentions('bobby'), false);
});

test('a new file has mode 0600 and leaves nothing else behind', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  await editUsersFile(path, (file) => file.with('alice', hash));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ['users']);
  await assert.rejects(
    editUsersFile(path, () => {
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  assert.deepEqual(await readdir(folder), ['users']);
  assert.equal(await readFile(path, 'utf8'), `alice:${hash}\n`);
});

test('owner, group and the right of the group to read stay; others lose theirs; a symbolic link stays one', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  await writeFile(path, `alice:${hash}\n`);
  await chmod(path, 0o664);
  if (process.getuid?.() === 0) await chown(path, 12_345, 23_456);
  const { uid, gid } = await stat(path);
  await symlink('users', join(folder, 'link'));
  await editUsersFile(join(folder, 'link'), (file) => file.with('bobby', hash));
  const after = await stat(path);
  assert.deepEqual([after.uid, after.gid, after.mode & 0o777], [uid, gid, 0o640]);
  assert.deepEqual((await readdir(folder)).sort(), ['link', 'users']);
  assert.match(await readFile(path, 'utf8'), /^alice:.*\nbobby:.*\n$/);
});

test('readers see the old file or the new one, never a part', async (t) => {
  const path = join(await tempFolder(t), 'users');
  const logins = Array.from({ length: 2_000 }, (_, index) => `user${index}`);
  await editUsersFile(path, (file) => file.withAll(new Map(logins.map((login) => [login, { hashText: hash }]))));
  let writing = true;
  const sizes = new Set<number>();
  const reading = (async () => {
    while (writing) sizes.add((await readFile(path)).length);
  })();
  for (let round = 0; round < 20; round += 1) {
    await editUsersFile(path, (file) => (file.mentions('zoe1') ? file.without('zoe1') : file.with('zoe1', hash)));
  }
  writing = false;
  await reading;
  const whole = (await readFile(path)).length;
  assert.deepEqual(
    [...sizes].filter((size) => size !== whole && size !== whole + `zoe1:${hash}\n`.length),
    [],
  );
});

test('edits at the same time do not lose one another', async (t) => {
  const path = join(await tempFolder(t), 'users');
  const logins = Array.from({ length: 20 }, (_, index) => `user${index}`);
  await Promise.all(logins.map((login) => editUsersFile(path, (file) => file.with(login, hash))));
  const file = UsersFile.parse(await readFile(path, 'utf8'));
  assert.deepEqual([...file.users.keys()].sort(), [...logins].sort());
});

test('the lock of a command that died is taken away, by one of many', async (t) => {
  const path = join(await tempFolder(t), 'users');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  await writeFile(`${path}.lock`, `${child.pid} ${hostname()}\n`);
  const logins = Array.from({ length: 10 }, (_, index) => `user${index}`);
  await Promise.all(logins.map((login) => editUsersFile(path, (file) => file.with(login, hash))));
  assert.equal(UsersFile.parse(await readFile(path, 'utf8')).users.size, 10);
});

test('a lock without a name, of somebody who was killed while making it, does not last', async (t) => {
  const path = join(await tempFolder(t), 'users');
  await writeFile(`${path}.lock`, '');
  const edit = editUsersFile(path, (file) => file.with('alice', hash));
  // Just made, it is somebody's who is about to write the name.
  for (let looks = 0; looks < 50; looks += 1) assert.equal((await stat(`${path}.lock`)).size, 0);
  const longAgo = Date.now() / 1_000 - 6;
  await utimes(`${path}.lock`, longAgo, longAgo);
  await edit;
  assert.deepEqual(await readdir(dirname(path)), ['users']);
});

test('the lock of somebody alive is waited for, then named', async (t) => {
  const path = join(await tempFolder(t), 'users');
  await writeFile(`${path}.lock`, `${process.pid} ${hostname()}\n`);
  await assert.rejects(
    editUsersFile(path, (file) => file.with('alice', hash), 200),
    (error) => error instanceof UsageError && error.code === 'E_USERS_LOCKED' && error.message.includes(`${path}.lock`),
  );
});

test('errors of the system name the file and the remedy', async (t) => {
  const folder = await tempFolder(t);
  const table: [string, RegExp][] = [
    [join(folder, 'none', 'users'), /folder does not exist/],
    [folder, /is a folder/],
  ];
  await writeFile(join(folder, 'file'), '');
  table.push([join(folder, 'file', 'users'), /not a folder/]);
  for (const [path, remedy] of table) {
    await assert.rejects(
      editUsersFile(path, (file) => file.with('alice', hash)),
      (error) => error instanceof UsageError && remedy.test(error.message) && error.message.includes(path),
    );
  }
});

test('groups stand behind the hash, and an edit keeps them', () => {
  const file = UsersFile.parse(
    `alice:${hash}:lab, Teachers,lab,\nbobby:${hash}\ncarol:${hash}:a\u0000b\n  dave:${hash}:\n`,
  );
  assert.deepEqual(file.users.get('alice')?.groups, ['lab', 'Teachers']);
  assert.deepEqual(file.users.get('bobby')?.groups, []);
  assert.deepEqual(file.users.get('dave')?.groups, []);
  assert.equal(file.users.get('alice')?.hashText, hash);
  assert.deepEqual(file.problems, [
    { line: 3, login: 'carol', problem: 'the name of a group has a character in it that nobody sees' },
  ]);
  const edited = file.with('alice', other).with('bobby', hash, ['students']);
  assert.match(edited.toString(), /^alice:\S+:lab,Teachers\nbobby:\S+:students\n/);
  assert.equal(edited.users.get('alice')?.hashText, other);
  assert.deepEqual(edited.with('alice', other, []).users.get('alice')?.groups, []);
});

test('mosquitto itself reads a file with groups', async (t) => {
  const mosquitto = await startMosquitto(['alice'], ['topic readwrite #']);
  t.after(() => mosquitto.stop());
  const path = join(mosquitto.folder, 'passwd');
  const [line = ''] = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, `${line}:lab,teachers\n${line.replace('alice', 'bob')}\n`);
  mosquitto.reload();
  const login = async (as: string) => (await RawClient.attempt(mosquitto, { as, password: passwordOf('alice') })).code;
  await eventually(20_000, 'the new file to be read', async () => (await login('bob')) === 0);
  assert.equal(await login('alice'), 0);
});
