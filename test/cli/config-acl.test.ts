import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { parseConfig } from '../../src/config/load.js';
import { hashPassword } from '../../src/credentials/password-hash.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

async function invoke(...args: string[]) {
  const io = captureIo();
  const code = await runCli(args, io);
  return { code, out: io.out(), err: io.err() };
}

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  await writeFile(file, text);
  return file;
}

test('config check: fine, or the list of problems and exit code 2', async (t) => {
  const good = await fileWith(t, 'listener: { port: 1 }');
  assert.deepEqual(await invoke('config', 'check', '--config', good), {
    code: 0,
    out: `${good}: fine (the files it names are not opened)\n`,
    err: '',
  });
  const bad = await fileWith(t, 'listener: { prot: 1 }\nlog: { level: x }');
  const { code, out, err } = await invoke('config', 'check', '--config', bad);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /^iotlab-broker: \S+broker\.yaml:1: listener\.prot: .*\n\S+broker\.yaml:2: log\.level: .*\n$/);
});

test('config show prints the whole configuration, readable as a configuration', async (t) => {
  const file = await fileWith(t, 'limits: { connections: 5 }');
  const { code, out } = await invoke('config', 'show', '--config', file);
  assert.equal(code, 0);
  const expected = defaultConfig({ limits: { connections: 5 } }, dirname(file));
  assert.deepEqual(parseConfig(out, '/anywhere.yaml'), expected);
  const json = await invoke('config', 'show', '--json', '--config', file);
  assert.deepEqual(JSON.parse(json.out), expected);
});

test('config without an action, or with another one, is usage', async () => {
  assert.equal(
    (await invoke('config')).err,
    'iotlab-broker: config: one of check, show, reload, reference is missing; see: iotlab-broker config --help\n',
  );
  assert.equal((await invoke('config', 'edit')).code, 2);
  assert.equal((await invoke('config', 'check', 'more')).code, 2);
});

test('acl explain: the decision, the rule, and a hint; exit code 0 either way', async () => {
  const explain = async (...args: string[]) => {
    const { code, out, err } = await invoke('acl', 'explain', ...args);
    assert.deepEqual([code, err], [0, '']);
    return out;
  };
  assert.equal(
    await explain('alice', 'read', 'iotlab/alice/#'),
    'allow  alice read iotlab/alice/#  (rule: readwrite iotlab/%u/#)\n  acl[0] readwrite iotlab/%u/#: is for everybody\n',
  );
  assert.equal(
    await explain('alice', 'write', 'iotlab/bob/x'),
    'deny  alice write iotlab/bob/x  (no rule grants it)\n',
  );
  assert.match(
    await explain('alice', 'read', 'iotlab/<alice>/test'),
    /^deny .*\nhint: "<alice>" is meant to be replaced/,
  );
  assert.match(await explain('alice', 'write', 'iotlab/alice/#'), /^deny .*not a valid topic to publish to/);
  assert.match(await explain('alice', 'read', 'iotlab/#/alice'), /^deny .*not a valid topic filter/);
  assert.match(await explain('Bob', 'read', 'iotlab/Bob'), /note: "Bob" cannot log in/);
});

test('acl explain: who may read and not publish is told so, and of whom nobody knows it is said; as JSON too', async (t) => {
  const folder = await tempFolder(t);
  const config = join(folder, 'broker.yaml');
  await writeFile(config, 'credentials: { file: { path: users } }\nacl: [{ access: read, topic: localisation/# }]');
  await writeFile(join(folder, 'users'), '', { mode: 0o600 });
  const { out } = await invoke('acl', 'explain', 'nosuchuser', 'write', 'localisation/1', '--config', config);
  assert.match(out, /^hint: you may read localisation\/1, not publish there$/m);
  assert.match(out, /^note: there is no nosuchuser, as the file backend says: nobody could log in with it$/m);
  const asked = await invoke('acl', 'explain', 'nosuchuser', 'read', 'localisation/1', '--json', '--config', config);
  const { allowed, rule, notes } = JSON.parse(asked.out);
  assert.deepEqual([allowed, rule, notes.length], [true, 'read localisation/#', 1]);
});

