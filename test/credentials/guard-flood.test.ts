import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { defaultConfig } from '../../src/config/defaults.js';
import type { CredentialBackend } from '../../src/credentials/backend.js';
import { openFileBackend } from '../../src/credentials/file-backend.js';
import { type AuthOutcome, type CredentialGuard, createCredentialGuard } from '../../src/credentials/guard.js';
import { hashPassword } from '../../src/credentials/password-hash.js';
import { captureLog } from '../support/captured-log.js';
import { brief, guardConfig, guardUnderTest } from '../support/guard-under-test.js';
import { openLdap, slapdFor } from '../support/ldap-under-test.js';
import { scriptedBackend } from '../support/scripted-backend.js';
import { tempFolder } from '../support/temp-folder.js';

const invented = 300;
const { concurrency } = defaultConfig({}).credentials;

type LogIn = (login: string, password: string, address: string) => Promise<AuthOutcome>;

const loginOn = (guard: CredentialGuard): LogIn => {
  return (login, password, address) => guard.authenticate({ login, password: Buffer.from(password), address });
};

let floods = 0;

/** Logs in with logins that nobody has, so many at a time, again and again until told to stop. */
function flood(logIn: LogIn, addressOf: (index: number) => string) {
  floods += 1;
  const number = floods;
  let going = true;
  let answers = 0;
  const all = Array.from({ length: invented }, async (_, index) => {
    for (let round = 0; going; round += 1) {
      const outcome = await logIn(`nobody${index}x${round}`, `guess ${number}`, addressOf(index));
      assert.equal(brief(outcome), 'refused unknown-user');
      answers += 1;
    }
  });
  return {
    answers: () => answers,
    async stop() {
      going = false;
      await Promise.all(all);
    },
  };
}

test('a slow backend: honest logins wait for one question of each other login or network, and no outage is told', async (t) => {
  const tookMs = 50;
  const honest = Array.from({ length: 20 }, (_, index): [string, string] => [`user${index}`, 'right']);
  const backend = scriptedBackend(honest);
  const { clock, guard, login, captured } = guardUnderTest(t, { concurrency }, backend);
  backend.script = (name, password) =>
    new Promise((resolve) => {
      const right = backend.users.get(name) === password;
      clock.after(tookMs, () =>
        resolve(right ? { accepted: true, login: name, proof: 0 } : { accepted: false, reason: 'unknown-user' }),
      );
    });
  let going = true;
  const passing = (async () => {
    while (going) {
      clock.advance(5);
      for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
    }
  })();
  const timed = async (name: string, address: string): Promise<number> => {
    const begin = clock.monotonicMs();
    assert.equal(brief(await login(name, 'right', address)), `accepted ${name}`);
    return clock.monotonicMs() - begin;
  };
  const one = flood(login as LogIn, () => '192.0.2.1');
  const [same, other] = await Promise.all([timed('user1', '192.0.2.1'), timed('user2', '192.0.2.2')]);
  // Later, when each login of the flood has had its turn, and again when it is known.
  const [later, known] = [await timed('user3', '192.0.2.1'), await timed('user2', '192.0.2.1')];
  await one.stop();
  const many = flood(login as LogIn, (index) => `198.51.${index >> 8}.${index & 255}`);
  const among = await timed('user4', '192.0.2.4');
  await many.stop();
  going = false;
  await passing;
  t.diagnostic(
    `${same} and ${later} ms from the address of the flood, ${other} ms from another, ${among} ms among many`,
  );
  assert.ok(same <= 2_000 && later <= 2_000 && among <= 2_000 && other <= 300 && known <= 300);
  assert.equal(guard.outage, false);
  assert.deepEqual(
    captured.lines().filter(({ level }) => Number(level) >= 40),
    [],
  );
});

