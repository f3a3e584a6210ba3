// Rules that name people, and rules and groups that change while people are there.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { compileAcl } from '../../src/acl/acl.js';
import type { AclRuleConfig } from '../../src/config/config.js';
import type { CredentialBackend } from '../../src/credentials/backend.js';
import { eventually } from '../support/deadline.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker, type TestBrokerOptions } from '../support/test-broker.js';

const users = ['alice', 'bob', 'carol', 'robot'];
const own: AclRuleConfig = { access: 'readwrite', topic: 'iotlab/%u/#' };
const course: readonly AclRuleConfig[] = [
  own,
  { access: 'read', topic: 'localisation/#' },
  { access: 'write', topic: 'localisation/#', users: ['robot'] },
  { access: 'read', topic: 'iotlab/+/#', groups: ['teachers'] },
  { access: 'read', topic: 'course/#' },
  { access: 'write', topic: 'course/#', groups: ['teachers'] },
];
const teachers = [{ name: 'teachers', users: ['carol'] }];

async function brokerWith(t: TestContext, acl: readonly AclRuleConfig[], options: TestBrokerOptions = {}) {
  const broker = await startTestBroker({ users, ...options, config: { acl, ...options.config } });
  t.after(() => broker.stop());
  return broker;
}

async function client(t: TestContext, broker: TestBroker, as: string, clientId?: string) {
  const one = await RawClient.connect(broker, { as, ...(clientId !== undefined && { clientId, clean: false }) });
  t.after(() => one[Symbol.asyncDispose]());
  return one;
}

test('positions have one publisher, and the teacher reads all trees and alone writes to the course', async (t) => {
  const broker = await brokerWith(t, course, { config: { groups: teachers } });
  const [alice, bob, carol, robot] = await Promise.all(users.map((as) => client(t, broker, as)));
  assert.deepEqual(await carol!.subscribe(['iotlab/+/#', 1], ['#', 1], ['+/alice/#', 1]), [1, 128, 128]);
  assert.deepEqual(await alice!.subscribe(['iotlab/+/#', 1], ['localisation/#', 0], ['course/#', 0]), [128, 0, 0]);
  assert.deepEqual(await alice!.subscribe(['iotlab/bob/#', 1], ['iotlab/carol/#', 1]), [128, 128]);

  await bob!.publish('iotlab/bob/t', 'from bob', { qos: 1 });
  assert.equal((await carol!.receive()).payload, 'from bob');
  for (const other of [alice!, bob!, carol!]) await other.publish('localisation/saclay/1', 'forged', { qos: 1 });
  await robot!.publish('localisation/saclay/1', 'here', { qos: 1 });
  assert.equal((await alice!.receive()).payload, 'here');
  await bob!.publish('course/sheet', 'forged', { qos: 1 });
  await carol!.publish('course/sheet', 'sheet 1', { qos: 1 });
  assert.equal((await alice!.receive()).payload, 'sheet 1');
  // Reading a tree is not writing to it.
  await carol!.publish('iotlab/alice/x', 'no', { qos: 1 });
  await alice!.subscribe(['iotlab/alice/#', 0]);
  await alice!.expectNothing();
});

test('other rules end what they deny, with a line, and nobody else notices', async (t) => {
  const broker = await brokerWith(t, course, { config: { groups: teachers } });
  const carol = await client(t, broker, 'carol');
  const alice = await client(t, broker, 'alice');
  const bob = await client(t, broker, 'bob');
  await carol.subscribe(['iotlab/+/#', 1], ['course/#', 1]);
  await alice.subscribe(['iotlab/alice/#', 1]);
  await alice.publish('iotlab/alice/a', 'before', { qos: 1 });
  assert.equal((await carol.receive()).payload, 'before');
  await alice.receive();

  const { ruleChanges } = broker.parts();
  const change = await ruleChanges.use(compileAcl([own, { access: 'read', topic: 'course/#' }], teachers));
  // carol has lost her reach, robot is not here, alice and bob can do less as well: nothing of it was in use.
  assert.deepEqual(change, { users: 3, subscriptions: 1, messages: 0 });
  const line = await broker.logs.waitFor(/subscriptions ended: the access rules deny them now/);
  assert.deepEqual([line.login, line.filters, line.subscriptions], ['carol', ['iotlab/+/#'], 1]);

  await alice.publish('iotlab/alice/a', 'after', { qos: 1 });
  assert.equal((await alice.receive()).payload, 'after');
  await carol.expectNothing();
  assert.deepEqual(await carol.subscribe(['iotlab/+/#', 1], ['course/#', 1]), [128, 1]);
  // A decision that was remembered: carol wrote there before.
  await carol.publish('course/sheet', 'no more', { qos: 1 });
  await carol.expectNothing();
  for (const still of [alice, bob, carol]) assert.equal(still.isOver, false);

  await ruleChanges.use(compileAcl(course, teachers));
  await carol.publish('course/sheet', 'again', { qos: 1 });
  assert.equal((await carol.receive()).payload, 'again');
});

