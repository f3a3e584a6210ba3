// Everything that is kept of a login goes, and nothing of anybody else.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { askAdmin } from '../support/admin.js';
import { Client5 } from '../support/client5.js';
import { captureIo } from '../support/command-io.js';
import { eventually } from '../support/deadline.js';
import { OpenApi } from '../support/openapi.js';
import { p } from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

const acl = [
  { access: 'readwrite' as const, topic: 'iotlab/%u/#' },
  { access: 'readwrite' as const, topic: 'iotlab/+/#', users: ['carol'] },
  { access: 'readwrite' as const, topic: 'course/#' },
];

async function start(t: TestContext): Promise<TestBroker> {
  const broker = await startTestBroker({ users: ['alice', 'al', 'bob', 'carol'], store: 'folder', config: { acl } });
  t.after(() => broker.stop());
  return broker;
}

interface Forgotten {
  readonly connections: number;
  readonly sessions: number;
  readonly messages: number;
  readonly wills: number;
  readonly retained: number;
  readonly limits: boolean;
}

async function forget(broker: TestBroker, login: string): Promise<Forgotten> {
  const path = `/v1/users/${login}/data`;
  const { status, body, text } = await askAdmin(join(broker.folder, 'admin.sock'), path, { method: 'DELETE' });
  assert.equal(status, 200, text);
  assert.deepEqual(new OpenApi().complaints('DELETE /users/{login}/data', body, status), []);
  return body as Forgotten;
}

/** As much as can be kept of somebody. */
async function leaveTraces(broker: TestBroker, login: string) {
  const kept = await RawClient.connect(broker, { as: login, clean: false, clientId: freshId('kept') });
  await kept.subscribe([`iotlab/${login}/#`, 1]);
  await kept.disconnect();
  const delayed = await Client5.connect(broker, {
    ...{ as: login, clientId: freshId('delayed') },
    properties: [p.sessionExpiry(600)],
    will: { topic: `course/delayed-${login}`, payload: login, retain: true, properties: [p.willDelay(300)] },
  });
  delayed.raw.cut();
  const live = await RawClient.connect(broker, {
    ...{ as: login, clean: false, clientId: freshId('live') },
    will: { topic: `course/live-${login}`, payload: login, retain: true },
  });
  await live.publish(`iotlab/${login}/a`, 'x', { qos: 1, retain: true });
  await live.publish(`course/${login}`, 'x', { qos: 1, retain: true });
  await live.publish(`iotlab/${login}/b`, 'x', { qos: 1 });
  const question = { method: 'PUT', body: { limits: { sessionsPerUser: 9 } } };
  await askAdmin(join(broker.folder, 'admin.sock'), `/v1/users/${login}/limits`, question);
  await live.publish('not/mine', 'x', { qos: 1 });
  return { kept, live };
}

test('nothing of the login is left in memory, on disk, or on its way; everything of the others is', async (t) => {
  const broker = await start(t);
  await using carol = await RawClient.connect(broker, { as: 'carol' });
  await carol.publish('iotlab/alice/from-carol', 'x', { qos: 1, retain: true });
  await carol.publish('iotlab/al/from-carol', 'x', { qos: 1, retain: true });
  await using watcher = await RawClient.connect(broker, { as: 'bob' });
  await watcher.subscribe(['course/+', 0]);
  const others = await leaveTraces(broker, 'al');
  const { live, kept } = await leaveTraces(broker, 'alice');
  const { sessions, accounts, connections, wills, history, limitRules } = broker.parts();
  await eventually(5_000, 'the delayed clients to be gone', () => connections.size === 4);
  for (let i = 0; i < 2; i++) assert.match((await watcher.receive()).topic, /^course\/al/);
  assert.deepEqual(await forget(broker, 'alice'), {
    ...{ login: 'alice', connections: 1, sessions: 3, messages: 3, wills: 2, retained: 3, limits: true },
  });
  await live.closed();
  await eventually(5_000, 'the account to be forgotten', () => accounts.known('alice') === undefined);
  assert.deepEqual(
    [...sessions.values()].filter(({ login }) => login === 'alice'),
    [],
  );
  assert.deepEqual([wills.of('alice'), wills.of('al')], [0, 2]);
  assert.deepEqual([...history.denials('alice'), ...history.endedConnections('alice')], []);
  assert.equal([...history.denials('al')].length, 1);
  assert.deepEqual(
    [limitRules.overrideOf('alice'), limitRules.overrideOf('al')?.limits],
    [null, { sessionsPerUser: 9 }],
  );
  // No Will of hers, and the next holder of the login gets nothing.
  await watcher.expectNothing();
  const next = await RawClient.attempt(broker, { clean: false, clientId: kept.clientId });
  assert.deepEqual([next.code, next.sessionPresent], [0, false]);
  await next.client.subscribe(['iotlab/alice/#', 1], ['course/alice', 1]);
  await next.client.expectNothing();
  await next.client.disconnect();
  assert.deepEqual((await forget(broker, 'alice')).sessions, 1);
  // The same from the disk.
  others.live.cut();
  await broker.restart();
  const after = broker.parts();
  assert.deepEqual(
    [...after.sessions.values()].map(({ login }) => login),
    ['al', 'al', 'al'],
  );
  assert.deepEqual([...after.store.retained].map(({ topic }) => topic).sort(), [
    ...['course/al', 'course/live-al', 'iotlab/al/a', 'iotlab/al/from-carol'],
  ]);
  assert.equal(after.limitRules.overrideOf('alice'), null);
});

