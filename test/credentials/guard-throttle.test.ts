import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createCredentialGuard, type GuardConfig } from '../../src/credentials/guard.js';
import { LoginThrottle } from '../../src/credentials/throttle.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from '../support/captured-log.js';
import { scriptedBackend } from '../support/scripted-backend.js';

const maxFailures = 10;
const windowMs = 60_000;
const config: GuardConfig = {
  loginPattern: '^[a-z][a-z0-9]{3,19}$',
  timeoutMs: 5_000,
  concurrency: 8,
  cache: { ttlMs: 60_000, staleMs: 300_000, maxEntries: 10_000 },
  throttle: { maxFailures, windowMs },
};
const frontend = '192.0.2.1';

function setup(t: TestContext) {
  const backend = scriptedBackend(Array.from({ length: 500 }, (_, index) => [`user${index}`, `right ${index}`]));
  const clock = new ManualClock();
  const captured = captureLog();
  const guard = createCredentialGuard({ backend, config, log: captured.log, clock });
  t.after(() => guard.close());
  const attempt = async (login: string, password: string, address = frontend): Promise<string> => {
    const outcome = await guard.authenticate({ login, password: Buffer.from(password), address });
    return outcome.kind === 'refused' ? outcome.reason : outcome.kind;
  };
  /** Wrong guesses at one login until the throttle answers; how many got through to the backend. */
  const guessUntilThrottled = async (login: string, address = frontend): Promise<number> => {
    for (let count = 0; count < 1_000; count += 1) {
      if ((await attempt(login, `guess ${count}`, address)) === 'throttled') return count;
    }
    throw new Error('never throttled');
  };
  return { backend, clock, captured, attempt, guessUntilThrottled };
}

test('wrong guesses at one login from one address are refused unasked after maxFailures, until the window passes', async (t) => {
  const { backend, clock, captured, attempt, guessUntilThrottled } = setup(t);
  assert.equal(await guessUntilThrottled('user0'), maxFailures);
  const asked = backend.asked.length;
  assert.equal(await attempt('user0', 'right 0'), 'throttled');
  assert.equal(backend.asked.length, asked);
  assert.equal(captured.lines().filter((line) => String(line.msg).startsWith('too many wrong')).length, 1);
  clock.advance(windowMs);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
});

test('the real user is not locked out from elsewhere, nor are others from the same address', async (t) => {
  const { attempt, guessUntilThrottled } = setup(t);
  await guessUntilThrottled('user0');
  assert.equal(await attempt('user0', 'right 0', '192.0.2.2'), 'accepted');
  assert.equal(await attempt('user1', 'right 1'), 'accepted');
});

test('a password that was right lately passes from the very address that is throttled', async (t) => {
  const { clock, attempt, guessUntilThrottled } = setup(t);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
  await guessUntilThrottled('user0');
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
  // Beyond the time to live the backend is asked, as it is no guess.
  clock.advance(config.cache.ttlMs - 1);
  await guessUntilThrottled('user0');
  clock.advance(1);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
});

test('a fleet that repeats one wrong password has made one guess and asks at most every two seconds', async (t) => {
  const { backend, clock, attempt } = setup(t);
  for (let second = 0; second < 60; second += 1) {
    for (let device = 0; device < 20; device += 1) assert.equal(await attempt('user0', 'old one'), 'wrong-password');
    clock.advance(1_000);
  }
  assert.equal(backend.asked.length, 30);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
});

test('guesses made all at once are not more than guesses made one by one', async (t) => {
  const { backend, attempt } = setup(t);
  const answers = await Promise.all(Array.from({ length: 1_000 }, (_, index) => attempt('user0', `guess ${index}`)));
  assert.equal(answers.filter((answer) => answer !== 'throttled').length, maxFailures);
  assert.equal(backend.asked.length, maxFailures);
});

test('another address of the same IPv6 network, or another notation, gives no further guesses', async (t) => {
  const { attempt, guessUntilThrottled } = setup(t);
  await guessUntilThrottled('user0', '2001:db8:0:1::5');
  assert.equal(await attempt('user0', 'right 0', '2001:db8:0:1:ffff::6'), 'throttled');
  assert.equal(await attempt('user0', 'right 0', '2001:db8:0:2::5'), 'accepted');
  await guessUntilThrottled('user1', '::ffff:192.0.2.9');
  assert.equal(await attempt('user1', 'right 1', '192.0.2.9'), 'throttled');
});

test('hundreds of users behind one address: failures of many lock out none of the others', async (t) => {
  const { attempt, guessUntilThrottled } = setup(t);
  // Known from this address, but no longer in memory as right.
  assert.equal(await attempt('user499', 'right 499'), 'accepted');
  for (let user = 0; user < 300; user += 1) assert.equal(await attempt(`user${user}`, 'typo'), 'wrong-password');
  // Never seen here: the right password is all it takes, and a typo is forgiven.
  for (let user = 300; user < 400; user += 1) assert.equal(await attempt(`user${user}`, `right ${user}`), 'accepted');
  for (let user = 0; user < 300; user += 1) assert.equal(await attempt(`user${user}`, `right ${user}`), 'accepted');
  // From a suspected address, an unknown login has fewer guesses; a known one has them all.
  assert.equal(await guessUntilThrottled('user450'), Math.floor(maxFailures / 4));
  assert.equal(await guessUntilThrottled('user499'), maxFailures);
});

test('one who guesses many logins from one address cannot hold up the backend for other addresses', async (t) => {
  const { backend, attempt } = setup(t);
  for (let user = 0; user < 200; user += 1) await attempt(`user${user}`, 'typo');
  const open: (() => void)[] = [];
  backend.script = (login) =>
    new Promise((resolve) =>
      open.push(() => resolve({ accepted: false, reason: login === '' ? 'no-login' : 'wrong-password' })),
    );
  const guesses = Array.from({ length: 50 }, (_, index) => attempt(`user${300 + index}`, 'guess'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(open.length, 1, 'a suspected address is asked about one at a time');
  backend.script = null;
  assert.equal(await attempt('user400', 'right 400', '192.0.2.7'), 'accepted');
  backend.script = async () => ({ accepted: false, reason: 'wrong-password' });
  open[0]!();
  await Promise.all(guesses);
});

test('spelling a login with other capitals gives no further guesses', () => {
  const throttle = new LoginThrottle(config.throttle, new ManualClock());
  for (let guess = 0; guess < maxFailures; guess += 1) {
    const login = guess % 2 === 0 ? 'User0@example.org' : 'user0@EXAMPLE.org';
    assert.equal(throttle.admit(frontend, login, `key ${guess}`), 'admitted');
    throttle.settled(frontend, login, `key ${guess}`, 'wrong');
  }
  assert.equal(throttle.admit(frontend, 'USER0@example.org', 'another key'), 'throttled');
});

test('what is remembered is bounded, and forgotten when nothing was wrong', () => {
  const throttle = new LoginThrottle(config.throttle, new ManualClock(), 100);
  for (let user = 0; user < 1_000; user += 1) {
    assert.notEqual(throttle.admit(frontend, `user${user}`, `key ${user}`), 'throttled');
    throttle.settled(frontend, `user${user}`, `key ${user}`, user % 2 === 0 ? 'wrong' : 'right');
  }
  assert.ok(throttle.entries <= 300, `${throttle.entries} entries`);
});