test('acl explain with rules of a file, and wrong usage', async (t) => {
  const file = await fileWith(t, 'acl: [{ access: read, topic: localisation/# }]');
  const { out } = await invoke('acl', 'explain', 'alice', 'read', 'localisation/saclay/+', '--config', file);
  assert.match(out, /^allow .*\(rule: read localisation\/#\)/);
  const odd = await invoke('acl', 'explain', 'alice', 'publish', 'x');
  assert.equal(odd.code, 2);
  assert.match(
    odd.err,
    /"publish" is not one of read, write; usage: iotlab-broker acl explain LOGIN read\|write TOPIC/,
  );
  assert.match((await invoke('acl', 'explain', 'alice')).err, /read\|write is missing; usage/);
});

test('acl explain: whom a rule names, by which group, and why the others do not grant it', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  const hash = await hashPassword('secret');
  await writeFile(join(folder, 'users'), `carol:${hash}:teachers\nerik:${hash}\n`);
  await writeFile(
    file,
    [
      'credentials: { file: { path: users } }',
      'groups: [{ name: Assistants, users: [david] }]',
      'acl:',
      '  - { access: readwrite, topic: "iotlab/%u/#" }',
      '  - { access: read, topic: "localisation/#" }',
      '  - { access: write, topic: "localisation/#", users: [robot] }',
      '  - { access: read, topic: "iotlab/+/#", groups: [teachers, assistants] }',
    ].join('\n'),
  );
  const explain = async (...args: string[]) =>
    (await invoke('acl', 'explain', ...args, '--config', file)).out.split('\n');
  const reading = 'read iotlab/+/# (groups: teachers, assistants)';
  assert.deepEqual(await explain('carol', 'read', 'iotlab/+/#'), [
    `allow  carol read iotlab/+/#  (rule: ${reading})`,
    `  acl[3] ${reading}: is for teachers, and carol is in it (as the file backend says)`,
    '',
  ]);
  assert.match((await explain('david', 'read', 'iotlab/#'))[0]!, /^deny/);
  assert.match((await explain('david', 'read', 'iotlab/bob/#'))[1]!, /is for assistants, .* \(as groups says\)/);
  assert.match((await explain('robot', 'write', 'localisation/a'))[1]!, /acl\[2\] .*: names robot$/);
  assert.deepEqual((await explain('erik', 'write', 'localisation/a')).slice(1, 3), [
    '  acl[1] read localisation/#: does not grant writing',
    '  acl[2] write localisation/# (users: robot): is for others: erik is in no group',
  ]);
  assert.match((await explain('erik', 'read', 'iotlab/+/#', '--group', 'TEACHERS')).join(), /allow .*as supposed/);
  await rm(join(folder, 'users'));
  assert.match(
    (await explain('carol', 'read', 'iotlab/+/#')).join(),
    /deny .*note: what else carol belongs to is not known/,
  );
});

test('a password in a URL is not printed, wherever the URL was written', async (t) => {
  const urls = [
    'ldap://cn=admin:hunter2@ldap.example.org',
    'https://alice:hunter2@api.example.org/api',
    // Nobody encodes these.
    'https://alice:hun@ter2/hunter2@api.example.org',
    'ldap://alice:hunter2 hunter2@host',
    'ldap://alice:hunter2"hunter2@host',
    `ldap://alice:${'x'.repeat(100)}hunter2@host`,
  ];
  const places = (url: string): string[] => [
    JSON.stringify({ credentials: { ldap: { urls: [url] } } }),
    JSON.stringify({ credentials: { backend: 'api', api: { url } } }),
    JSON.stringify({ credentials: { backend: url } }),
    JSON.stringify({ credentials: { ldap: url } }),
    JSON.stringify({ listener: { host: url } }),
    JSON.stringify({ limits: { connections: { url } } }),
  ];
  for (const url of urls) {
    for (const text of [
      ...places(url),
      ...(/["\s]/.test(url) ? [] : [`{ ${JSON.stringify(url)}: 1 }`, `log: *${url}\n`]),
    ]) {
      const file = await fileWith(t, text);
      for (const action of [['check'], ['show'], ['show', '--json']]) {
        const { out, err } = await invoke('config', ...action, '--config', file);
        assert.doesNotMatch(out + err, /hunter2|hun@/, text);
      }
    }
  }
  const wrong = await invoke('config', 'check', '--config', await fileWith(t, places(urls[0]!)[0]!));
  assert.match(wrong.err, /"ldap:\/\/\[hidden\]@ldap\.example\.org" has a user name or password in it/);
});
