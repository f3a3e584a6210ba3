import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TopList } from '../../src/admin/top-list.js';
import { askAdmin } from '../support/admin.js';
import { eventually } from '../support/deadline.js';
import { OpenApi } from '../support/openapi.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const api = new OpenApi();

interface Row {
  readonly n: number;
  readonly login: string | null;
  readonly client: string | null;
  readonly [field: string]: unknown;
}

async function get<T>(operation: string, path: string): Promise<T> {
  const answer = await askAdmin(`${broker.folder}/admin.sock`, `/v1${path}`);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(api.complaints(operation, answer.body), []);
  return answer.body as T;
}
const list = (query = '') =>
  get<{ connections: Row[]; total: number; next: string | null }>('GET /connections', `/connections${query}`);
const remove = (path: string) => askAdmin(`${broker.folder}/admin.sock`, `/v1${path}`, { method: 'DELETE' });

test('the list has who is connected and what went over each connection, counted right', async () => {
  await using alice = await RawClient.connect(broker, { as: 'alice', clientId: freshId('a') });
  await using bob = await RawClient.connect(broker, { as: 'bob', level: 3, clean: false });
  await using stranger = await RawClient.open(broker);
  await alice.subscribe(['iotlab/alice/#', 1], ['iotlab/alice/x', 0]);
  for (let i = 0; i < 5; i++) {
    await alice.publish('iotlab/alice/x', String(i), { qos: 1 });
    await alice.receive();
  }
  await alice.expectNothing();
  const { connections, total } = await list();
  assert.equal(total, 3);
  const [last, second, first] = connections as [Row, Row, Row];
  assert.deepEqual([last.login, last.protocol, last.n > second.n], [null, null, true]);
  assert.deepEqual([second.login, second.client, second.protocol, second.clean], ['bob', bob.clientId, '3.1', false]);
  assert.deepEqual([first.login, first.client, first.protocol, first.clean], ['alice', alice.clientId, '3.1.1', true]);
  assert.deepEqual([first.publishesReceived, first.publishesSent, first.subscriptionCount], [5, 5, 2]);
  assert.deepEqual([first.bytesReceived, first.bytesSent], [alice.sentBytes, alice.receivedBytes]);
  const one = await get<Row>('GET /connections/{n}', `/connections/${first.n}`);
  assert.deepEqual(one.subscriptions, [
    { filter: 'iotlab/alice/#', qos: 1 },
    { filter: 'iotlab/alice/x', qos: 0 },
  ]);
  stranger.cut();
});

test('it is filtered, sorted, and read in pages that fit together', async () => {
  const clients = await Promise.all(
    Array.from({ length: 25 }, (_, i) => RawClient.connect(broker, { as: i % 5 === 0 ? 'bob' : 'alice' })),
  );
  const logins = (rows: Row[]) => rows.map(({ login }) => login);
  assert.deepEqual(logins((await list('?login=bob')).connections), ['bob', 'bob', 'bob', 'bob', 'bob']);
  assert.equal((await list('?address=192.0.2.1')).total, 0);
  const sorted = logins((await list('?sort=login')).connections);
  assert.deepEqual(sorted, [...sorted].sort());
  const seen: number[] = [];
  let cursor = '';
  for (let pages = 0; pages < 9; pages++) {
    const page = await list(`?sort=login&limit=4${cursor === '' ? '' : `&cursor=${cursor}`}`);
    assert.equal(page.total, 25);
    seen.push(...page.connections.map(({ n }) => n));
    if (page.next === null) break;
    cursor = page.next;
  }
  assert.equal(seen.length, 25);
  assert.equal(new Set(seen).size, 25);
  await Promise.all(clients.map((client) => client.disconnect()));
});

