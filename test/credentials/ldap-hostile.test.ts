// Directories that answer what no directory should.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import { openLdapBackend } from '../../src/credentials/ldap-backend.js';
import { Fault } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from '../support/captured-log.js';
import { fakeServer, ldapResult, noticeOfDisconnection, readRequest, searchEntry } from '../support/fake-ldap.js';
import { leavingNoSocket, type Scope } from '../support/sockets.js';

const bindAnswer = 0x61;
const searchRequest = 0x63;
const searchDone = 0x65;

/** A backend on a directory that lets everybody in, and answers searches as told. No time passes. */
async function setup(t: Scope, overrides: object = {}) {
  const asked = { binds: 0, searches: 0 };
  const directory = {
    search: (id: number): Buffer => Buffer.concat([searchEntry(id, 'uid', 'alice'), ldapResult(id, searchDone, 0)]),
  };
  const { port } = await fakeServer(t, (socket) => {
    socket.on('data', (data) => {
      const { id, operation } = readRequest(data);
      asked[operation === searchRequest ? 'searches' : 'binds'] += 1;
      socket.write(operation === searchRequest ? directory.search(id) : ldapResult(id, bindAnswer, 0));
    });
  });
  const ldap = { urls: [`ldap://127.0.0.1:${port}`], searchBase: 'dc=x', ...overrides };
  const log = captureLog();
  const backend = await openLdapBackend({
    config: defaultConfig({ credentials: { ldap } }).credentials.ldap,
    log: log.log,
    clock: new ManualClock(),
    env: {},
  });
  t.after(() => backend.close());
  const signal = new AbortController().signal;
  const verify = async (login: string): Promise<string> => {
    const verdict = await backend.verify(login, 'secret', signal);
    return verdict.accepted ? `accepted ${verdict.login}` : verdict.reason;
  };
  return { directory, asked, log, backend, verify, signal };
}

/** As the server says `uid`, whoever was asked for. */
const always = (uid: string) => (id: number) =>
  Buffer.concat([searchEntry(id, 'uid', uid), ldapResult(id, searchDone, 0)]);

test(
  "an entry of somebody else is not believed, and nobody's password is tried on it",
  leavingNoSocket(async (t) => {
    const { directory, verify, log, asked } = await setup(t);
    assert.equal(await verify('alice'), 'accepted alice');
    // However a directory compares: case, width and spaces around do not count.
    for (const typed of ['ALICE', ' alice ', 'ａlice']) assert.equal(await verify(typed), 'accepted alice');
    const { binds } = asked;
    for (const uid of ['bob', 'alice2', 'alic', 'al ice', '*', '']) {
      directory.search = always(uid);
      assert.equal(await verify('alice'), 'ambiguous', uid);
    }
    assert.equal(asked.binds, binds);
    assert.match(log.text(), /the directory answered with the entry of another login/);
    // A client can have this line written at will.
    assert.equal(log.lines().filter(({ level }) => level === 40).length, 1);
  }),
);

test(
  'a mail address stands for the login that the directory says, and for that one only',
  leavingNoSocket(async (t) => {
    const { directory, verify, asked } = await setup(t);
    assert.equal(await verify('a.smith@example.org'), 'accepted alice');
    assert.equal(asked.searches, 2);
    let searches = 0;
    directory.search = (id) => always(searches++ === 0 ? 'alice' : 'bob')(id);
    assert.equal(await verify('a.smith@example.org'), 'ambiguous');
    // Where the filter finds mail addresses by itself there is nothing to compare with.
    const byFilter = await setup(t, { mailAttribute: '', searchFilter: '(|(uid=%u)(mail=%u))' });
    assert.equal(await byFilter.verify('a.smith@example.org'), 'accepted alice');
  }),
);

test(
  'no odd answer is a refusal: not of a login, and not of a session that is live',
  leavingNoSocket(async (t) => {
    const { directory, backend, signal, verify } = await setup(t);
    const verdict = await backend.verify('alice', 'secret', signal);
    assert.ok(verdict.accepted);
    const answers: [string, (id: number) => Buffer][] = [
      ['a BindResponse', (id) => ldapResult(id, bindAnswer, 0)],
      ['a BindResponse of "no such object"', (id) => ldapResult(id, bindAnswer, 32)],
      ['a ModifyResponse', (id) => ldapResult(id, 0x67, 0)],
      ['the end of another search', (id) => ldapResult(id + 1, searchDone, 0)],
      ['a goodbye', () => noticeOfDisconnection()],
      ['garbage', () => Buffer.from('HTTP/1.1 503 Service Unavailable\r\n\r\n')],
      ['an endless entry', (id) => searchEntry(id, 'uid', 'alice', 50_000)],
      ['three entries', (id) => Buffer.concat(Array<Buffer>(3).fill(searchEntry(id, 'uid', 'alice')))],
    ];
    for (const [what, answer] of answers) {
      directory.search = answer;
      await assert.rejects(verify('alice'), Fault, what);
      await assert.rejects(backend.revalidate('alice', verdict.proof, signal), Fault, what);
    }
    // Nor does an entry of somebody else end a session.
    directory.search = always('bob');
    await assert.rejects(backend.revalidate('alice', verdict.proof, signal), { code: 'E_LDAP_SEARCH' });
    directory.search = always('alice');
    assert.equal(await backend.revalidate('alice', verdict.proof, signal), true);
    directory.search = (id) => ldapResult(id, searchDone, 0);
    assert.equal(await backend.revalidate('alice', verdict.proof, signal), false);
    assert.equal(await verify('alice'), 'unknown-user');
  }),
);
