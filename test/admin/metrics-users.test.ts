import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { askAdmin, codeOf } from '../support/admin.js';
import { MetricsText } from '../support/metrics.js';
import { openPage, sectionOf, tableRows } from '../support/pages.js';
import { freePort } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

const clock = new ManualClock();
const users = ['alice', 'bob', 'carol', 'david', '_other'];
let broker: TestBroker;
let port = 0;

before(async () => {
  port = await freePort();
  const credentials = { loginPattern: '^[a-z_]+$' };
  broker = await startTestBroker({ users, config: { admin: { port }, credentials }, seams: { clock } });
});
after(() => broker.stop());

async function ask(query = '') {
  const token = (await readFile(join(broker.folder, 'admin.token'), 'utf8')).trim();
  const answer = await askAdmin(port, `/metrics/users${query}`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  return new MetricsText(answer.text);
}

test('the first by name and the rest together, whatever they are the first of', async () => {
  const clients: RawClient[] = [];
  const connect = async (as: string) => {
    const client = await RawClient.connect(broker, { as, keepaliveSeconds: 0 });
    clients.push(client);
    return client;
  };
  for (const [i, as] of users.entries()) for (let n = 0; n <= i; n++) await connect(as);
  // What is known of the last minute is known from the first look on.
  clock.advance(5_000);
  await nextTurn();
  for (let n = 0; n < 60; n++) await clients[0]!.publish('iotlab/alice/x', 'x', { qos: 1 });
  await clients[1]!.publish('iotlab/bob/x', 'x'.repeat(60_000), { qos: 1, retain: true });
  clock.advance(55_000);
  await nextTurn();
  const byConnections = (await ask('?top=2&by=connections')).by('login', 'user_connections');
  assert.deepEqual(byConnections, { david: 4, carol: 3, _other: 1 + 2 + 5 });
  const all = await ask();
  assert.deepEqual(all.by('login', 'user_connections'), { alice: 1, bob: 2, carol: 3, david: 4, _other: 5 });
  const publishes = await ask('?top=1&by=publishes');
  const rate = publishes.sum('user_publishes_received_per_second', { login: 'alice' });
  assert.ok(rate >= 1 && rate <= 1.2, `${rate}`);
  assert.ok(publishes.sum('user_received_bytes_per_second', { login: '_other' }) > 1_000);
  assert.equal((await ask('?top=1&by=bytes')).sum('user_retained_messages', { login: 'bob' }), 1);
  const held = await ask('?top=5&by=held');
  assert.equal(
    held.sum('user_held_bytes', { login: 'bob' }),
    broker.parts().accounts.known('bob')!.heldBytes,
    'the ledger has the same',
  );
  for (const client of clients) client.cut();
});

test('nobody without the token, and no more than there may be', async () => {
  assert.equal((await askAdmin(port, '/metrics/users')).status, 401);
  const socket = join(broker.folder, 'admin.sock');
  for (const query of ['?top=501', '?top=0', '?top=x', '?by=login']) {
    const answer = await askAdmin(socket, `/v1/metrics/users${query}`);
    assert.equal(codeOf(answer), 'bad-query', query);
  }
  assert.equal((await askAdmin(socket, '/v1/metrics/users?top=500')).status, 200);
});

test('docs/operating.md names each of them', async () => {
  const { help, types } = await ask();
  const rows = tableRows(sectionOf(openPage('docs/operating.md'), 'Watch who needs most'));
  assert.deepEqual(
    rows.map(([name = '', what]) => [`iotlab_broker_${name.replaceAll('`', '')}`, what]),
    [...help],
  );
  assert.ok([...types.values()].every((type) => type === 'gauge'));
});