test('what waits in our own row until its time is over is told so, and is no outage of the backend', async (t) => {
  const backend = scriptedBackend();
  const { clock, guard, login, captured } = guardUnderTest(t, { concurrency: 1, timeoutMs: 1_000 }, backend);
  const answers: (() => void)[] = [];
  backend.script = (name) =>
    new Promise((resolve) => answers.push(() => resolve({ accepted: true, login: name, proof: 0 })));
  const outcomes = ['user1', 'user2', 'user3'].map((name) => login(name, 'x'));
  await new Promise(setImmediate);
  clock.advance(900);
  // The second is asked, with a tenth of a second left to whoever waits; the third stays in the row.
  answers.shift()!();
  await new Promise(setImmediate);
  clock.advance(100);
  assert.equal(brief(await outcomes[0]!), 'accepted user1');
  for (const outcome of [await outcomes[1]!, await outcomes[2]!]) {
    assert.equal(brief(outcome), 'unavailable E_CREDENTIALS_BUSY');
    assert.ok(outcome.kind === 'unavailable' && outcome.reason === 'too-many-logins');
  }
  assert.equal(guard.outage, false);
  assert.equal(captured.text(), '');
  assert.equal(backend.asked.length, 2, 'the third was asked about though nobody waits for it');
  // What the backend says to the second all the same is remembered.
  answers.shift()!();
  await new Promise(setImmediate);
  assert.equal(brief(await login('user2', 'x')), 'accepted user2');
  assert.equal(backend.asked.length, 2);
  // A backend that takes all of its own time is out.
  const late = login('user3', 'x');
  await new Promise(setImmediate);
  clock.advance(1_000);
  const outcome = await late;
  assert.equal(brief(outcome), 'unavailable E_CREDENTIALS_TIMEOUT');
  assert.ok(outcome.kind === 'unavailable' && outcome.reason === 'backend-unavailable');
  assert.equal(guard.outage, true);
});

/** Honest first logins alone and under the floods, in real time: compared with one another, machines differ. */
async function compare(
  t: TestContext,
  backend: CredentialBackend,
  passwordOf: (login: string) => string,
  mayWaitFor: number | null = null,
) {
  const captured = captureLog();
  const config = { ...guardConfig, concurrency };
  const guard = createCredentialGuard({ backend, config, log: captured.log, clock: systemClock });
  t.after(() => guard.close());
  // The broker's own timers keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  const logIn = loginOn(guard);
  let next = 0;
  const timed = async (address: string): Promise<number> => {
    const login = `user${next++}`;
    const begin = performance.now();
    assert.equal(brief(await logIn(login, passwordOf(login), address)), `accepted ${login}`);
    return performance.now() - begin;
  };
  const longest = async (address: string, invented = { answers: () => 0 }): Promise<[ms: number, others: number]> => {
    const times: number[] = [];
    const others: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const before = invented.answers();
      times.push(await timed(address));
      others.push(invented.answers() - before);
    }
    return [Math.max(...times), Math.max(...others)];
  };
  const [alone] = await longest('192.0.2.1');
  const one = flood(logIn, () => '192.0.2.1');
  const same = await longest('192.0.2.1', one);
  const other = await longest('192.0.2.2', one);
  await one.stop();
  const many = flood(logIn, (index) => `198.51.${index >> 8}.${index & 255}`);
  const among = await longest('192.0.2.4', many);
  await many.stop();
  const tell = ([ms, others]: [number, number]) => `${ms.toFixed(0)} ms and ${others} others`;
  t.diagnostic(
    `alone ${alone.toFixed(0)} ms; under the flood ${tell(same)} from its address, ${tell(other)} from another; ${tell(among)} among 300 addresses`,
  );
  // The promise is two seconds; a machine that is busy with other things may take longer for anything.
  for (const [ms] of [same, other, among]) assert.ok(ms < Math.max(20 * alone, 2_000), `${ms} ms`);
  // Where each of the invented logins has to be asked about, each has its turn once before an honest one.
  for (const [, others] of [same, among]) assert.ok(mayWaitFor === null || others <= mayWaitFor, `${others} others`);
  assert.equal(guard.outage, false);
  assert.deepEqual(
    captured.lines().filter(({ level }) => Number(level) >= 40),
    [],
  );
}

const honest = Array.from({ length: 12 }, (_, index) => `user${index}`);

test('a users file: invented logins take no time from honest ones', async (t) => {
  const path = join(await tempFolder(t), 'users');
  const lines = await Promise.all(honest.map(async (login) => `${login}:${await hashPassword(`right ${login}`)}\n`));
  await writeFile(path, lines.join(''));
  const backend = await openFileBackend({ path, log: captureLog().log, clock: systemClock });
  await compare(t, backend, (login) => `right ${login}`);
});

test('a directory: invented logins take little time from honest ones', async (t) => {
  const slapd = await slapdFor(t, { users: new Map(honest.map((login) => [login, `right ${login}`])) });
  const { backend } = await openLdap(t, slapd);
  await compare(t, backend, (login) => `right ${login}`, 2 * invented);
});
