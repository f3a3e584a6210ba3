import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRevalidation, type LiveSession } from '../../src/credentials/revalidation.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from '../support/captured-log.js';

type Answer = 'entitled' | 'revoked' | 'unknown';

function house(answers: (login: string, proof: unknown) => Answer | Promise<Answer>, periodMs = 900_000) {
  const clock = new ManualClock();
  const log = captureLog();
  const live = new Set<LiveSession & { closedFor: string | null }>();
  const asked: string[] = [];
  const revalidation = createRevalidation({
    guard: {
      revalidate: async (login, proof) => {
        asked.push(`${login} ${String(proof)}`);
        return answers(login, proof);
      },
    },
    periodMs,
    clock,
    log: log.log,
    sessions: () => live,
  });
  const enter = (login: string, proof: unknown) => {
    const session = {
      login,
      proof,
      closedFor: null as string | null,
      close(reason: string) {
        session.closedFor = reason;
        live.delete(session);
      },
    };
    live.add(session);
    return session;
  };
  return { clock, log, asked, enter, revalidation };
}

/** Everything that was started has run as far as it can without time or sockets. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('revalidation of live sessions', () => {
  test('asks once per login and proof, and closes exactly the sessions that are no longer entitled', async () => {
    const { clock, asked, enter, log } = house((_login, proof) => (proof === 'old' ? 'revoked' : 'entitled'));
    const [old1, old2, fresh] = [enter('alice', 'old'), enter('alice', 'old'), enter('alice', 'new')];
    const bob = enter('bob1', 'new');
    clock.advance(899_999);
    await settled();
    assert.deepEqual(asked, []);
    clock.advance(1);
    await settled();
    assert.deepEqual(asked.sort(), ['alice new', 'alice old', 'bob1 new']);
    assert.deepEqual(
      [old1, old2, fresh, bob].map(({ closedFor }) => closedFor),
      ['revoked', 'revoked', null, null],
    );
    assert.deepEqual(
      log.lines().map(({ login, sessions }) => [login, sessions]),
      [['alice', 2]],
    );
    asked.length = 0;
    clock.advance(900_000);
    await settled();
    assert.deepEqual(asked.sort(), ['alice new', 'bob1 new']);
  });

  test('an outage closes nobody, is not asked into, and is over within a minute', async () => {
    let answer: Answer = 'unknown';
    const { clock, asked, enter, log } = house(() => answer);
    const everybody = Array.from({ length: 500 }, (_, index) => enter(`user${index}`, index));
    clock.advance(900_000);
    await settled();
    assert.ok(asked.length < 10, `${asked.length} questions into an outage`);
    assert.equal(log.lines().length, 1);
    assert.equal(log.lines()[0]?.unanswered, 500);
    clock.advance(60_000);
    await settled();
    assert.equal(log.lines().length, 1, 'said once');
    answer = 'revoked';
    clock.advance(60_000);
    for (let turn = 0; turn < 10; turn += 1) await settled();
    assert.ok(everybody.every(({ closedFor }) => closedFor === 'revoked'));
  });

  test('one account without an answer does not keep the others from theirs', async () => {
    const { clock, enter } = house((login) => (login === 'odd' ? 'unknown' : 'revoked'));
    const sessions = ['user1', 'odd', 'user2', 'user3', 'user4', 'user5'].map((login) => enter(login, login));
    clock.advance(900_000);
    await settled();
    assert.deepEqual(
      sessions.map(({ closedFor }) => closedFor === null),
      [false, true, false, false, false, false],
    );
  });

  test('a slow round is not joined by the next one', async () => {
    const waiting: ((answer: Answer) => void)[] = [];
    const { clock, asked, enter } = house(() => new Promise((resolve) => waiting.push(resolve)));
    enter('alice', 'x');
    clock.advance(900_000);
    await settled();
    clock.advance(900_000 * 3);
    await settled();
    assert.equal(asked.length, 1);
    waiting[0]!('entitled');
    await settled();
    clock.advance(900_000);
    await settled();
    assert.equal(asked.length, 2);
  });

  test('closed, it closes nobody any more; 0 turns it off', async () => {
    const waiting: ((answer: Answer) => void)[] = [];
    const { clock, enter, revalidation, asked } = house(() => new Promise((resolve) => waiting.push(resolve)));
    const alice = enter('alice', 'x');
    clock.advance(900_000);
    await settled();
    revalidation.close();
    waiting[0]!('revoked');
    await settled();
    clock.advance(9_000_000);
    await settled();
    assert.equal(alice.closedFor, null);
    assert.equal(asked.length, 1);
    const off = house(() => 'revoked', 0);
    off.enter('alice', 'x');
    off.clock.advance(9_000_000);
    await settled();
    assert.deepEqual(off.asked, []);
  });
});
