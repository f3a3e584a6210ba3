import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { openLdapBackend } from '../../src/credentials/ldap-backend.js';
import { dnParts, LdapGroups } from '../../src/credentials/ldap-groups.js';
import { entryOf } from '../../src/credentials/ldap-messages.js';
import { UsageError } from '../../src/errors.js';
import { captureLog } from '../support/captured-log.js';
import { ldapConfig, openLdap } from '../support/ldap-under-test.js';
import { type Slapd, startSlapd, userLdif } from '../support/slapd.js';

const groupsBase = 'ou=Groups,dc=senslab,dc=info';
const dnOf = (login: string) => `uid=${login},ou=People,dc=senslab,dc=info`;
const hard = 'uid=o\\2c \\28rion\\29,ou=People,dc=senslab,dc=info';

const ldif = [
  `dn: ${groupsBase}\nobjectClass: organizationalUnit\nou: Groups`,
  'dn: ou=Clubs,dc=senslab,dc=info\nobjectClass: organizationalUnit\nou: Clubs',
  `dn: cn=Teachers,${groupsBase}\nobjectClass: groupOfNames\ncn: Teachers\nmember: ${dnOf('carol')}\nmember: ${hard}`,
  `dn: cn=students\\2c 2026,${groupsBase}\nobjectClass: groupOfNames\ncn: students, 2026\ncn: students 2026\nmember: ${dnOf('alice')}`,
  `dn: cn=Teachers,ou=Clubs,dc=senslab,dc=info\nobjectClass: groupOfNames\ncn: Teachers\nmember: ${dnOf('alice')}`,
  `dn: cn=lab,${groupsBase}\nobjectClass: posixGroup\ncn: lab\ngidNumber: 7\nmemberUid: alice\nmemberUid: carol`,
  userLdif('o, (rion)', 'secret', '', 'uid=o\\2c \\28rion\\29'),
].join('\n\n');

