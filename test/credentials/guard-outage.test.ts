import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brief, down, guardConfig, guardUnderTest, never, settled } from '../support/guard-under-test.js';

test('a backend that does not answer in time is an outage, not a refusal', async (t) => {
  const { backend, clock, login, captured } = guardUnderTest(t);
  let called: AbortSignal | undefined;
  backend.script = (_login, _password, signal) => {
    called = signal;
    return never();
  };
  const outcome = login('alice', 'secret one!');
  await settled();
  clock.advance(4_999);
  assert.equal(called?.aborted, false);
  clock.advance(1);
  assert.equal(brief(await outcome), 'unavailable E_CREDENTIALS_TIMEOUT');
  assert.equal(called?.aborted, true);
  assert.equal(captured.lines().filter((line) => line.level === 50).length, 1);
});

test('an error of any kind is an outage, and what it quotes is kept to itself', async (t) => {
  const { backend, login, captured } = guardUnderTest(t);
  backend.script = (_login, password) => Promise.reject(new TypeError(`cannot read ${password}`));
  const outcome = await login('alice', 'secret one!');
  assert.equal(brief(outcome), 'unavailable E_CREDENTIALS_BACKEND');
  assert.ok(outcome.kind === 'unavailable');
  assert.equal(outcome.error.cause, undefined);
  assert.ok(!`${captured.text()}${outcome.error.stack}`.includes('secret one!'));
});

test('during an outage those in memory are let in until staleMs, and nobody else', async (t) => {
  const { backend, clock, login, captured } = guardUnderTest(t);
  backend.users.set('bobby', 'x');
  await login('alice', 'secret one!');
  clock.advance(60_000);
  backend.script = down;
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice stale');
  assert.equal(brief(await login('alice', 'secret two!')), 'unavailable E_LDAP_DOWN');
  assert.equal(brief(await login('bobby', 'x')), 'unavailable E_LDAP_DOWN');
  clock.advance(239_999);
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice stale');
  clock.advance(1);
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_LDAP_DOWN');
  backend.script = null;
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice');
  const messages = captured.lines().map((line) => String(line.msg));
  assert.equal(messages.filter((text) => text.includes('does not answer: logins hear')).length, 1);
  assert.equal(messages.filter((text) => text.includes('answers again')).length, 1);
  assert.equal(messages.filter((text) => text.startsWith('accepted from memory')).length, 2);
});

test('with staleMs 0 nobody is let in during an outage', async (t) => {
  const { backend, clock, login } = guardUnderTest(t, { cache: { ...guardConfig.cache, staleMs: 0 } });
  await login('alice', 'secret one!');
  backend.script = down;
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice');
  clock.advance(60_000);
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_LDAP_DOWN');
});

test('whoever was let in from memory is thrown out when the backend turns out to refuse', async (t) => {
  const { backend, clock, guard, login } = guardUnderTest(t);
  const revoked: string[] = [];
  guard.onRevoked((name) => revoked.push(name));
  await login('alice', 'secret one!');
  clock.advance(60_000);
  backend.script = down;
  await login('alice', 'secret one!');
  await settled();
  assert.deepEqual(revoked, []);
  backend.script = null;
  backend.users.set('alice', 'changed');
  // The outage is not known to be over yet.
  await Promise.all([login('alice', 'secret one!'), login('alice', 'secret one!')]);
  await settled();
  assert.deepEqual(revoked, ['alice']);
  assert.equal(brief(await login('alice', 'secret one!')), 'refused wrong-password');
});

test('also when the backend is asked again because the login was revoked meanwhile', async (t) => {
  const { backend, clock, guard, login } = guardUnderTest(t);
  const revoked: string[] = [];
  guard.onRevoked((name) => revoked.push(name));
  await login('alice', 'secret one!');
  clock.advance(60_000);
  backend.script = down;
  await login('alice', 'secret one!');
  await settled();
  // Back again, but its first answer is older than the new password.
  backend.script = async (name) => {
    backend.script = null;
    backend.users.set('alice', 'changed');
    backend.revoke('alice');
    return { accepted: true, login: name, proof: 0 };
  };
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice stale');
  await settled();
  assert.deepEqual(revoked, ['alice', 'alice']);
});

test('no password is in the log, whatever happens', async (t) => {
  const { backend, clock, login, captured } = guardUnderTest(t);
  const secrets = ['secret one!', 'wrong-Secret-2', 'Outage-Secret-3'];
  await login('alice', secrets[0]);
  for (let guess = 0; guess < 10; guess += 1) await login('alice', `${secrets[1]}${guess}`);
  assert.equal(brief(await login('alice', `${secrets[1]}0`)), 'refused throttled');
  clock.advance(60_000);
  backend.script = down;
  await login('alice', secrets[0]);
  await login('alice', secrets[2]);
  backend.script = null;
  clock.advance(60_000);
  await login('alice', secrets[0]);
  assert.ok(captured.lines().length >= 4);
  for (const secret of secrets) {
    assert.ok(!captured.text().includes(secret));
    assert.ok(!captured.text().includes(Buffer.from(secret).toString('base64')));
  }
});

test('a password that was refused since it was right is not let in during an outage', async (t) => {
  const { backend, clock, login } = guardUnderTest(t);
  await login('alice', 'secret one!');
  clock.advance(60_000);
  backend.users.set('alice', 'changed');
  assert.equal(brief(await login('alice', 'secret one!')), 'refused wrong-password');
  backend.script = down;
  clock.advance(2_000);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_LDAP_DOWN');
  }
});

test('revalidation that finds a login revoked leaves nothing in memory for an outage', async (t) => {
  const { backend, guard, login } = guardUnderTest(t);
  await login('alice', 'secret one!');
  backend.revalidate = async () => false;
  assert.equal(await guard.revalidate('alice', 0), 'revoked');
  backend.script = down;
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_LDAP_DOWN');
});
