import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

test('the first line at once, then one per period with the number suppressed, then quiet', () => {
  const clock = new ManualClock();
  const limited = createRateLimited({ clock });
  const lines: string[] = [];
  const deny = (topic: string) => limited.line('alice', (suppressed) => lines.push(`${topic} ${suppressed}`));
  deny('a');
  assert.deepEqual(lines, ['a 0']);
  for (const topic of ['b', 'c', 'd']) deny(topic);
  clock.advance(9_999);
  assert.deepEqual(lines, ['a 0']);
  clock.advance(1);
  assert.deepEqual(lines, ['a 0', 'd 2']);
  deny('e');
  clock.advance(10_000);
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0']);
  clock.advance(10_000);
  assert.equal(clock.pendingTimers, 0);
  deny('f');
  assert.deepEqual(lines, ['a 0', 'd 2', 'e 0', 'f 0']);
});

test('keys do not disturb each other, and inventing keys does not get more lines written', () => {
  const clock = new ManualClock();
  const limited = createRateLimited({ clock, maxKeys: 10 });
  let lines = 0;
  for (let i = 0; i < 1_000; i += 1) {
    limited.line(`key ${i}`, () => {
      lines += 1;
    });
  }
  assert.equal(lines, 11);
  assert.equal(clock.pendingTimers, 11);
  limited.close();
  assert.equal(lines, 12);
  assert.equal(clock.pendingTimers, 0);
});

/** A clock, a limiter, and everything that it let through. */
function setUp(options: Partial<Parameters<typeof createRateLimited>[0]> = {}) {
  const clock = new ManualClock();
  const limited = createRateLimited({ clock, ...options });
  const lines: string[] = [];
  const say = (text: string) => (suppressed: number) =>
    void lines.push(suppressed > 0 ? `${text} +${suppressed}` : text);
  return { clock, limited, lines, say };
}

test('a user who floods the log with every kind of line takes none from another one', () => {
  const { clock, limited, lines, say } = setUp({ maxUsers: 10 });
  for (let i = 0; i < 10_000; i += 1) limited.user('mallory').line(`kind ${i}`, say('mallory'));
  assert.equal(lines.length, 33);
  lines.length = 0;
  limited.user('alice').line('denied', say('alice'));
  assert.deepEqual(lines, ['alice']);
  limited.user('alice').line('denied', say('alice'));
  clock.advance(10_000);
  assert.deepEqual(lines, ['alice', `mallory +${10_000 - 32 - 2}`, 'alice']);
});

test('invented logins and networks without number leave users their lines, and get no more of their own', () => {
  const { clock, limited, lines, say } = setUp({ maxNetworks: 10 });
  limited.user('alice').line('denied', say('alice'));
  for (let i = 0; i < 1_000; i += 1) {
    for (let j = 0; j < 20; j += 1) limited.network(`192.0.2.${i}`).line(`refused: invented${j}`, say(`net ${i}`));
  }
  // Ten networks of their own and one shared by the others, each with eight kinds and one shared by the others.
  assert.equal(lines.length, 1 + 11 * 9);
  lines.length = 0;
  for (const login of ['bob', 'carol']) limited.user(login).line('denied', say(login));
  limited.user('alice').line('denied', say('alice'));
  assert.deepEqual(lines, ['bob', 'carol']);
  lines.length = 0;
  clock.advance(10_000);
  assert.ok(lines.includes('alice'));
  // Whoever has been quiet for a period is forgotten: there is room for others again.
  clock.advance(20_000);
  assert.equal(clock.pendingTimers, 0);
  lines.length = 0;
  limited.network('198.51.100.7').line('refused', say('a new one'));
  limited.network('198.51.100.7').line('refused', say('a new one'));
  limited.network('198.51.100.8').line('refused', say('another new one'));
  assert.deepEqual(lines, ['a new one', 'another new one']);
});

test('where there are more users than may be, the further ones share', () => {
  const { clock, limited, lines, say } = setUp({ maxUsers: 2 });
  for (const login of ['alice', 'bob', 'carol', 'dave', 'alice', 'bob']) limited.user(login).line('x', say(login));
  assert.deepEqual(lines, ['alice', 'bob', 'carol']);
  clock.advance(10_000);
  assert.deepEqual(lines.slice(3), ['alice', 'bob', 'dave']);
});

test('a burst passes at once, as when the devices of a user connect together; a storm does not', () => {
  const { clock, limited, lines, say } = setUp();
  const connect = (client: number) => limited.user('alice').line('connected', say(`connected ${client}`), 5);
  for (let i = 1; i <= 5; i += 1) connect(i);
  assert.equal(lines.length, 5);
  clock.advance(10_000);
  assert.equal(lines.length, 5);
  assert.equal(clock.pendingTimers, 0);
  for (let i = 1; i <= 1_000; i += 1) connect(i);
  assert.equal(lines.length, 10);
  clock.advance(10_000);
  assert.equal(lines.at(-1), 'connected 1000 +994');
  // The line with the number counts as one of the next burst.
  for (let i = 1; i <= 1_000; i += 1) connect(i);
  assert.equal(lines.length, 15);
  limited.close();
  assert.equal(lines.at(-1), 'connected 1000 +995');
  assert.equal(clock.pendingTimers, 0);
});