test('connections are ended one by one, by client and by login, and are told why afterwards', async () => {
  const connect = (as: string) => RawClient.connect(broker, { as, clientId: freshId('kick') });
  const [one, two, three, other] = await Promise.all([
    connect('alice'),
    connect('alice'),
    connect('alice'),
    connect('bob'),
  ]);
  const { n } = (await list(`?login=alice`)).connections.find(({ client }) => client === one.clientId)!;
  assert.deepEqual((await remove(`/connections/${n}`)).body, { ended: 1 });
  await one.closed();
  assert.equal((await remove(`/connections/${n}`)).status, 404);
  assert.deepEqual((await remove(`/users/alice/connections?client=${two.clientId}`)).body, { ended: 1 });
  await two.closed();
  assert.deepEqual((await remove('/users/alice/connections')).body, { ended: 1 });
  await three.closed();
  assert.deepEqual((await remove('/users/alice/connections')).body, { ended: 0 });
  const ended = (await list('?state=closed&login=alice&limit=3')).connections;
  assert.deepEqual(
    ended.map(({ client, reason, inWords }) => [client, reason, inWords]),
    [three, two, one].map(({ clientId }) => [clientId, 'kicked', 'an operator ended it']),
  );
  await other.expectNothing();
  await other.disconnect();
});

test('those that have ended come in the order of their ends, when that is asked for', async () => {
  const [first, second] = [freshId('ends'), freshId('ends')];
  const one = await RawClient.connect(broker, { as: 'bob', clientId: first });
  const two = await RawClient.connect(broker, { as: 'bob', clientId: second });
  for (const client of [two, one]) {
    await client.disconnect();
    const now = Date.now();
    await eventually(1_000, 'the next millisecond', () => Date.now() > now);
  }
  const ended = async () => {
    const { connections } = await list('?state=closed&login=bob&sort=ended&limit=2');
    return connections.map(({ client }) => client);
  };
  await eventually(2_000, 'the ends in their order', async () => (await ended()).join() === `${first},${second}`);
});

test('what is denied, dropped and refused is listed with what helps', async () => {
  await using alice = await RawClient.connect(broker, { as: 'alice', clientId: freshId('deny') });
  for (let i = 0; i < 3; i++) await alice.publish('iotlab/<alice>/x', 'x', { qos: 1 });
  await alice.subscribe(['iotlab/bob/#', 0], ['iotlab/alice/#', 0]);
  await assert.rejects(RawClient.connect(broker, { as: 'nobody' }));
  const denials = (query = '') =>
    get<{ denials: Record<string, unknown>[] }>('GET /denials', `/denials${query}`).then((body) => body.denials);
  const [subscribe, publish] = await denials(`?login=alice&limit=2`);
  assert.deepEqual(
    [publish!.action, publish!.topic, publish!.count, publish!.client],
    ['publish', 'iotlab/<alice>/x', 3, alice.clientId],
  );
  assert.match(String(publish!.hint), /brackets included/);
  assert.deepEqual([subscribe!.action, subscribe!.topic, subscribe!.count], ['subscribe', 'iotlab/bob/#', 1]);
  const [refused] = await denials('?login=nobody');
  assert.deepEqual([refused!.action, refused!.reason, refused!.address], ['connect', 'unknown-user', '127.0.0.1']);
  assert.ok((await denials()).length >= 3);
});

test('names that clients choose do nothing to whoever looks at the answer', async () => {
  const clientId = `<img src=x onerror=alert(1)>\u009b2J\u202e${freshId()}`;
  await using client = await RawClient.connect(broker, { as: 'alice', clientId });
  await client.publish('iotlab/<script>/\u009b\u200f&', '', { qos: 1 });
  for (const path of ['/v1/connections', '/v1/denials']) {
    const { text } = await askAdmin(`${broker.folder}/admin.sock`, path);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
    assert.doesNotMatch(text, /[<>&\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202e]/);
  }
  const found = (await list('?login=alice')).connections;
  assert.ok(found.some(({ client }) => client === clientId));
});

test('the first of many are found without sorting all of them', () => {
  const numbers = Array.from({ length: 500 }, (_, i) => (i * 7_919) % 101);
  for (const descending of [true, false]) {
    const all = numbers.map((key, n) => ({ key, n }));
    all.sort((a, b) => (descending ? b.key - a.key : a.key - b.key) || a.n - b.n);
    const seen: number[] = [];
    let cursor: string | undefined;
    for (;;) {
      const top = new TopList<number>(37, descending, cursor);
      for (const [n, key] of numbers.entries()) top.add(key, n, n);
      seen.push(...top.items);
      if (top.next === null) break;
      cursor = top.next;
    }
    assert.deepEqual(
      seen,
      all.map(({ n }) => n),
    );
  }
  const strange = new TopList<number>(2, true, 'no cursor');
  for (let n = 0; n < 3; n++) strange.add(n, n, n);
  assert.deepEqual(strange.items, [2, 1]);
});
