import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { type AuthOutcome, createCredentialGuard, type GuardConfig } from '../../src/credentials/guard.js';
import { Fault } from '../../src/errors.js';
import { captureLog } from '../support/captured-log.js';
import { manualClock } from '../support/manual-clock.js';
import { type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.js';

const config: GuardConfig = {
  loginPattern: '^[a-z][a-z0-9]{3,19}$',
  timeoutMs: 5_000,
  concurrency: 8,
  cache: { ttlMs: 60_000, staleMs: 300_000, maxEntries: 100 },
  throttle: { maxFailures: 10, windowMs: 60_000 },
};

function setup(t: TestContext, overrides: Partial<GuardConfig> = {}, backend: ScriptedBackend = scriptedBackend()) {
  const clock = manualClock();
  const captured = captureLog();
  const guard = createCredentialGuard({ backend, config: { ...config, ...overrides }, log: captured.log, clock });
  t.after(() => guard.close());
  const login = (name: string | undefined, password: string | Buffer | undefined, address = '192.0.2.1') =>
    guard.authenticate({
      login: name,
      password: typeof password === 'string' ? Buffer.from(password) : password,
      address,
    });
  return { backend, clock, captured, guard, login };
}

const brief = (outcome: AuthOutcome): string =>
  outcome.kind === 'accepted'
    ? `accepted ${outcome.login}${outcome.stale ? ' stale' : ''}`
    : outcome.kind === 'refused'
      ? `refused ${outcome.reason}`
      : `unavailable ${outcome.error.code}`;

/** Until everything that can go on without time passing has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const never = (): Promise<never> => new Promise(() => {});
const down = async (): Promise<never> => {
  throw new Fault('E_LDAP_DOWN', 'the directory is down');
};

test('refuses what cannot be right before anybody is asked', async (t) => {
  const { backend, login } = setup(t);
  const table: [string | undefined, string | Buffer | undefined, string][] = [
    [undefined, 'x', 'no-login'],
    ['', 'x', 'no-login'],
    ['alice', undefined, 'no-password'],
    ['alice', '', 'no-password'],
    ['alice', 'a\0b', 'invalid-password'],
    ['alice', 'x'.repeat(1_025), 'invalid-password'],
    ['alice', Buffer.from([0x61, 0xff, 0xfe]), 'invalid-password'],
    ['al', 'x', 'invalid-login'],
    ['Alice', 'x', 'invalid-login'],
    ['alice\n', 'x', 'invalid-login'],
    ['alice\0', 'x', 'invalid-login'],
    ['xalice/..', 'x', 'invalid-login'],
    ['*)(uid=*', 'x', 'invalid-login'],
    ['a'.repeat(1_000_000), 'x', 'invalid-login'],
    ['alice@example.org', 'x', 'invalid-login'],
  ];
  for (const [name, password, reason] of table) {
    assert.equal(brief(await login(name, password)), `refused ${reason}`, JSON.stringify(name)?.slice(0, 40));
  }
  assert.equal(backend.asked.length, 0);
});

test('lets a backend take other logins, and holds the canonical one to the pattern', async (t) => {
  const backend = scriptedBackend();
  backend.acceptsLogin = (login) => login.includes('@');
  backend.script = async (login) => ({ accepted: true, login: login === 'a@b.org' ? 'alice' : '#', proof: 0 });
  const { login, captured } = setup(t, { loginPattern: '.*' }, backend);
  assert.equal(brief(await login('a@b.org', 'x')), 'accepted alice');
  assert.equal(brief(await login('c@b.org', 'x')), 'refused invalid-login');
  assert.ok(captured.text().includes('loginPattern'));
});

test('asks once per login and password, at the same time or within the time to live', async (t) => {
  const { backend, clock, login } = setup(t);
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => login('alice', 'secret one!')));
  assert.deepEqual(new Set(outcomes.map(brief)), new Set(['accepted alice']));
  assert.equal(backend.asked.length, 1);
  clock.advance(59_999);
  await login('alice', 'secret one!', '2001:db8::1');
  assert.equal(backend.asked.length, 1);
  clock.advance(1);
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice');
  assert.equal(backend.asked.length, 2);
  assert.equal(brief(await login('alice', 'secret one')), 'refused wrong-password');
  assert.equal(backend.asked.length, 3);
});

test('with a time to live of 0 nothing is remembered', async (t) => {
  const { backend, login } = setup(t, { cache: { ...config.cache, ttlMs: 0 } });
  await login('alice', 'secret one!');
  await login('alice', 'secret one!');
  assert.equal(backend.asked.length, 2);
});

test('2 000 devices of 50 users are in after 50 questions', async (t) => {
  const users = Array.from({ length: 50 }, (_, index): [string, string] => [`user${index}`, `password ${index}`]);
  const backend = scriptedBackend(users);
  backend.script = async (login) => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { accepted: true, login, proof: 0 };
  };
  const guard = createCredentialGuard({ backend, config, log: captureLog().log, clock: systemClock });
  t.after(() => guard.close());
  const start = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: 2_000 }, (_, index) => {
      const [login, password] = users[index % 50]!;
      return guard.authenticate({ login, password: Buffer.from(password), address: '192.0.2.1' });
    }),
  );
  assert.ok(outcomes.every((outcome) => outcome.kind === 'accepted'));
  assert.equal(backend.asked.length, 50);
  assert.ok(backend.mostOpen <= config.concurrency);
  assert.ok(performance.now() - start < 5_000);
});

test('a backend that does not answer in time is an outage, not a refusal', async (t) => {
  const { backend, clock, login, captured } = setup(t);
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
  const { backend, login, captured } = setup(t);
  backend.script = (_login, password) => Promise.reject(new TypeError(`cannot read ${password}`));
  const outcome = await login('alice', 'secret one!');
  assert.equal(brief(outcome), 'unavailable E_CREDENTIALS_BACKEND');
  assert.ok(outcome.kind === 'unavailable');
  assert.equal(outcome.error.cause, undefined);
  assert.ok(!`${captured.text()}${outcome.error.stack}`.includes('secret one!'));
});

test('during an outage those in memory are let in until staleMs, and nobody else', async (t) => {
  const { backend, clock, login, captured } = setup(t);
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
  const { backend, clock, login } = setup(t, { cache: { ...config.cache, staleMs: 0 } });
  await login('alice', 'secret one!');
  backend.script = down;
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice');
  clock.advance(60_000);
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_LDAP_DOWN');
});

test('whoever was let in from memory is thrown out when the backend turns out to refuse', async (t) => {
  const { backend, clock, guard, login } = setup(t);
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

test('a revoked login is forgotten at once and told on', async (t) => {
  const { backend, guard, login } = setup(t);
  const revoked: string[] = [];
  guard.onRevoked((name) => revoked.push(name));
  await login('alice', 'secret one!');
  assert.equal(brief(await login('alice', 'changed')), 'refused wrong-password');
  backend.users.set('alice', 'changed');
  backend.revoke('alice');
  assert.deepEqual(revoked, ['alice']);
  assert.equal(brief(await login('alice', 'secret one!')), 'refused wrong-password');
  assert.equal(brief(await login('alice', 'changed')), 'accepted alice');
});

test('an answer that is older than the revocation is asked for again', async (t) => {
  const { backend, login } = setup(t);
  let answer = (): void => {};
  backend.script = (name) => {
    backend.script = null;
    return new Promise((resolve) => {
      answer = () => resolve({ accepted: true, login: name, proof: 0 });
    });
  };
  const outcome = login('alice', 'secret one!');
  await settled();
  backend.users.delete('alice');
  backend.revoke('alice');
  answer();
  assert.equal(brief(await outcome), 'refused unknown-user');
  assert.equal(backend.asked.length, 2);
});

test('revalidation tells entitled, revoked and unknown apart, and forgets the revoked', async (t) => {
  const { backend, guard, login, clock } = setup(t);
  await login('alice', 'secret one!');
  assert.equal(await guard.revalidate('alice', 0), 'entitled');
  const asked: string[] = [];
  backend.revalidate = (name) => {
    asked.push(name);
    return never();
  };
  const proof = {};
  const both = [guard.revalidate('alice', proof), guard.revalidate('alice', proof)];
  await settled();
  clock.advance(5_000);
  assert.deepEqual(await Promise.all(both), ['unknown', 'unknown']);
  assert.deepEqual(asked, ['alice']);
  backend.revalidate = async () => false;
  assert.equal(await guard.revalidate('alice', proof), 'revoked');
  await login('alice', 'secret one!');
  assert.equal(backend.asked.length, 2);
});

test('thousands of revalidations do not run into the deadline, nor into the way of logins', async (t) => {
  const { backend, guard, login, clock } = setup(t);
  const waiting: (() => void)[] = [];
  backend.revalidate = () => new Promise((resolve) => waiting.push(() => resolve(true)));
  const all = Promise.all(Array.from({ length: 300 }, (_, index) => guard.revalidate(`user${index}`, index)));
  await settled();
  assert.equal(waiting.length, 2);
  assert.equal(brief(await login('alice', 'secret one!')), 'accepted alice');
  for (let answered = 0; answered < 300; answered += 1) {
    clock.advance(1_000);
    waiting[answered]!();
    await settled();
  }
  assert.deepEqual(new Set(await all), new Set(['entitled']));
});

test('closing answers all who wait, closes the backend, and later questions are told', async (t) => {
  const { backend, guard, login } = setup(t);
  backend.script = never;
  const waiting = Array.from({ length: 20 }, (_, index) => login('alice', `password ${index}`, `192.0.2.${index}`));
  await settled();
  await guard.close();
  for (const outcome of waiting) assert.equal(brief(await outcome), 'unavailable E_CREDENTIALS_CLOSED');
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_CREDENTIALS_CLOSED');
  assert.equal(await guard.revalidate('alice', 0), 'unknown');
  assert.equal(backend.closed, true);
});

test('no password is in the log, whatever happens', async (t) => {
  const { backend, clock, login, captured } = setup(t);
  const secrets = ['secret one!', 'wrong-Secret-2', 'Outage-Secret-3'];
  await login('alice', secrets[0]);
  for (let guess = 0; guess < 12; guess += 1) await login('alice', `${secrets[1]}${guess}`);
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