test('a login that another one begins with', async (t) => {
  const broker = await start(t);
  await using carol = await RawClient.connect(broker, { as: 'carol' });
  for (const topic of ['iotlab/alice', 'iotlab/al/x', 'iotlab/al']) {
    await carol.publish(topic, 'x', { qos: 1, retain: true });
  }
  assert.equal((await forget(broker, 'al')).retained, 2);
  assert.deepEqual(
    [...broker.parts().store.retained].map(({ topic }) => topic),
    ['iotlab/alice'],
  );
});

test('a login that nothing is kept of', async (t) => {
  const broker = await start(t);
  const { sessions, retained, connections } = await forget(broker, 'bob');
  assert.deepEqual([sessions, retained, connections], [0, 0, 0]);
});

async function user(broker: TestBroker, ...args: string[]) {
  const config = join(broker.folder, 'cli.yaml');
  const lines = [
    `admin: { socket: ${join(broker.folder, 'admin.sock')} }`,
    `credentials: { file: { path: ${broker.usersFile} }, loginPattern: "^[a-z]+$" }`,
    `storage: { path: ${join(broker.folder, 'store')} }`,
    'acl:',
    ...acl.map((rule) => `  - ${JSON.stringify(rule)}`),
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const io = captureIo();
  const code = await runCli(['user', ...args, '--config', config], io);
  return { code, out: io.out(), err: io.err() };
}

const forgotten =
  'Forgotten of alice: 3 sessions with 2 queued messages, 2 retained messages, 2 Wills, its own limits.\n';

test('user remove, with a broker that runs: out at once, and nothing is left', async (t) => {
  const broker = await start(t);
  const { live } = await leaveTraces(broker, 'alice');
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await eventually(5_000, 'the delayed client to be gone', () => broker.parts().connections.size === 2);
  const { code, out, err } = await user(broker, 'remove', 'alice');
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^alice removed from /);
  assert.ok(out.endsWith(`1 connection of alice ended. ${forgotten}`), out);
  await live.closed();
  assert.equal((await RawClient.attempt(broker, { as: 'alice' })).code, 5);
  await bob.expectNothing();
  assert.equal((await user(broker, 'remove', 'alice')).code, 2);
  assert.match((await user(broker, 'forget', 'alice')).out, /^Nothing was kept of alice\.$/m);
});

test('user remove, with a broker that is stopped: out of its store', async (t) => {
  const broker = await start(t);
  const { live } = await leaveTraces(broker, 'alice');
  await leaveTraces(broker, 'al');
  await eventually(5_000, 'the delayed clients to be gone', () => broker.parts().connections.size === 2);
  let answer = { code: -1, out: '', err: '' };
  await broker.restart(undefined, async () => {
    answer = await user(broker, 'remove', 'alice');
  });
  assert.deepEqual([answer.code, answer.err], [0, '']);
  assert.ok(live.isOver);
  // Its Will was published when the broker stopped, and is a retained message by now.
  assert.match(
    answer.out,
    /^Forgotten of alice: 3 sessions with 2 queued messages, 3 retained messages, 1 Will, its own limits\.$/m,
  );
  const { sessions, store } = broker.parts();
  assert.deepEqual(
    [...sessions.values()].map(({ login }) => login),
    ['al', 'al', 'al'],
  );
  assert.ok([...store.retained].every(({ owner }) => owner === 'al'));
});

