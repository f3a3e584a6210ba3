import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { openLdapBackend } from '../../src/credentials/ldap-backend.js';
import { Fault, UsageError } from '../../src/errors.js';
import { captureLog } from '../support/captured-log.js';
import { ldapConfig, openLdap, slapdFor } from '../support/ldap-under-test.js';
import { type Slapd, serviceDn, servicePassword, startSlapd, userLdif } from '../support/slapd.js';

const day = 24 * 60 * 60 * 1000;
const today = Math.floor(Date.now() / day);
const soon = () => AbortSignal.timeout(10_000);

const zoeDn = 'cn=Zoë Dupont\\2c \\22Jr\\22\\5c+sn=zoe1,ou=People,dc=senslab,dc=info';

const special = [
  userLdif('twin', 'one', '', 'cn=twin one'),
  userLdif('twin', 'two', '', 'cn=twin two'),
  userLdif('zoe1', 'secret', 'cn: Zoë Dupont, "Jr"\\').replace(
    /^dn: .*/,
    `dn:: ${Buffer.from(zoeDn).toString('base64')}`,
  ),
  userLdif('many', 'secret', 'uid: alias'),
  userLdif('nameless', 'secret', 'uid: other', 'cn=nameless'),
  userLdif('expired', 'secret').replace('shadowExpire: -1', `shadowExpire: ${today}`),
  userLdif('expires', 'secret').replace('shadowExpire: -1', `shadowExpire: ${today + 2}`),
  userLdif('member', 'secret', 'employeeType: lab (a*)'),
  userLdif('nopassword', 'x').replace(/^userPassword.*\n?/m, ''),
  'dn: ou=Elsewhere,dc=senslab,dc=info\nobjectClass: referral\nobjectClass: extensibleObject\nou: Elsewhere\nref: ldap://127.0.0.1:9/ou=Elsewhere,dc=senslab,dc=info',
].join('\n\n');

