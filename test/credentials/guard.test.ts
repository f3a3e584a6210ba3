import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brief, guardConfig, guardUnderTest, never, settled } from '../support/guard-under-test.js';
import { scriptedBackend } from '../support/scripted-backend.js';

test('refuses what cannot be right before anybody is asked', async (t) => {
  const { backend, login } = guardUnderTest(t);
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
  const { login, captured } = guardUnderTest(t, { loginPattern: '.*' }, backend);
  assert.equal(brief(await login('a@b.org', 'x')), 'accepted alice');
  assert.equal(brief(await login('c@b.org', 'x')), 'refused invalid-login');
  assert.ok(captured.text().includes('loginPattern'));
});

test('asks once per login and password, at the same time or within the time to live', async (t) => {
  const { backend, clock, login } = guardUnderTest(t);
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

test('who is to be checked again is asked about, and the others are remembered', async (t) => {
  const { backend, guard, login } = guardUnderTest(t);
  backend.users.set('bobby', 'secret two!');
  await login('alice', 'secret one!');
  await login('bobby', 'secret two!');
  await guard.recheck('alice');
  backend.users.delete('alice');
  assert.equal(brief(await login('alice', 'secret one!')), 'refused unknown-user');
  assert.equal(brief(await login('bobby', 'secret two!')), 'accepted bobby');
  assert.equal(backend.asked.length, 3);
});

test('with a time to live of 0 nothing is remembered', async (t) => {
  const { backend, login } = guardUnderTest(t, { cache: { ...guardConfig.cache, ttlMs: 0 } });
  await login('alice', 'secret one!');
  await login('alice', 'secret one!');
  assert.equal(backend.asked.length, 2);
});

test('2 000 devices of 50 users are in after 50 questions', async (t) => {
  const users = Array.from({ length: 50 }, (_, index): [string, string] => [`user${index}`, `password ${index}`]);
  const { backend, clock, login } = guardUnderTest(t, {}, scriptedBackend(users));
  backend.script = (name) =>
    new Promise((resolve) => clock.after(100, () => resolve({ accepted: true, login: name, proof: 0 })));
  const outcomes = Array.from({ length: 2_000 }, (_, index) => login(...users[index % 50]!));
  // Seven at a time of one address: eight rounds.
  for (let round = 0; round < 8; round += 1) {
    await settled();
    clock.advance(100);
  }
  assert.ok((await Promise.all(outcomes)).every(({ kind }) => kind === 'accepted'));
  assert.equal(backend.asked.length, 50);
  assert.equal(backend.mostOpen, guardConfig.concurrency - 1);
});

test('a revoked login is forgotten at once and told on', async (t) => {
  const { backend, guard, login } = guardUnderTest(t);
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
  const { backend, login } = guardUnderTest(t);
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
  const { backend, guard, login, clock } = guardUnderTest(t);
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
  const { backend, guard, login, clock } = guardUnderTest(t);
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
  const { backend, guard, login } = guardUnderTest(t);
  backend.script = never;
  const waiting = Array.from({ length: 20 }, (_, index) => login('alice', `password ${index}`, `192.0.2.${index}`));
  await settled();
  await guard.close();
  for (const outcome of waiting) assert.equal(brief(await outcome), 'unavailable E_CREDENTIALS_CLOSED');
  assert.equal(brief(await login('alice', 'secret one!')), 'unavailable E_CREDENTIALS_CLOSED');
  assert.equal(await guard.revalidate('alice', 0), 'unknown');
  assert.equal(backend.closed, true);
});

test('what is remembered of a login and password is not taken for another pair with the same letters', async (t) => {
  const { backend, login } = guardUnderTest(t, {}, scriptedBackend([['alice', 'secret']]));
  assert.equal(brief(await login('alice', 'secret')), 'accepted alice');
  for (const [name, password] of [
    ['alic', 'esecret'],
    ['alices', 'ecret'],
    ['alice\0', 'ecret'],
  ] as const) {
    assert.match(brief(await login(name, password)), /^refused /, `${name} ${password}`);
  }
  assert.deepEqual(
    backend.asked.map((question) => question.login),
    ['alice', 'alic', 'alices'],
  );
});

test('a login that is revoked each time that it is asked for is let in by nobody, and not remembered', async (t) => {
  const { backend, login } = guardUnderTest(t);
  backend.acceptsLogin = (name) => name.includes('@');
  for (const typed of ['alice', 'alice@example.org']) {
    backend.script = async () => {
      backend.revoke('alice');
      return { accepted: true, login: 'alice', proof: 0 };
    };
    assert.equal(brief(await login(typed, 'secret one!')), 'unavailable E_CREDENTIALS_CHANGING', typed);
    backend.script = async () => ({ accepted: false, reason: 'wrong-password' });
    assert.equal(brief(await login(typed, 'secret one!')), 'refused wrong-password', typed);
  }
});
