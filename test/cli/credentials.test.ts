import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { command } from '../../src/cli/credentials.js';
import { hashPassword } from '../../src/credentials/password-hash.js';
import { UsageError } from '../../src/errors.js';
import { startApi } from '../support/api-server.js';
import { captureIo } from '../support/command-io.js';
import { type Slapd, serviceDn, servicePassword, startSlapd, userLdif } from '../support/slapd.js';
import { tempFolder } from '../support/temp-folder.js';

/** Runs `credentials check` with these credentials in the configuration. */
async function check(t: TestContext, credentials: object, login?: string, password?: string) {
  const folder = await tempFolder(t);
  const file = join(folder, 'broker.yaml');
  await writeFile(file, JSON.stringify({ credentials }));
  const io = captureIo({ SECRET: servicePassword }, password);
  const args = ['check', ...(login === undefined ? [] : [login, '--password-stdin']), '--config', file];
  const code = await command.run(args, io);
  const [from, ...lines] = io.out().trimEnd().split('\n');
  assert.equal(from, `note  configuration: ${file}`);
  assert.doesNotMatch(io.out(), /secret/);
  return { code, lines, last: lines.at(-1)! };
}

describe('credentials check, with a directory', () => {
  let slapd: Slapd;
  before(async () => {
    const disabled = userLdif('dave', 'secret').replace('shadowExpire: -1', 'shadowExpire: 0');
    const twins = [userLdif('twin', 'one', '', 'cn=1'), userLdif('twin', 'two', '', 'cn=2')];
    slapd = await startSlapd({ users: new Map([['alice', 'secret']]), ldif: [disabled, ...twins].join('\n\n') });
  });
  after(() => slapd?.remove());

  const ldap = (overrides: object = {}) => ({
    backend: 'ldap',
    ldap: {
      ...{ urls: [slapd.tlsUrl], ca: slapd.ca, searchBase: slapd.people },
      ...{ serviceDn, servicePasswordEnv: 'SECRET', ...overrides },
    },
  });

  test('says each step that works', async (t) => {
    const { code, lines } = await check(t, ldap(), 'alice@example.org', 'secret');
    const dn = `uid=alice,${slapd.people}`;
    assert.deepEqual(lines, [
      'ok    credentials.backend is "ldap"',
      'ok    the LDAP section of the configuration can work',
      `ok    ${slapd.tlsUrl}: connected, TLS with a trusted certificate`,
      `ok    ${slapd.tlsUrl}: service account ${serviceDn} accepted`,
      `ok    ${slapd.tlsUrl}: ${slapd.people} is there`,
      'ok    alice@example.org: is the mail address of alice',
      `ok    alice: found as ${dn}`,
      `ok    ${dn}: not disabled`,
      `ok    ${dn}: the password is right`,
      'ok    alice@example.org: accepted as alice, with the tree iotlab/alice',
    ]);
    assert.equal(code, 0);
    assert.equal((await check(t, ldap())).code, 0);
  });

  test('says the step that does not, and what to look at', async (t) => {
    const cases: [object, string, RegExp][] = [
      [{}, 'alice', /FAIL {2}uid=alice,.*: the password is wrong/],
      [{}, 'nobody', /FAIL {2}nobody: no entry below ou=People/],
      [{}, 'dave', /FAIL {2}uid=dave,.*: is disabled/],
      [{}, 'twin', /FAIL {2}twin: 2 entries or more: cn=1,.*; cn=2,/],
      [{}, 'Alice', /FAIL {2}Alice: does not match credentials\.loginPattern/],
      [{ groupFilter: '(employeeType=lab)' }, 'alice', /FAIL {2}alice: does not match credentials\.ldap\.groupFilter/],
      [{ searchBase: 'ou=Nowhere,dc=senslab,dc=info' }, 'alice', /FAIL .*searchBase ou=Nowhere,.*No Such Object/],
      [
        { serviceDn: 'cn=stranger,dc=senslab,dc=info' },
        'alice',
        /FAIL .*rejects cn=stranger.*Are credentials\.ldap\.serviceDn/,
      ],
      [{ ca: '' }, 'alice', /FAIL .*E_LDAP_TLS\)\. Is credentials\.ldap\.ca/],
      [{ urls: ['ldap://127.0.0.1:9'] }, 'alice', /FAIL .*E_LDAP_UNREACHABLE\)\. Is it running/],
      [{ urls: ['ldap://127.0.0.1:9', 'ldap://127.0.0.1:9'] }, 'alice', /FAIL .*UNREACHABLE/],
      [{ serviceDn: '', servicePasswordEnv: '' }, 'alice', /note .*no service account/],
      [{ searchBase: '', serviceDn: '', servicePasswordEnv: '' }, 'alice', /note .*does not show the entry/],
    ];
    for (const [overrides, login, expected] of cases) {
      const { code, lines } = await check(t, ldap(overrides), login, 'wrong');
      assert.equal(code, 1, lines.join('\n'));
      assert.match(lines.join('\n'), expected);
    }
    await assert.rejects(check(t, ldap({ ca: '/nowhere' })), {
      name: 'UsageError',
      message: 'credentials.ldap.ca: /nowhere cannot be read: there is no such file',
    });
  });
});

test('credentials check, with a users file', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  await writeFile(path, `alice:${await hashPassword('secret')}\n`);
  const credentials = { backend: 'file', file: { path } };
  assert.equal((await check(t, credentials)).code, 0);
  const right = await check(t, credentials, 'alice', 'secret');
  assert.deepEqual([right.code, right.last], [0, 'ok    alice: accepted as alice, with the tree iotlab/alice']);
  const wrong = await check(t, credentials, 'alice', 'wrong');
  assert.deepEqual([wrong.code, wrong.last], [1, 'FAIL  alice: refused (wrong-password)']);
});

test('credentials check, with the API', async (t) => {
  const api = await startApi(t);
  api.users.set('alice', { password: 'secret', mail: 'alice@example.org' });
  const folder = await tempFolder(t);
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, api.authority.cert);
  const credentials = { backend: 'api', api: { url: api.url, ca } };
  const plain = await check(t, { backend: 'api', api: { url: 'http://127.0.0.1:9/api' } });
  assert.ok(
    plain.lines.includes('note  http://127.0.0.1:9/api: passwords go there in clear text'),
    plain.lines.join('\n'),
  );
  const reached = await check(t, credentials);
  assert.deepEqual([reached.code, reached.last], [0, 'ok    it answers']);
  const right = await check(t, credentials, 'alice@example.org', 'secret');
  assert.deepEqual(
    [right.code, right.last],
    [0, 'ok    alice@example.org: accepted as alice, with the tree iotlab/alice'],
  );
  assert.equal((await check(t, credentials, 'alice', 'wrong')).code, 1);
  await api.stop();
  for (const login of [undefined, 'alice']) {
    const down = await check(t, credentials, login, 'secret');
    assert.equal(down.code, 1);
    assert.match(down.last, /^FAIL .*E_API_UNREACHABLE/);
  }
});

test('credentials: what the caller can mend', async () => {
  for (const args of [[], ['chek'], ['check', 'alice', 'bob1'], ['check', '--password-stdin'], ['check', '--passwd']]) {
    await assert.rejects(command.run(args, captureIo()), UsageError);
  }
  await assert.rejects(command.run(['check', 'alice'], captureIo()), /there is no terminal .* use --password-stdin$/);
});
