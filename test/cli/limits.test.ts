import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { askAdmin } from '../support/admin.js';
import { captureIo } from '../support/command-io.js';
import { OpenApi } from '../support/openapi.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

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
  assert.match(usual, /^messagesInPerSecond +no limit$/m);
  assert.match(usual, /^messagesOutPerSecond +100$/m);

  const changed = await limits(
    ...['set', 'alice', 'messagesInPerSecond=5', 'retainedBytesPerUser=1MiB', 'burstMs=2s'],
    ...['--for', '2h', '--reason', 'a loop'],
  );
  assert.equal(changed.code, 0, changed.err);
  assert.match(changed.out, /^messagesInPerSecond +5$/m);
  assert.match(changed.out, /^retainedBytesPerUser +0 B +1\.0 MiB +0 %$/m);
  assert.match(
    changed.out,
    /^decided by an operator for alice, for (2h|1h 59m) still: messagesInPerSecond=5 .* \(a loop\)$/m,
  );
  assert.match((await limits('list')).out, /^WHO +LIMITS +STILL +WHY\nalice +messagesInPerSecond=5 .* a loop\n$/);
  assert.equal(broker.parts().accounts.known('alice')!.limits.burstMs, 2_000);

  assert.deepEqual(await limits('reset', 'alice'), { code: 0, out: 'alice has the usual limits again\n', err: '' });
  assert.equal((await limits('show', 'alice')).out, usual);
  assert.equal((await limits('list')).out, 'WHO  LIMITS  STILL  WHY\n');
});

test('limits: for a group, behind an @', async () => {
  const set = await limits('set', '@Lab', 'bytesOutPerSecond=10KiB', '--for', '1h');
  assert.match(set.out, /^decided by an operator for @lab, for (1h|59m 59s) still: bytesOutPerSecond=10.0KiB$/m);
  assert.match((await limits('show', 'bob')).out, /^bytesOutPerSecond +10.0 KiB$/m);
  assert.match((await limits('show', 'bob')).out, /^decided by an operator for @lab/m);
  assert.match((await limits('show', 'alice')).out, /^bytesOutPerSecond +no limit$/m);
  assert.match((await limits('list')).out, /^@lab +bytesOutPerSecond=10.0KiB /m);
  assert.equal((await limits('reset', '@lab')).code, 0);
  assert.equal((await limits('show', '@lab')).out, 'nothing is decided for @lab\n');
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
