import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { askAdmin } from '../support/admin.js';
import { captureIo } from '../support/command-io.js';
import { eventually } from '../support/deadline.js';
import { OpenApi } from '../support/openapi.js';
import { RawClient } from '../support/raw-client.js';
import { cheapHash, useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker({
  users: ['alice', 'bob'],
  config: { limits: { messagesOutPerSecond: 100 }, groups: [{ name: 'lab', users: ['bob'] }] },
});

async function limits(...args: string[]) {
  const config = join(broker.folder, 'cli.yaml');
  await writeFile(config, `admin: { socket: ${join(broker.folder, 'admin.sock')} }\n`);
  const io = captureIo();
  const code = await runCli(['limits', ...args, '--config', config], io);
  return { code, out: io.out(), err: io.err() };
}

test('limits: shown, changed for a while, listed, taken back', async () => {
  await using client = await RawClient.connect(broker);
  await client.subscribe(['iotlab/alice/a', 0]);
  const usual = (await limits('show', 'alice')).out;
  assert.match(usual, /^connectionsPerUser +1 +1000 +0 %$/m);
  assert.match(usual, /^subscriptionsPerUser +1 +50000 +0 %$/m);
  assert.match(usual, /^memoryPerUser +\d[\d.]* [KM]iB +64\.0 MiB +0 %$/m);
  assert.match(usual, /^messagesInPerSecond +0 +no limit$/m);
  assert.match(usual, /^messagesOutPerSecond +0 +100 +0 %$/m);

  const changed = await limits(
    ...['set', 'alice', 'messagesInPerSecond=5', 'retainedBytesPerUser=1MiB', 'burstMs=2s'],
    ...['--for', '2h', '--reason', 'a loop'],
  );
  assert.equal(changed.code, 0, changed.err);
  assert.match(changed.out, /^messagesInPerSecond +0 +5 +0 %$/m);
  assert.match(changed.out, /^retainedBytesPerUser +0 B +1\.0 MiB +0 %$/m);
  assert.match(
    changed.out,
    /^decided by an operator for alice, for (2h|1h 59m) still: messagesInPerSecond=5 .* \(a loop\)$/m,
  );
  assert.match((await limits('list')).out, /^WHO +LIMITS +STILL +WHY\nalice +messagesInPerSecond=5 .* a loop\n$/);
  assert.equal(broker.parts().accounts.known('alice')!.limits.burstMs, 2_000);

  assert.deepEqual(await limits('reset', 'alice'), { code: 0, out: 'alice has the usual limits again\n', err: '' });
  const rates = /^bytes(In|Out)PerSecond.*$/gm;
  assert.equal((await limits('show', 'alice')).out.replaceAll(rates, ''), usual.replaceAll(rates, ''));
  assert.equal((await limits('list')).out, 'WHO  LIMITS  STILL  WHY\n');
});

test('limits: for a group, behind an @', async () => {
  const set = await limits('set', '@Lab', 'bytesOutPerSecond=10KiB', '--for', '1h');
  assert.match(set.out, /^decided by an operator for @lab, for (1h|59m 59s) still: bytesOutPerSecond=10.0KiB$/m);
  assert.match((await limits('show', 'bob')).out, /^bytesOutPerSecond +0 B +10.0 KiB +0 %$/m);
  assert.match((await limits('show', 'bob')).out, /^decided by an operator for @lab/m);
  assert.match((await limits('show', 'alice')).out, /^bytesOutPerSecond +\d+ B +no limit$/m);
  assert.match((await limits('list')).out, /^@lab +bytesOutPerSecond=10.0KiB /m);
  assert.equal((await limits('reset', '@lab')).code, 0);
  assert.equal((await limits('show', '@lab')).out, 'nothing is decided for @lab\n');
});

test('limits: what is set says what it takes the place of, and how to have both', async () => {
  const first = await limits('set', 'alice', 'messagesInPerSecond=5', '--for', '2h', '--reason', 'a\nloop \u001b[31m');
  assert.doesNotMatch(first.out, /takes the place/);
  assert.match(first.out, / \(a\\nloop \\u001b\[31m\)$/m);
  const second = await limits('set', 'alice', 'connectionsPerUser=50');
  assert.match(
    second.out,
    /^this takes the place of what was decided by an operator for alice, for .* still: messagesInPerSecond=5 \(a\\nloop/m,
  );
  assert.match(
    second.out,
    /^to have both: iotlab-broker limits set alice messagesInPerSecond=5 connectionsPerUser=50$/m,
  );
  assert.match(second.out, /^messagesInPerSecond +0 +no limit$/m);
  const third = await limits('set', 'alice', 'connectionsPerUser=40');
  assert.match(third.out, /^this takes the place of /m);
  assert.doesNotMatch(third.out, /to have both/);
  await limits('reset', 'alice');
});

test('limits: who is not known, and which group, is said; so are the groups of who has never logged in', async () => {
  const unknown = await limits('set', 'alcie', 'messagesInPerSecond=5');
  assert.equal(unknown.code, 0);
  assert.match(unknown.out, /^note: there is no alcie, as the file backend says: nobody could log in with it$/m);
  await limits('reset', 'alcie');
  const group = await limits('set', '@studnets', 'messagesInPerSecond=5');
  assert.match(group.out, /^note: the configuration names no @studnets, and nobody who is here belongs to it/m);
  await limits('reset', '@studnets');
  assert.doesNotMatch((await limits('set', '@lab', 'sessionsPerUser=7', '--reason', 'y')).out, /^note/m);
  await limits('set', '@staff', 'sessionsPerUser=9', '--reason', 'x');
  // Of carol the users file says that she belongs to the staff, and nobody has seen her.
  await appendFile(broker.usersFile, `carol:${cheapHash('x')}:staff\n`);
  const shown = async () => (await limits('show', 'carol')).out;
  await eventually(10_000, 'the file to be read', async () => !(await shown()).includes('there is no carol'));
  const carol = await shown();
  assert.equal(broker.parts().accounts.known('carol'), undefined);
  assert.match(carol, /^sessionsPerUser +9$/m);
  assert.match(carol, /^carol belongs to @staff$/m);
  assert.match(carol, /^decided by an operator for @staff, until it is taken back: sessionsPerUser=9 \(x\)$/m);
  assert.doesNotMatch(carol, /^note/m);
  assert.match((await limits('show', 'bob')).out, /^sessionsPerUser +7$/m);
  for (const each of ['@lab', '@staff']) await limits('reset', each);
});

test('limits: what cannot be is refused in words', async () => {
  for (const [args, why] of [
    [['set', 'alice', 'messagesPerSecond=5'], /"messagesPerSecond" is no limit of a user; known: connectionsPerUser/],
    [['set', 'alice', 'connectionsPerUser=0'], /"connectionsPerUser" must be a whole number from 1/],
    [['set', 'alice', 'burstMs=2x'], /"burstMs" must be a duration from 100ms/],
    [['set', 'alice', 'messagesInPerSecond'], /is not of the form LIMIT=VALUE/],
    [['set', 'alice', 'burstMs=2s', '--for', 'soon'], /--for soon is not a duration/],
    [['reset', 'bob'], /bob has the usual limits/],
    [['reset', '@lab'], /@lab has the usual limits/],
    [['set', '@a,b', 'burstMs=2s'], /"a,b" has a ":" or ","/],
    [['set', 'alice'], /LIMIT=VALUE is missing/],
    [['set', '@', 'burstMs=2s'], /name a login, or a group behind an @, such as @students/],
    [['show', '@'], /name a login, or a group/],
    [['set', 'alice', 'burstMs=2s', '--for', '-1h'], /--for -1h is not a duration such as 30m, 2h, 7d/],
    [['set', 'alice', 'burstMs=2s', '--for=-1h'], /--for -1h is not a duration such as 30m, 2h, 7d/],
  ] as const) {
    const { code, err } = await limits(...args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, why);
  }
});

test('the routes answer as docs/openapi.yaml says', async () => {
  const api = new OpenApi();
  const socket = join(broker.folder, 'admin.sock');
  const ask = async (method: string, path: string, route: string, body?: object) => {
    const answer = await askAdmin(socket, `/v1${path}`, { method, ...(body && { body }) });
    assert.deepEqual(api.complaints(`${method} ${route}`, answer.body, answer.status), [], answer.text);
    return answer.status;
  };
  const one = '/users/{login}/limits';
  assert.equal(await ask('PUT', '/users/bob/limits', one, { limits: { bytesInPerSecond: 10 } }), 200);
  assert.equal(await ask('GET', '/users/bob/limits', one), 200);
  await using _ = await RawClient.connect(broker, { as: 'bob' });
  assert.equal(await ask('GET', '/users/bob/limits', one), 200);
  assert.equal(await ask('GET', '/limits', '/limits'), 200);
  assert.equal(await ask('PUT', '/users/bob/limits', one, { limits: {} }), 400);
  assert.equal(await ask('DELETE', '/users/bob/limits', one), 200);
  assert.equal(await ask('DELETE', '/users/bob/limits', one), 404);
  assert.equal(await ask('GET', '/users/@lab/limits', one), 404);
  const group = '/groups/{group}/limits';
  assert.equal(await ask('PUT', '/groups/lab/limits', group, { limits: { burstMs: 1_000 } }), 200);
  assert.equal(await ask('GET', '/groups/lab/limits', group), 200);
  assert.equal(await ask('GET', '/limits', '/limits'), 200);
  assert.equal(await ask('DELETE', '/groups/lab/limits', group), 200);
  assert.equal(await ask('DELETE', '/groups/lab/limits', group), 404);
});
