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
  /** The answer, and how long it took: time passes while it waits. */
  const timed = async (answer: Promise<string>): Promise<[answer: string, tookMs: number]> => {
    const begin = clock.monotonicMs();
    let heard: string | undefined;
    void answer.then((it) => {
      heard = it;
    });
    for (;;) {
      for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate);
      if (heard !== undefined) return [heard, clock.monotonicMs() - begin];
      clock.advance(100);
    }
  };
  /** Makes as many wrong guesses as are asked without waiting; how many those were. */
  const useUp = async (login: string, address = frontend): Promise<number> => {
    const before = backend.asked.length;
    const guesses = Array.from({ length: 100 }, (_, index) => attempt(login, `guess ${index}`, address));
    for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
    const asked = backend.asked.length - before;
    // The others go when nobody has drawn them in time.
    for (let second = 0; second < 5; second += 1) clock.advance(1_000);
    await Promise.all(guesses);
    return asked;
  };
  return { backend, clock, captured, attempt, timed, useUp };
}

test('after maxFailures wrong guesses one a second is asked, until the window passes', async (t) => {
  const { backend, clock, captured, attempt, timed, useUp } = setup(t);
  // The one beyond is the first draw.
  assert.equal(await useUp('user0'), maxFailures + 1);
  const asked = backend.asked.length;
  const answers = Array.from({ length: 50 }, (_, index) => attempt('user0', `further guess ${index}`));
  const heard = await Promise.all(answers.map(timed));
  assert.ok(backend.asked.length - asked <= 6, `${backend.asked.length - asked} asked in 5 s`);
  assert.equal(heard.filter(([answer]) => answer === 'throttled').length, 50 - (backend.asked.length - asked));
  assert.ok(captured.lines().some((line) => String(line.msg).startsWith('too many wrong')));
  clock.advance(windowMs);
  // Of the first window nothing is left.
  assert.equal(await useUp('user0'), maxFailures + 1);
  clock.advance(windowMs);
  assert.deepEqual(await timed(attempt('user0', 'right 0')), ['accepted', 0]);
});

test('who knows the password gets in from the very address that guesses at it, the first time too', async (t) => {
  // Whatever the lot falls on: one time of 32 it would fall on the guesser as often as the owner waits for.
  for (let time = 0; time < 200; time += 1) {
    const { attempt, timed, useUp } = setup(t);
    await useUp('user0');
    // One who guesses all the time, one guess after the other.
    let guessing = true;
    const guesser = (async () => {
      for (let count = 0; guessing; count += 1) await attempt('user0', `steady guess ${count}`);
    })();
    const [answer, tookMs] = await timed(attempt('user0', 'right 0'));
    assert.equal(answer, 'accepted');
    assert.ok(tookMs <= 4_000, `${tookMs} ms`);
    guessing = false;
    await timed(guesser.then(() => ''));
  }
});

test('a wrong password that is repeated has no part in the draw, and is refused unasked', async (t) => {
  const { backend, clock, attempt, timed, useUp } = setup(t);
  await useUp('user0');
  clock.advance(2_000);
  const asked = backend.asked.length;
  for (let count = 0; count < 20; count += 1) {
    assert.deepEqual(await timed(attempt('user0', 'guess 0')), ['throttled', 0]);
  }
  assert.equal(backend.asked.length, asked);
});

test('the real user is not slowed down elsewhere, nor are others at the same address', async (t) => {
  const { attempt, timed, useUp } = setup(t);
  await useUp('user0');
  assert.deepEqual(await timed(attempt('user0', 'right 0', '192.0.2.2')), ['accepted', 0]);
  assert.deepEqual(await timed(attempt('user1', 'right 1')), ['accepted', 0]);
});

test('a password that was right within a day passes from the very address that is throttled, and at once', async (t) => {
  const { clock, attempt, timed, useUp } = setup(t);
  assert.equal(await attempt('user0', 'right 0', '192.0.2.99'), 'accepted');
  await useUp('user0');
  assert.deepEqual(await timed(attempt('user0', 'right 0')), ['accepted', 0]);
  // Long after everything else is forgotten of it the backend is asked, as it is no guess.
  clock.advance(86_000_000);
  await useUp('user0');
  assert.deepEqual(await timed(attempt('user0', 'right 0')), ['accepted', 0]);
  // Once it was refused it is a guess like any other.
  clock.advance(config.cache.ttlMs);
  await useUp('user0');
  const refusing = attempt('user0', 'right 0');
  assert.deepEqual(await timed(refusing), ['accepted', 0]);
});

test('a password that was right and is so no more has one question of grace, then it is a guess', async (t) => {
  const { backend, clock, attempt, timed, useUp } = setup(t);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
  backend.users.set('user0', 'changed');
  clock.advance(config.cache.ttlMs);
  await useUp('user0');
  assert.deepEqual(await timed(attempt('user0', 'right 0')), ['wrong-password', 0]);
  clock.advance(2_000);
  assert.deepEqual(await timed(attempt('user0', 'right 0')), ['throttled', 0]);
});