describe('the LDAP backend, on a real slapd', () => {
  let slapd: Slapd;
  before(async () => {
    const users = new Map([
      ['alice', 'secret'],
      ['bob1', 'builder'],
      ['carol', 'secret'],
    ]);
    slapd = await startSlapd({ users, ldif: special, anonymousRead: true });
  });
  after(() => slapd?.remove());

  test('a mail address is accepted and mapped to the login', async (t) => {
    const { verify, backend } = await openLdap(t, slapd);
    assert.equal(backend.acceptsLogin?.('alice@example.org'), true);
    for (const mail of ['alice@example.org', 'ALICE@Example.org']) {
      const verdict = await verify(mail, 'secret');
      assert.ok(verdict.accepted);
      assert.equal(verdict.login, 'alice');
      assert.equal(await backend.revalidate('alice', verdict.proof, soon()), true);
    }
    assert.deepEqual(await verify('alice@example.org', 'builder'), { accepted: false, reason: 'wrong-password' });
    assert.deepEqual(await verify('*@example.org', 'secret'), { accepted: false, reason: 'unknown-user' });
    assert.deepEqual(await verify('twin@example.org', 'one'), { accepted: false, reason: 'ambiguous' });
  });

  test('without mailAttribute, and with direct bind, a mail address is nobody', async (t) => {
    for (const overrides of [{ mailAttribute: '' }, { searchBase: '' }]) {
      const { verify, backend } = await openLdap(t, slapd, overrides);
      assert.equal(backend.acceptsLogin?.('alice@example.org'), false);
      assert.deepEqual(await verify('alice@example.org', 'secret'), { accepted: false, reason: 'unknown-user' });
    }
  });

  test("one's own mail attribute can't take over somebody else's login", async (t) => {
    await slapd.replace('carol', 'mail', 'bob1');
    const { verify } = await openLdap(t, slapd);
    assert.deepEqual(await verify('bob1', 'secret'), { accepted: false, reason: 'wrong-password' });
    const verdict = await verify('bob1', 'builder');
    assert.ok(verdict.accepted && verdict.login === 'bob1');
  });

  test('two entries of one login are a refusal, with either password', async (t) => {
    const { verify } = await openLdap(t, slapd);
    for (const password of ['one', 'two', 'three']) {
      assert.deepEqual(await verify('twin', password), { accepted: false, reason: 'ambiguous' });
    }
  });

  test('binds as entries whose DN needs escaping', async (t) => {
    const { verify, backend } = await openLdap(t, slapd);
    const verdict = await verify('zoe1', 'secret');
    assert.ok(verdict.accepted && verdict.login === 'zoe1');
    const dn = Buffer.from(zoeDn).toString('base64');
    await slapd.modify(`dn:: ${dn}\nchangetype: modify\nreplace: description\ndescription: changed\n`);
    assert.equal(await backend.revalidate('zoe1', verdict.proof, soon()), true);
  });

  test('of several values the one that names the entry is the login; without one it is ambiguous', async (t) => {
    const { verify } = await openLdap(t, slapd);
    for (const login of ['many', 'alias']) {
      const verdict = await verify(login, 'secret');
      assert.deepEqual({ ...verdict, proof: null }, { accepted: true, login: 'many', proof: null });
    }
    assert.deepEqual(await verify('nameless', 'secret'), { accepted: false, reason: 'ambiguous' });
  });

  test('an account that has expired is disabled though its bind would succeed', async (t) => {
    for (const overrides of [{}, { searchBase: '' }, { searchBase: '', serviceDn: '' }]) {
      const { verify } = await openLdap(t, slapd, overrides);
      assert.deepEqual(await verify('expired', 'secret'), { accepted: false, reason: 'disabled' });
      assert.equal((await verify('expires', 'secret')).accepted, true);
    }
  });

  test('an account without a password is refused, not an outage', async (t) => {
    const { verify } = await openLdap(t, slapd);
    assert.deepEqual(await verify('nopassword', 'x'), { accepted: false, reason: 'wrong-password' });
  });

  test('the group filter lets in its members only, whichever way of binding', async (t) => {
    const groupFilter = '(employeeType=lab \\28a\\2a\\29)';
    for (const overrides of [{}, { searchBase: '' }, { searchBase: '', serviceDn: '' }]) {
      const { verify } = await openLdap(t, slapd, { groupFilter, ...overrides });
      assert.equal((await verify('member', 'secret')).accepted, true);
      assert.deepEqual(await verify('alice', 'secret'), { accepted: false, reason: 'unknown-user' });
    }
  });

  test('who leaves the group is not entitled any more', async (t) => {
    const { verify, backend } = await openLdap(t, slapd, { groupFilter: '(employeeType=lab*)' });
    const verdict = await verify('member', 'secret');
    assert.ok(verdict.accepted);
    await slapd.replace('member', 'employeeType', 'gone');
    assert.equal(await backend.revalidate('member', verdict.proof, soon()), false);
    await slapd.replace('member', 'employeeType', 'lab (a*)');
  });

  test('who was refused without a bind hears it as much later as a bind took', async (t) => {
    const { backend } = await openLdap(t, slapd);
    const delayOf = async (login: string) => {
      const verdict = await backend.verify(login, 'wrong', soon());
      return verdict.accepted ? assert.fail(login) : verdict.delayMs;
    };
    for (let bind = 0; bind < 5; bind += 1) assert.equal(await delayOf('alice'), undefined);
    for (const login of ['nobody', 'nobody@example.org', 'expired', 'twin', 'nameless']) {
      const delayMs = await delayOf(login);
      assert.ok(delayMs !== undefined && delayMs > 0, login);
    }
  });

  test('references in the answer are passed over, and never followed', async (t) => {
    const { verify, log } = await openLdap(t, slapd);
    assert.equal((await verify('alice', 'secret')).accepted, true);
    assert.deepEqual(await verify('nobody', 'secret'), { accepted: false, reason: 'unknown-user' });
    assert.doesNotMatch(log.text(), /127\.0\.0\.1:9\b/);
    const direct = await openLdap(t, slapd, {
      searchBase: '',
      serviceDn: '',
      bindDn: 'uid=%u,ou=Elsewhere,dc=senslab,dc=info',
    });
    await assert.rejects(direct.verify('alice', 'secret'), { code: 'E_LDAP_REFERRAL' });
  });

  test('an unchanged entry is revalidated without a bind, a changed one with one bind, and stays', async (t) => {
    const { verify, backend } = await openLdap(t, slapd);
    const verdict = await verify('alice', 'secret');
    assert.ok(verdict.accepted);
    const dn = `uid=alice,${slapd.people}`;
    await slapd.logged();
    const before = slapd.binds(dn);
    assert.equal(await backend.revalidate('alice', verdict.proof, soon()), true);
    await slapd.logged();
    assert.equal(slapd.binds(dn), before);
    await slapd.replace('alice', 'telephoneNumber', '1');
    assert.equal(await backend.revalidate('alice', verdict.proof, soon()), true);
    assert.equal(await backend.revalidate('alice', verdict.proof, soon()), true);
    await slapd.logged();
    assert.equal(slapd.binds(dn), before + 1);
  });

  test('sessions of one login and password share one proof', async (t) => {
    const { verify } = await openLdap(t, slapd);
    const [one, two] = [await verify('alice', 'secret'), await verify('alice@example.org', 'secret')];
    assert.ok(one.accepted && two.accepted);
    assert.equal(one.proof, two.proof);
  });

  test('searches and user binds never share a connection', async (t) => {
    const { verify } = await openLdap(t, slapd);
    const first = slapd.lines.length;
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([verify('alice', 'secret'), verify('bob1', 'builder'), verify('alice', 'wrong')]);
    }
    await slapd.logged();
    const binds = new Map<string, Set<string>>();
    const searchers = new Set<string>();
    for (const line of slapd.lines.slice(first)) {
      const [, connection, dn] = /(conn=\d+).* BIND dn="([^"]+)" method/.exec(line) ?? [];
      if (connection !== undefined) binds.set(connection, (binds.get(connection) ?? new Set()).add(dn!));
      const [, searching] = /(conn=\d+).* SRCH base="(?!cn=mark-)/.exec(line) ?? [];
      if (searching !== undefined) searchers.add(searching);
    }
    for (const [connection, dns] of binds) {
      if (searchers.has(connection)) assert.deepEqual([...dns], [serviceDn]);
      else assert.ok(!dns.has(serviceDn));
    }
    assert.ok(searchers.size > 0 && searchers.size < binds.size);
  });

  test('no password and no hash in any log line', async (t) => {
    const { verify, backend, log } = await openLdap(t, slapd, { urls: ['ldap://127.0.0.1:9', slapd.url] });
    const verdict = await verify('bob1', 'builder');
    assert.ok(verdict.accepted);
    log.log.info({ verdict, backend }, 'all of it');
    await verify('bob1', 'not the builder');
    assert.ok(log.lines().length >= 2);
    assert.doesNotMatch(log.text(), /builder|service "?\\?"?secret|SSHA/);
  });

  test('a new service password is taken from its file without a restart', async (t) => {
    const file = join(slapd.folder, 'service-password');
    await writeFile(file, `${servicePassword}\n`);
    const { verify } = await openLdap(t, slapd, { servicePasswordEnv: '', servicePasswordFile: file });
    assert.equal((await verify('alice', 'secret')).accepted, true);
    const broken = await openLdap(t, slapd, { servicePasswordEnv: '', servicePasswordFile: file });
    await writeFile(file, 'wrong\n');
    await assert.rejects(broken.verify('alice', 'secret'), { code: 'E_LDAP_SERVICE_BIND' });
    await writeFile(file, `${servicePassword}\nanother line\n`);
    assert.equal((await broken.verify('alice', 'secret')).accepted, true);
  });

  test('a search base that is not there is an outage', async (t) => {
    const { verify } = await openLdap(t, slapd, { searchBase: 'ou=Nowhere,dc=senslab,dc=info' });
    await assert.rejects(verify('alice', 'secret'), { code: 'E_LDAP_SEARCH' });
  });

  test('what the operator has to mend is told at the start, by key', async () => {
    const open = (overrides: Parameters<typeof ldapConfig>[1], env: NodeJS.ProcessEnv = { SECRET: 'x' }) =>
      openLdapBackend({ config: ldapConfig(slapd, overrides), log: captureLog().log, clock: systemClock, env });
    const wrong: [Parameters<typeof ldapConfig>[1], RegExp, NodeJS.ProcessEnv?][] = [
      [{ urls: [] }, /^credentials\.ldap\.urls: /],
      [{ urls: [slapd.tlsUrl], startTls: true }, /^credentials\.ldap\.startTls: /],
      [{ ca: '/nowhere/ca.pem' }, /^credentials\.ldap\.ca: \/nowhere\/ca\.pem cannot be read/],
      [{ ca: join(slapd.folder, 'slapd.conf') }, /^credentials\.ldap\.ca: .* holds no certificate/],
      [{ searchFilter: '(uid=%u' }, /^credentials\.ldap\.searchFilter: /],
      [{ groupFilter: 'memberOf=x' }, /^credentials\.ldap\.groupFilter: /],
      [{ servicePasswordEnv: '' }, /^credentials\.ldap\.servicePasswordFile or .*: is missing/],
      [
        { servicePasswordEnv: '', servicePasswordFile: '/nowhere' },
        /^credentials\.ldap\.servicePasswordFile: \/nowhere/,
      ],
      [{}, /^credentials\.ldap\.servicePasswordEnv: the environment variable SECRET is not set/, {}],
      [{ serviceDn: '', servicePasswordEnv: 'SECRET' }, /^credentials\.ldap\.serviceDn: is missing/],
    ];
    for (const [overrides, message, env] of wrong) {
      await assert.rejects(open(overrides, env), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        return true;
      });
    }
  });
});