describe("groups of the directory, on a real slapd with OpenLDAP's memberof", () => {
  let slapd: Slapd;
  before(async () => {
    const users = new Map([
      ['alice', 'secret'],
      ['carol', 'secret'],
      ['none1', 'secret'],
    ]);
    slapd = await startSlapd({ users, ldif: '', modules: ['memberof'], database: 'overlay memberof' });
    // Added later: the overlay does nothing while slapadd runs.
    await slapd.add(`${ldif}\n`);
  });
  after(() => slapd?.remove());

  const groupsOf = async (t: Parameters<typeof openLdap>[0], login: string, config: Parameters<typeof openLdap>[2]) => {
    const { verify, backend } = await openLdap(t, slapd, config);
    const verdict = await verify(login, 'secret');
    assert.ok(verdict.accepted, JSON.stringify(verdict));
    const again = await backend.groupsOf!(verdict.login, AbortSignal.timeout(5_000));
    assert.deepEqual([...again].sort(), [...(verdict.groups ?? [])].sort());
    return [...again].sort();
  };

  test('by an attribute of the entry, of which only what is below groupsBase counts', async (t) => {
    const config = { groupsAttribute: 'memberOf', groupsBase };
    assert.deepEqual(await groupsOf(t, 'carol', config), ['Teachers']);
    assert.deepEqual(await groupsOf(t, 'none1', config), []);
    // The club that calls itself Teachers is another one; and a name with a comma none that a rule can have.
    assert.deepEqual(await groupsOf(t, 'alice', config), []);
    assert.deepEqual(await groupsOf(t, 'alice', { groupsAttribute: 'memberOf' }), ['Teachers']);
    assert.deepEqual(await groupsOf(t, 'carol', { ...config, groupsBase: 'OU=groups, DC=Senslab,dc=info' }), [
      'Teachers',
    ]);
  });

  test('by a search, with the login or the DN', async (t) => {
    const byLogin = { groupsBase, groupsFilter: '(&(objectClass=posixGroup)(memberUid=%u))' };
    assert.deepEqual(await groupsOf(t, 'alice', byLogin), ['lab']);
    assert.deepEqual(await groupsOf(t, 'none1', byLogin), []);
    const byDn = { groupsBase, groupsFilter: '(member=%d)' };
    assert.deepEqual(await groupsOf(t, 'carol', byDn), ['Teachers']);
    assert.deepEqual(await groupsOf(t, 'alice', byDn), ['students 2026']);
    assert.deepEqual(await groupsOf(t, 'o, (rion)', byDn), ['Teachers']);
    assert.deepEqual(await groupsOf(t, 'carol', { ...byLogin, groupsNameAttribute: 'gidNumber' }), ['7']);
    const both = { groupsBase, groupsAttribute: 'memberOf', groupsFilter: '(memberUid=%u)' };
    assert.deepEqual(await groupsOf(t, 'carol', both), ['Teachers', 'lab']);
    assert.deepEqual(await groupsOf(t, 'alice@example.org', byLogin), ['lab']);
    assert.deepEqual(await groupsOf(t, 'alice', { ...byLogin, searchBase: '', bindDn: slapd.bindDn }), ['lab']);
  });

  test('groups that cannot be searched are an outage, never no groups', async (t) => {
    const { verify } = await openLdap(t, slapd, {
      groupsBase: 'ou=Nowhere,dc=senslab,dc=info',
      groupsFilter: '(member=%d)',
    });
    await assert.rejects(verify('carol', 'secret'), /search for groups below ou=Nowhere/);
    assert.deepEqual(await verify('carol', 'wrong'), { accepted: false, reason: 'wrong-password' });
  });

  test('a group that is left or joined is noticed without a login', async (t) => {
    const { backend } = await openLdap(t, slapd, { groupsBase, groupsFilter: '(memberUid=%u)' });
    const groups = () => backend.groupsOf!('none1', AbortSignal.timeout(5_000));
    const change = (how: string) =>
      slapd.modify(`dn: cn=lab,${groupsBase}\nchangetype: modify\n${how}: memberUid\nmemberUid: none1\n`);
    await change('add');
    assert.deepEqual(await groups(), ['lab']);
    await change('delete');
    assert.deepEqual(await groups(), []);
  });

  test('a filter that is none is told at the start', async () => {
    const config = ldapConfig(slapd, { groupsBase, groupsFilter: 'memberUid=%u' });
    await assert.rejects(
      openLdapBackend({ config, log: captureLog().log, clock: systemClock, env: { SECRET: 'x' } }),
      (error: Error) => error instanceof UsageError && error.message.startsWith('credentials.ldap.groupsFilter:'),
    );
  });
});

test('a DN is taken apart as the standard has it', () => {
  assert.deepEqual(dnParts('cn=a\\, b,ou=x'), ['cn=a\\, b', 'ou=x']);
  assert.deepEqual(dnParts('cn="a, b" , ou=x'), ['cn="a, b"', 'ou=x']);
  assert.deepEqual(dnParts('cn=a\\\\,ou=x'), ['cn=a\\\\', 'ou=x']);
  assert.deepEqual(dnParts(''), []);
});

test('what names a group, and what does not', () => {
  const named = (groupsBase: string, ...values: string[]) => {
    const groups = new LdapGroups({ groupsAttribute: 'memberOf', groupsBase, groupsNameAttribute: 'cn' }, null);
    return groups.ofEntry(entryOf('uid=a', [{ type: 'memberof', values }]));
  };
  assert.deepEqual(named('', 'lab', 'cn=Zo\\C3\\AB,dc=x', 'cn=\\"a\\",dc=x', 'cn="b c",dc=x'), [
    'lab',
    'Zoë',
    '"a"',
    'b c',
  ]);
  // Two values, none; a name that no rule could have.
  assert.deepEqual(named('', 'cn=a+ou=b,dc=x', 'cn=,dc=x', 'cn=a\\2cb,dc=x', 'cn=a:b,dc=x'), []);
  assert.deepEqual(named('dc=x', 'lab', 'cn=a,dc=x', 'cn=b,ou=c,DC=X', 'dc=x', 'cn=a,dc=y,dc=x\\,dc=x'), ['a', 'b']);
  assert.deepEqual(named('ou=g,dc=x', 'cn=a,ou=g\\,dc=x', 'cn=a,ou=h,dc=x', 'cn=a,dc=x'), []);
});