test('a fleet that repeats one wrong password has made one guess, asks at most every two seconds, and is not suspected', async (t) => {
  const { backend, clock, attempt, useUp } = setup(t);
  for (let second = 0; second < 60; second += 1) {
    for (let device = 0; device < 20; device += 1) assert.equal(await attempt('user0', 'old one'), 'wrong-password');
    clock.advance(1_000);
  }
  assert.equal(backend.asked.length, 30);
  assert.equal(await attempt('user0', 'right 0'), 'accepted');
  // So many fleets that every attempt counted as a guess would make their address suspect.
  for (let fleet = 1; fleet <= 20; fleet += 1) {
    for (let round = 0; round < 20; round += 1) {
      assert.equal(await attempt(`user${fleet}`, 'old one'), 'wrong-password');
      clock.advance(100);
    }
  }
  assert.equal(await useUp('user400'), maxFailures + 1);
});

test('a fleet that comes with the right password for the first time, under attack, comes in together', async (t) => {
  const { attempt, timed, useUp } = setup(t);
  await useUp('user0');
  const fleet = Array.from({ length: 40 }, () => attempt('user0', 'right 0'));
  const answers = await timed(Promise.all(fleet).then((all) => [...new Set(all)].join()));
  assert.deepEqual(answers[0], 'accepted');
});

test('guesses made all at once are not more than guesses made one by one', async (t) => {
  const { backend, clock, attempt } = setup(t);
  const answers = Array.from({ length: 1_000 }, (_, index) => attempt('user0', `guess ${index}`));
  for (let second = 0; second < 6; second += 1) {
    for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
    clock.advance(1_000);
  }
  const refused = (await Promise.all(answers)).filter((answer) => answer === 'throttled');
  assert.ok(backend.asked.length <= maxFailures + 6, `${backend.asked.length} asked`);
  assert.equal(refused.length, 1_000 - backend.asked.length);
});

test('another address of the same IPv6 network, or another notation, gives no further guesses', async (t) => {
  const { attempt, timed, useUp } = setup(t);
  const slow = async (...args: Parameters<typeof attempt>) => (await timed(attempt(...args)))[1] > 0;
  await useUp('user0', '2001:db8:0:1::5');
  await attempt('user0', 'one more', '2001:db8:0:1::5');
  assert.equal(await slow('user0', 'right 0', '2001:db8:0:1:ffff::6'), true);
  assert.equal(await slow('user2', 'right 2', '2001:db8:0:1:ffff::6'), false);
  await useUp('user1', '::ffff:192.0.2.9');
  await attempt('user1', 'one more', '::ffff:192.0.2.9');
  assert.equal(await slow('user1', 'right 1', '192.0.2.9'), true);
});

test('hundreds of users behind one address: failures of many lock out none of the others', async (t) => {
  const { attempt, useUp } = setup(t);
  // Known from this address, but no longer in memory as right.
  assert.equal(await attempt('user499', 'right 499'), 'accepted');
  for (let user = 0; user < 300; user += 1) assert.equal(await attempt(`user${user}`, 'typo'), 'wrong-password');
  // Never seen here: the right password is all it takes, and a typo is forgiven.
  for (let user = 300; user < 400; user += 1) assert.equal(await attempt(`user${user}`, `right ${user}`), 'accepted');
  for (let user = 0; user < 300; user += 1) assert.equal(await attempt(`user${user}`, `right ${user}`), 'accepted');
  // From a suspected address, an unknown login has fewer guesses; a known one has them all.
  assert.equal(await useUp('user450'), Math.floor(maxFailures / 4) + 1);
  assert.equal(await useUp('user499'), maxFailures + 1);
});

test('spelling a login with other capitals gives no further guesses', async () => {
  const throttle = new LoginThrottle(config.throttle, new ManualClock());
  for (let guess = 0; guess < maxFailures; guess += 1) {
    const login = guess % 2 === 0 ? 'User0@example.org' : 'user0@EXAMPLE.org';
    assert.equal(await throttle.admit(frontend, login, `key ${guess}`, 0), true);
    throttle.settled(frontend, login, `key ${guess}`, 'wrong');
  }
  assert.equal(await throttle.admit(frontend, 'USER0@example.org', 'key 0', 0), false);
});

test('what is remembered is bounded, and forgotten when nothing was wrong', async () => {
  const throttle = new LoginThrottle(config.throttle, new ManualClock(), 100);
  for (let user = 0; user < 1_000; user += 1) {
    assert.equal(await throttle.admit(frontend, `user${user}`, `key ${user}`, 0), true);
    throttle.settled(frontend, `user${user}`, `key ${user}`, user % 2 === 0 ? 'wrong' : 'right');
  }
  assert.ok(throttle.entries <= 400, `${throttle.entries} entries`);
  const quiet = new LoginThrottle(config.throttle, new ManualClock());
  assert.equal(await quiet.admit(frontend, 'user0', 'key', 0), true);
  quiet.settled(frontend, 'user0', 'key', 'unknown');
  assert.equal(quiet.entries, 0);
});
