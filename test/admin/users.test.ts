import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAdmin, codeOf } from '../support/admin.js';
import { OpenApi } from '../support/openapi.js';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker({ config: { limits: { queuedMessages: 2, inflightMessages: 2 } } });
const api = new OpenApi();

async function ask(operation: string, path: string, body?: object) {
  const [method = ''] = operation.split(' ');
  const answer = await askAdmin(`${broker.folder}/admin.sock`, `/v1${path}`, { method, ...(body && { body }) });
  assert.deepEqual(api.complaints(operation, answer.body, answer.status), [], answer.text);
  return answer;
}
async function get<T>(operation: string, path: string, body?: object): Promise<T> {
  const answer = await ask(operation, path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body as T;
}

interface User {
  readonly login: string;
  readonly connections: number;
  readonly keptSessions: number;
  readonly queuedMessages: number;
  readonly denials: number;
  readonly limits: readonly { readonly limit: string; readonly used: number; readonly most: number }[];
  readonly held: Record<string, number>;
  readonly totals: { readonly publishesReceived: number; readonly bytesSent: number };
  readonly sessions: readonly {
    readonly client: string;
    readonly connected: boolean;
    readonly queuedMessages: number;
  }[];
}

test('who uses how much, and how near to which limit', async () => {
  const kept = await RawClient.connect(broker, { as: 'alice', clean: false, clientId: freshId('kept') });
  await kept.subscribe(['iotlab/alice/#', 1], ['iotlab/alice/x', 1]);
  await kept.disconnect();
  await using alice = await RawClient.connect(broker, { as: 'alice' });
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await alice.publish('iotlab/alice/x', 'y', { qos: 1, retain: true });
  await alice.publish('iotlab/bob/x', 'y', { qos: 1 });
  await alice.publish('iotlab/bob/x', 'y', { qos: 1 });
  await bob.expectNothing();
  const { users } = await get<{ users: User[] }>('GET /users', '/users?sort=queued');
  assert.deepEqual(
    users.map(({ login, connections, keptSessions, queuedMessages, denials }) => [
      ...[login, connections, keptSessions, queuedMessages, denials],
    ]),
    [
      ['alice', 1, 1, 1, 2],
      ['bob', 1, 0, 0, 0],
    ],
  );
  const one = await get<User>('GET /users/{login}', '/users/alice');
  const used = Object.fromEntries(one.limits.map(({ limit, used: now }) => [limit, now]));
  assert.deepEqual(
    [used.connectionsPerUser, used.sessionsPerUser, used.subscriptionsPerUser, used.retainedMessagesPerUser],
    [1, 1, 2, 1],
  );
  assert.ok(used.queuedBytesPerUser! > 0 && used.memoryPerUser! > used.queuedBytesPerUser!);
  const { heldBytes, balances } = broker.parts().accounts.known('alice')!;
  assert.equal(used.memoryPerUser, heldBytes, 'the number by which the broker refuses');
  assert.equal(one.held.queues, balances.queues.bytes);
  assert.equal(one.totals.publishesReceived, 3);
  assert.deepEqual(
    one.sessions.map(({ client, connected }) => [client, connected]).sort(),
    [
      [alice.clientId, true],
      [kept.clientId, false],
    ].sort(),
  );
  assert.equal(codeOf(await ask('GET /users/{login}', '/users/nobody')), 'not-found');
});

test('one session: what it holds, and its end', async () => {
  const clientId = `${freshId()} /?#`;
  const client = await RawClient.connect(broker, { as: 'bob', clean: false, clientId });
  await client.subscribe(['iotlab/bob/#', 1]);
  const path = `/users/bob/sessions/${encodeURIComponent(clientId)}`;
  const session = await get<{ subscriptions: object[] }>('GET /users/{login}/sessions/{client}', path);
  assert.deepEqual(session.subscriptions, [{ filter: 'iotlab/bob/#', qos: 1 }]);
  client.send(mqtt.publish('iotlab/bob/x', 'x', { qos: 1, id: 1 }));
  await client.take(mqtt.PUBLISH);
  const ended = await get<{ messages: number }>('DELETE /users/{login}/sessions/{client}', path);
  assert.equal(ended.messages, 1);
  await client.closed();
  assert.equal((await ask('GET /users/{login}/sessions/{client}', path)).status, 404);
  assert.equal((await ask('DELETE /users/{login}/sessions/{client}', path)).status, 404);
  const { sessionPresent, client: again } = await RawClient.attempt(broker, { as: 'bob', clean: false, clientId });
  assert.equal(sessionPresent, false);
  await again.disconnect();
});

test('retained messages: those that the user published, without their payload', async () => {
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  for (const name of ['a/1', 'a/2', 'b']) {
    await bob.publish(`iotlab/bob/${name}`, 'secret', { qos: 1, retain: true });
  }
  const operation = 'GET /users/{login}/retained';
  const { retained, total } = await get<{ retained: { topic: string; bytes: number }[]; total: number }>(
    operation,
    '/users/bob/retained?limit=2',
  );
  assert.deepEqual([retained.length, total, retained[0]!.bytes], [2, 3, 6]);
  assert.ok(!JSON.stringify(retained).includes('secret'));
  const others = await get<{ total: number }>(
    operation,
    `/users/al/retained?filter=${encodeURIComponent('iotlab/bob/#')}`,
  );
  assert.equal(others.total, 0);
  const remove = 'DELETE /users/{login}/retained';
  assert.equal(codeOf(await ask(remove, '/users/bob/retained')), 'bad-query');
  assert.equal(codeOf(await ask(remove, '/users/bob/retained?filter=a%2Bb')), 'bad-query');
  const some = await get<{ deleted: number }>(
    remove,
    `/users/bob/retained?filter=${encodeURIComponent('iotlab/bob/a/+')}`,
  );
  assert.equal(some.deleted, 2);
  assert.equal((await get<{ total: number }>(operation, '/users/bob/retained')).total, 1);
  assert.equal(broker.parts().accounts.known('bob')!.retainedMessages, 1);
  await get(remove, `/users/bob/retained?filter=${encodeURIComponent('#')}`);
  assert.equal(broker.parts().accounts.known('bob')!.balances.retained.bytes, 0);
});

test('who does not keep up', async () => {
  await using slow = await RawClient.connect(broker, { as: 'alice', clientId: freshId('slow') });
  await slow.subscribe(['iotlab/alice/slow', 1]);
  await using publisher = await RawClient.connect(broker, { as: 'alice' });
  for (let i = 0; i < 7; i++) await publisher.publish('iotlab/alice/slow', 'x', { qos: 1 });
  const { oldest, dropped } = await get<{
    oldest: { client: string; oldestUnacknowledgedSeconds: number; queuedMessages: number }[];
    dropped: { client: string; droppedMessages: number }[];
  }>('GET /slow', '/slow');
  assert.deepEqual([oldest[0]!.client, oldest[0]!.queuedMessages], [slow.clientId, 2]);
  assert.ok(oldest[0]!.oldestUnacknowledgedSeconds >= 0);
  const most = dropped.find(({ client }) => client === slow.clientId)!;
  assert.equal(most.droppedMessages, 3);
});

test('what the rules in force say', async () => {
  const question = { login: 'alice', access: 'write', topic: 'iotlab/<alice>/x' };
  const explain = (body: object) => ask('POST /acl/explain', '/acl/explain', body);
  const { body } = await explain(question);
  const { allowed, hint } = body as { allowed: boolean; hint: string };
  assert.deepEqual([allowed, /brackets/.test(hint)], [false, true]);
  const granted = (await explain({ ...question, topic: 'iotlab/alice/x' })).body as { rule: string };
  assert.equal(granted.rule, 'readwrite iotlab/%u/#');
  for (const bad of [{ login: '' }, { access: 'both' }, { topic: '#' }, { topic: 5 }]) {
    assert.equal(codeOf(await explain({ ...question, ...bad })), 'bad-body');
  }
});

test('the last entries of the audit log; a question is none', async () => {
  const { entries } = await get<{ entries: { what: string }[] }>('GET /audit', '/audit?limit=500');
  assert.ok(entries.some(({ what }) => what.startsWith('DELETE /v1/users/bob/sessions/')));
  assert.ok(!entries.some(({ what }) => what.includes('acl/explain')));
});