test('nothing is delivered by what was known of the former rules, also before it is the turn of their user', async (t) => {
  const broker = await brokerWith(t, course, { config: { groups: teachers } });
  const carol = await client(t, broker, 'carol');
  const alice = await client(t, broker, 'alice');
  await carol.subscribe(['iotlab/+/#', 1]);
  await alice.publish('iotlab/alice/a', 'before', { qos: 1 });
  assert.equal((await carol.receive()).payload, 'before');

  const { accounts, ruleChanges, scheduler } = broker.parts();
  const route = () => accounts.known('alice')!.topics.get('iotlab/alice/a')!.route!;
  assert.deepEqual([route().targets, route().current], [1, true]);
  // Something else of carol's is to be done first.
  scheduler.add(accounts.known('carol')!, { work: () => false });
  const teacherless = compileAcl(
    course.filter(({ topic }) => topic !== 'iotlab/+/#'),
    teachers,
  );
  const done = ruleChanges.use(teacherless);
  assert.equal(route().current, false);
  assert.deepEqual(await done, { users: 1, subscriptions: 1, messages: 0 });
});

test('what waits for an absent client is not given to it under other rules, also after a restart', async (t) => {
  const broker = await brokerWith(t, course, { store: 'folder', config: { groups: teachers } });
  const carol = await client(t, broker, 'carol', 'desk');
  await carol.subscribe(['iotlab/+/#', 1], ['iotlab/carol/#', 1]);
  await carol.disconnect();
  const alice = await client(t, broker, 'alice');
  await alice.publish('iotlab/alice/a', 'for the teacher', { qos: 1 });
  const self = await client(t, broker, 'carol');
  await self.publish('iotlab/carol/a', 'her own', { qos: 1 });
  const { ruleChanges } = broker.parts();
  const change = { users: 2, subscriptions: 1, messages: 1 };
  assert.deepEqual(await ruleChanges.preview(compileAcl([own])), change);
  assert.deepEqual(await ruleChanges.preview(compileAcl([own])), change, 'looking changes nothing');
  assert.deepEqual(await ruleChanges.use(compileAcl([own])), change);
  await broker.restart({ acl: course, groups: teachers });
  const back = await client(t, broker, 'carol', 'desk');
  assert.equal((await back.receive()).payload, 'her own');
  await back.expectNothing();
  await (await client(t, broker, 'alice')).publish('iotlab/alice/a', 'not subscribed any more', { qos: 1 });
  await back.expectNothing();
});

test('of what waits in memory for a client that is behind, only what other rules deny leaves', async (t) => {
  const broker = await brokerWith(t, course, { config: { groups: teachers, limits: { inflightMessages: 2 } } });
  const carol = await client(t, broker, 'carol');
  await carol.subscribe(['iotlab/+/#', 1], ['iotlab/carol/#', 1]);
  const [self, alice] = [await client(t, broker, 'carol'), await client(t, broker, 'alice')];
  for (const payload of ['sent', 'sent too', 'waits']) await self.publish('iotlab/carol/a', payload, { qos: 1 });
  await alice.publish('iotlab/alice/a', 'for the teacher', { qos: 1 });
  await self.publish('iotlab/carol/a', 'waits at QoS 0', { qos: 0 });
  await self.publish('iotlab/carol/a', 'last', { qos: 1 });
  const { ruleChanges } = broker.parts();
  const change = { users: 2, subscriptions: 1, messages: 1 };
  assert.deepEqual(await ruleChanges.preview(compileAcl([own])), change);
  assert.deepEqual(await ruleChanges.use(compileAcl([own])), change);
  // Now it acknowledges what it was sent.
  for (const payload of ['sent', 'sent too', 'waits', 'waits at QoS 0', 'last']) {
    assert.equal((await carol.receive()).payload, payload);
  }
  await carol.expectNothing();
});

