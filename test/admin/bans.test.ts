import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAdmin, codeOf } from '../support/admin.js';
import { OpenApi } from '../support/openapi.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const api = new OpenApi();

async function ask(method: 'GET' | 'POST' | 'DELETE', query = '', body?: object) {
  const answer = await askAdmin(`${broker.folder}/admin.sock`, `/v1/bans${query}`, { method, ...(body && { body }) });
  assert.deepEqual(api.complaints(`${method} /bans`, answer.body, answer.status), []);
  return answer;
}
const codeOfConnect = async (as: string) => {
  const { client, code } = await RawClient.attempt(broker, { as });
  client.cut();
  return code;
};

test('who is banned is out at once and stays out, over a restart too, until somebody lets it in again', async () => {
  const alice = await RawClient.connect(broker, { as: 'alice' });
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  const ban = await ask('POST', '', { login: 'alice', seconds: 60, reason: 'a loop' });
  assert.deepEqual([ban.status, (ban.body as { ended: number }).ended], [200, 1]);
  await alice.closed();
  assert.equal(await codeOfConnect('alice'), 5);
  await bob.expectNothing();
  await broker.restart();
  assert.equal(await codeOfConnect('alice'), 5);
  assert.equal(await codeOfConnect('al'), 0);
  const { bans } = (await ask('GET')).body as { bans: { login: string; reason: string }[] };
  assert.deepEqual(
    bans.map(({ login, reason }) => [login, reason]),
    [['alice', 'a loop']],
  );
  assert.equal((await ask('DELETE', '?login=alice')).status, 200);
  assert.equal((await ask('DELETE', '?login=alice')).status, 404);
  assert.equal(await codeOfConnect('alice'), 0);
  const refused = broker.logs.lines().filter(({ reason }) => reason === 'banned');
  assert.ok(refused.some(({ msg }) => msg === 'connection refused'));
  assert.ok(refused.some(({ msg }) => msg === 'disconnected'));
});

test('an address is banned by hand', async () => {
  const alice = await RawClient.connect(broker, { as: 'alice' });
  const ban = await ask('POST', '', { address: '127.0.0.1', seconds: 60 });
  assert.equal((ban.body as { ended: number }).ended, 1);
  await alice.closed();
  assert.equal(await codeOfConnect('bob'), 5);
  assert.equal((await ask('DELETE', '?address=127.0.0.1')).status, 200);
  assert.equal(await codeOfConnect('bob'), 0);
});

test('what is no ban is refused', async () => {
  for (const body of [
    {},
    { login: '' },
    { login: 'alice', address: '127.0.0.1' },
    { address: 'alice' },
    { login: 'alice', seconds: 0 },
    { login: 'alice', seconds: 1.5 },
    { login: 'alice', seconds: '60' },
    { login: 'alice', seconds: 1e12 },
    { login: 'alice', reason: 5 },
    { login: 'alice', reason: 'x'.repeat(201) },
    { login: 'alice', minutes: 5 },
  ]) {
    assert.equal(codeOf(await ask('POST', '', body)), 'bad-body', JSON.stringify(body));
  }
  assert.equal(codeOf(await ask('DELETE')), 'bad-body');
  assert.equal(await codeOfConnect('alice'), 0);
});