test('--keep-data and another users file leave what is kept alone; what fails says what is left to do', async (t) => {
  const broker = await start(t);
  await leaveTraces(broker, 'alice');
  assert.deepEqual((await user(broker, 'remove', 'alice', '--keep-data')).code, 0);
  await eventually(5_000, 'the connection to end', () => broker.parts().connections.size === 0);
  assert.equal([...broker.parts().sessions.values()].length, 3);
  const other = join(broker.folder, 'other');
  await writeFile(other, `alice:${'$6$'}x\n`);
  const elsewhere = await user(broker, 'remove', 'alice', '--file', other);
  assert.match(elsewhere.err, /no broker that is configured here uses .*other: what one may keep of alice stays/);
  assert.equal([...broker.parts().sessions.values()].length, 3);
});

test('who comes back at once finds the door closed until everything is gone', async (t) => {
  const broker = await start(t);
  const { bans } = broker.parts();
  const letIn = bans.hold('alice');
  assert.equal((await RawClient.attempt(broker, { as: 'alice' })).code, 5);
  const again = bans.hold('alice');
  letIn();
  assert.equal((await RawClient.attempt(broker, { as: 'alice' })).code, 5);
  again();
  assert.equal((await RawClient.attempt(broker, { as: 'alice' })).code, 0);
});

test('the next holder of the login sees no failed log-ins, denials, ends or traces of the one before', async (t) => {
  const broker = await start(t);
  const socket = join(broker.folder, 'admin.sock');
  const alice = await RawClient.connect(broker, { as: 'alice' });
  await alice.publish('not/mine', 'x', { qos: 1 });
  for (const login of ['alice', 'bob']) await RawClient.attempt(broker, { as: login, password: 'wrong' });
  for (const login of ['alice', 'bob', 'alice']) {
    const { body } = await askAdmin(socket, '/v1/traces', { method: 'POST', body: { login } });
    if (login === 'alice') await askAdmin(socket, `/v1/traces/${(body as { id: string }).id}`, { method: 'DELETE' });
  }
  await askAdmin(socket, '/v1/traces', { method: 'POST', body: { login: 'alice' } });
  await forget(broker, 'alice');
  await alice.closed();
  const { history, connections } = broker.parts();
  await eventually(5_000, 'the connection to be gone', () => connections.size === 0);
  const left = await Promise.all(
    ['/denials', '/denials?login=alice', '/connections?state=closed', '/users', '/slow', '/traces'].map(
      async (path) => (await askAdmin(socket, `/v1${path}`)).text,
    ),
  );
  assert.ok(!left.join().includes('alice'), left.join('\n'));
  assert.match(left[0]!, /"login":"bob"/);
  assert.match(left[5]!, /"login":"bob"/);
  assert.equal([...history.refusals()].length, 1);
});

test('nobody is let in with a login that is being removed, for a reason of its own, and nothing of that is left', async (t) => {
  const broker = await start(t);
  const socket = join(broker.folder, 'admin.sock');
  await askAdmin(socket, '/v1/users/alice/data?hold=1', { method: 'DELETE' });
  const { code } = await RawClient.attempt(broker, { as: 'alice' });
  assert.equal(code, 5);
  const { text } = await askAdmin(socket, '/v1/denials?login=alice');
  assert.match(text, /"reason":"being-removed"/);
  const { bans, history } = broker.parts();
  await eventually(5_000, 'the login to be free', () => bans.keepsOut('alice') === null);
  assert.deepEqual([...history.refusals()], []);
  const next = await RawClient.attempt(broker, { as: 'alice' });
  assert.equal(next.code, 0);
  await next.client.disconnect();
});

test('the audit log says whose ban was removed, which client was kicked, and that a reload was tried; no password', async (t) => {
  const broker = await start(t);
  const socket = join(broker.folder, 'admin.sock');
  await askAdmin(socket, '/v1/bans?login=bob', { method: 'DELETE' });
  await askAdmin(socket, '/v1/users/bob/connections?client=a%20b', { method: 'DELETE' });
  await askAdmin(socket, '/v1/config/reload?dryRun=1', { method: 'POST' });
  await askAdmin(socket, '/v1/bans', { method: 'POST', body: { login: 'bob', password: 'sesame' } });
  const { body, text } = await askAdmin(socket, '/v1/audit');
  const entries = (body as { entries: { what: string; body?: string }[] }).entries.slice(-4);
  assert.deepEqual(
    entries.map(({ what }) => what),
    [
      ...['DELETE /v1/bans?login=bob', 'DELETE /v1/users/bob/connections?client=a%20b'],
      ...['POST /v1/config/reload?dryRun=1', 'POST /v1/bans'],
    ],
  );
  assert.match(entries[3]!.body!, /"login":"bob"/);
  assert.ok(!text.includes('sesame'), text);
});