test('under load, other rules for one user lose no message of anybody else', async (t) => {
  const broker = await brokerWith(t, course, { config: { groups: teachers } });
  const carol = await client(t, broker, 'carol');
  await carol.subscribe(['iotlab/+/#', 0]);
  const reader = await client(t, broker, 'alice', 'reader');
  await reader.subscribe(['iotlab/alice/#', 1]);
  const writer = await client(t, broker, 'alice', 'writer');
  const { ruleChanges } = broker.parts();
  const sets = [compileAcl(course, teachers), compileAcl([own])];
  let changes = 0;
  let running = true;
  const changing = (async () => {
    while (running) {
      await ruleChanges.use(sets[++changes % 2]!);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const count = 2_000;
  const receiving = (async () => {
    for (let i = 0; i < count; i += 1) assert.equal((await reader.receive()).payload, String(i));
  })();
  for (let i = 0; i < count; i += 1) await writer.publish(`iotlab/alice/${i % 7}`, String(i), { qos: 1 });
  await receiving;
  running = false;
  await changing;
  assert.ok(changes > 100, `${changes} changes`);
});

test('a group of the users file comes and goes with its line, without a kick', async (t) => {
  const broker = await brokerWith(t, course);
  const alice = await client(t, broker, 'alice');
  assert.deepEqual(await alice.subscribe(['iotlab/+/#', 0], ['iotlab/alice/#', 0]), [128, 0]);
  const text = await readFile(broker.usersFile, 'utf8');
  await writeFile(broker.usersFile, text.replace(/^(alice:.*)$/m, '$1:lab,Teachers'));
  await broker.logs.waitFor(/the groups of a user changed/);
  assert.deepEqual(await alice.subscribe(['iotlab/+/#', 0]), [0]);
  const bob = await client(t, broker, 'bob');
  await bob.publish('iotlab/bob/x', 'seen', { qos: 1 });
  assert.equal((await alice.receive()).payload, 'seen');

  await writeFile(broker.usersFile, text);
  await broker.logs.waitFor(/subscriptions ended/);
  await bob.publish('iotlab/bob/x', 'unseen', { qos: 1 });
  await alice.expectNothing();
  assert.equal(alice.isOver, false);
});

/** A directory of which the test says who belongs to what; it is asked again when the test says so. */
function directory(groups: Map<string, readonly string[]>): CredentialBackend & { changed(login: string): void } {
  let tell: (login: string, groups: readonly string[]) => void = () => {};
  const groupsOf = (login: string) => groups.get(login) ?? [];
  return {
    name: 'directory',
    verify: async (login, password) =>
      password === passwordOf(login)
        ? { accepted: true, login, proof: null, groups: groupsOf(login) }
        : { accepted: false, reason: 'wrong-password' },
    revalidate: async () => true,
    groupsOf: async (login) => groupsOf(login),
    onGroups: (listener) => {
      tell = listener;
    },
    changed: (login) => tell(login, groupsOf(login)),
    onRevoked: () => {},
    close: async () => {},
  };
}

test('what the directory said last holds for an absent client over a restart; the next login says anew', async (t) => {
  const groups = new Map([['carol', ['teachers']]]);
  const config = { credentials: { cache: { ttlMs: 0 } } };
  const broker = await brokerWith(t, course, { store: 'folder', seams: { backend: directory(groups) }, config });
  await (await client(t, broker, 'carol', 'desk')).subscribe(['iotlab/+/#', 1]);
  const clean = await client(t, broker, 'robot');
  await broker.restart({ acl: course, ...config });
  await clean.closed();
  const bob = await client(t, broker, 'bob');
  await bob.publish('iotlab/bob/x', 'while she was away', { qos: 1 });
  const back = await client(t, broker, 'carol', 'desk');
  assert.equal((await back.receive()).payload, 'while she was away');
  await back.disconnect();

  await bob.publish('iotlab/bob/x', 'she has left the group', { qos: 1 });
  groups.set('carol', []);
  const later = await client(t, broker, 'carol', 'desk');
  await later.expectNothing();
  assert.equal((await broker.logs.waitFor(/subscriptions ended/)).messages, 1);
});

test('a revalidation that finds other groups changes what is readable, also for who logs in from memory', async (t) => {
  const groups = new Map([['carol', ['teachers']]]);
  const backend = directory(groups);
  const broker = await brokerWith(t, course, {
    seams: { backend },
    config: { credentials: { revalidateMs: 50 } },
  });
  const carol = await client(t, broker, 'carol');
  assert.deepEqual(await carol.subscribe(['iotlab/+/#', 0]), [0]);
  groups.set('carol', []);
  await broker.logs.waitFor(/subscriptions ended/);
  const second = await client(t, broker, 'carol');
  assert.deepEqual(await second.subscribe(['iotlab/+/#', 0]), [128]);
  groups.set('carol', ['Teachers']);
  await eventually(
    5_000,
    'the group to be known',
    () => broker.parts().rules.of('carol').subscribe('iotlab/+/#').allowed,
  );
});

test('of users who left nothing, nothing is remembered', async (t) => {
  const backend = directory(new Map(users.map((login) => [login, ['lab']])));
  const broker = await brokerWith(t, course, { seams: { backend } });
  for (const as of users) await (await RawClient.connect(broker, { as })).disconnect();
  const { accounts, store } = broker.parts();
  await eventually(5_000, 'the accounts to be gone', () => [...accounts.values()].length === 0);
  for await (const [login] of store.loadUsers()) assert.fail(login);
});