test('passwords in clear text over a network are warned about, on this machine not', async (t) => {
  const slapd = await slapdFor(t, { users: new Map() });
  const { log } = await openLdap(t, slapd, { urls: ['ldap://ldap.example.org', slapd.url] });
  assert.deepEqual(
    log.lines().map(({ server, level }) => [server, level]),
    [['ldap://ldap.example.org', 40]],
  );
});

test('direct bind without a look at the entries says so once, and lets nobody in under a second spelling', async (t) => {
  const slapd = await slapdFor(t, { users: new Map([['alice', 'secret']]), database: 'requires bind' });
  const { verify, log, backend } = await openLdap(t, slapd, { searchBase: '', serviceDn: '' });
  const verdict = await verify('alice', 'secret');
  assert.ok(verdict.accepted && verdict.login === 'alice');
  for (const login of ['ALICE', 'ａlice', ' alice']) {
    assert.deepEqual(await verify(login, 'secret'), { accepted: false, reason: 'invalid-login' });
  }
  assert.equal(log.lines().filter(({ msg }) => /does not show entries/.test(String(msg))).length, 1);
  assert.equal(await backend.revalidate('alice', verdict.proof, soon()), true);
  await slapd.setPassword('alice', 'new');
  assert.equal(await backend.revalidate('alice', verdict.proof, soon()), false);
  await assert.rejects(backend.revalidate('alice', 'no proof', soon()), Fault);
});
