import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { askAdmin, codeOf } from '../support/admin.js';
import { OpenApi } from '../support/openapi.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { scriptedBackend } from '../support/scripted-backend.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const ask = (path: string, question = {}) => askAdmin(`${broker.folder}/admin.sock`, `/v1${path}`, question);
const api = new OpenApi();

test('a class is added at once, its passwords are told once, and who is there stays as he is', async () => {
  const body = { logins: ['course01', 'course02', 'alice', 'course01'], groups: ['Course'] };
  const answer = await ask('/accounts', { method: 'POST', body });
  assert.deepEqual(api.complaints('POST /accounts', answer.body), []);
  const { added, there } = answer.body as { added: { login: string; password: string }[]; there: string[] };
  assert.deepEqual([added.map(({ login }) => login).sort(), there], [['course01', 'course02'], ['alice']]);
  for (const { login: as, password } of [...added, { login: 'alice', password: passwordOf('alice') }]) {
    await using _ = await RawClient.connect(broker, { as, password });
  }
  const text = await readFile(broker.usersFile, 'utf8');
  assert.match(text, /^course01:\$[^:]+:Course$/m);
  assert.equal((await stat(broker.usersFile)).mode & 0o077, 0);
  const audit = await readFile(`${broker.folder}/audit.jsonl`, 'utf8');
  for (const { password } of added) assert.ok(!audit.includes(password));
});

test('nobody is added when somebody could not be', async () => {
  for (const body of [
    {},
    { logins: [] },
    { logins: ['dora', 'No Login'] },
    { logins: 'dora' },
    { logins: ['dora'], groups: ['a:b'] },
    { logins: ['dora'], passwords: ['x'] },
    { logins: Array.from({ length: 501 }, (_, i) => `dora${i}`) },
  ]) {
    assert.equal((await ask('/accounts', { method: 'POST', body })).status, 400, JSON.stringify(body).slice(0, 60));
  }
  assert.doesNotMatch(await readFile(broker.usersFile, 'utf8'), /dora/);
});

test('who may log in is found, whether or not anything of his is here', async () => {
  await using client = await RawClient.connect(broker, { as: 'alice' });
  await client.publish('iotlab/alice/x', 'x', { qos: 1 });
  await ask('/accounts', { method: 'POST', body: { logins: ['lab01', 'lab02'] } });
  const found = async (query: string) => {
    const { body } = await ask(`/accounts${query}`);
    assert.deepEqual(api.complaints('GET /accounts', body), []);
    return (body as { accounts: { login: string; here: boolean }[] }).accounts;
  };
  assert.deepEqual(await found('?find=ab0'), [
    { login: 'lab01', here: false },
    { login: 'lab02', here: false },
  ]);
  assert.deepEqual(await found('?find=lice'), [{ login: 'alice', here: true }]);
  assert.equal((await found('?limit=1')).length, 1);
  assert.deepEqual(await found('?find=nobody-at-all'), []);
});

test('a user is removed with all that is kept of him, and is out', async () => {
  await using client = await RawClient.connect(broker, { as: 'bob', clientId: 'bobs', clean: false });
  await client.subscribe(['iotlab/bob/#', 1]);
  await client.publish('iotlab/bob/kept', 'x', { retain: true, qos: 1 });
  const answer = await ask('/accounts/bob', { method: 'DELETE' });
  assert.deepEqual(api.complaints('DELETE /accounts/{login}', answer.body), []);
  await client.closed();
  assert.equal(broker.parts().accounts.known('bob'), undefined);
  assert.equal((await RawClient.attempt(broker, { as: 'bob' })).code, 5);
  assert.equal((await ask('/accounts/bob', { method: 'DELETE' })).status, 404);
});

test('users of another backend are not the broker’s to change', async () => {
  await using other = await startTestBroker({ seams: { backend: scriptedBackend() } });
  const body = { logins: ['dora'] };
  const answer = await askAdmin(`${other.folder}/admin.sock`, '/v1/accounts', { method: 'POST', body });
  assert.deepEqual([answer.status, codeOf(answer)], [409, 'no-users-file']);
});

test('the last quarter of an hour is there for who looks at it', async () => {
  const answer = await ask('/course');
  assert.deepEqual(api.complaints('GET /course', answer.body), []);
});
