// A running broker reads its configuration again: what it takes over, what it refuses, and what nobody notices.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reloading } from '../src/broker-reload.js';
import { changesOf, inForce } from '../src/config/changes.js';
import type { Config } from '../src/config/config.js';
import { type DeepPartial, defaultConfig } from '../src/config/defaults.js';
import { UsageError } from '../src/errors.js';
import { makeAuthority } from '../src/listener/certificates.js';
import { createLog, setLogLevel } from '../src/observe/log.js';
import * as mqtt from './support/packets.js';
import { passwordOf, RawClient } from './support/raw-client.js';
import { brokerWith, client, news, own, reloadsLoseNothing } from './support/reloading.js';
import { cheapHash } from './support/test-broker.js';

test('changes are told by key, those that need a restart apart', () => {
  const before = defaultConfig({ acl: [own] });
  const after = defaultConfig({
    acl: [own, news],
    limits: { queuedMessages: 7 },
    listener: { port: 1 },
    storage: { path: 'memory', sessionExpiryMs: 5_000 },
    cluster: { machines: [{ host: 'a.example' }] },
    log: { level: 'debug', format: 'json' },
  });
  assert.deepEqual(changesOf(before, after), {
    live: ['acl', 'storage.sessionExpiryMs', 'log.level', 'limits.queuedMessages'],
    atStart: ['listener.port', 'storage.path', 'cluster.machines', 'log.format'],
  });
  const mixed = inForce(before, after);
  assert.deepEqual([mixed.listener.port, mixed.log.format, mixed.log.level], [8883, 'auto', 'debug']);
  assert.deepEqual(changesOf(mixed, after).atStart, [
    'listener.port',
    'storage.path',
    'cluster.machines',
    'log.format',
  ]);
  assert.deepEqual(changesOf(mixed, after).live, []);
});

test('rules, limits and expiry are in force at once, and nobody is disconnected', async (t) => {
  const broker = await brokerWith(t, { acl: [own, news] });
  const alice = await client(t, broker);
  const bob = await client(t, broker, { as: 'bob' });
  await alice.subscribe(['news/#', 0], ['iotlab/alice/#', 0]);
  const beganAt = Date.now();
  const outcome = await broker.reload({
    acl: [own],
    limits: { packetBytes: 2_048, sessionsPerUser: 1 },
    storage: { sessionExpiryMs: 60_000 },
    listener: { port: 1 },
  });
  assert.deepEqual(outcome, {
    applied: ['acl', 'storage.sessionExpiryMs', 'limits.packetBytes', 'limits.sessionsPerUser'],
    needsRestart: ['listener.port'],
    users: 2,
    subscriptionsEnded: 1,
    messagesDropped: 0,
  });
  assert.equal(broker.parts().sessions.expiryOf(null), 60_000);
  assert.ok(broker.parts().counters.configLoadedAt >= beganAt);
  await broker.logs.waitFor(/these keys need a restart/);
  assert.deepEqual(await alice.subscribe(['news/#', 0]), [128]);
  await alice.publish('iotlab/alice/x', 'still here', { qos: 1 });
  assert.equal((await alice.receive()).payload, 'still here');

  await client(t, broker, { clientId: 'one', clean: false });
  const second = await RawClient.attempt(broker, { clientId: 'two', clean: false });
  assert.equal(second.code, 3);
  bob.send(mqtt.publish('iotlab/bob/x', 'x'.repeat(3_000)));
  await bob.closed();
  // The same once more is no change, but for what still waits for a restart.
  const again = await broker.reload({
    acl: [own],
    limits: { packetBytes: 2_048, sessionsPerUser: 1 },
    storage: { sessionExpiryMs: 60_000 },
    listener: { port: 1 },
  });
  assert.deepEqual([again.applied, again.needsRestart], [[], ['listener.port']]);
  assert.equal(alice.isOver, false);
});

test('what one user holds in memory is limited anew', async (t) => {
  const broker = await brokerWith(t);
  await broker.reload({ limits: { memoryPerUser: 1_048_576, memory: 2_097_152 } });
  assert.equal(broker.parts().ledger.limitForAll, 2_097_152);
  const clients: { client: RawClient; code: number }[] = [];
  for (let i = 0; i < 40; i += 1) clients.push(await RawClient.attempt(broker));
  t.after(() => Promise.all(clients.map(({ client: it }) => it[Symbol.asyncDispose]())));
  assert.ok(clients.some(({ code }) => code === 3));
});

test('as many come in as a reload says: more, and fewer', async (t) => {
  const broker = await brokerWith(t, { limits: { connections: 2 } });
  const comeIn = async () => {
    const one = await RawClient.open(broker).catch(() => null);
    if (one !== null) t.after(() => one[Symbol.asyncDispose]());
    return one !== null;
  };
  assert.deepEqual([await comeIn(), await comeIn(), await comeIn()], [true, true, false]);
  await broker.reload({ limits: { connections: 3 } });
  assert.deepEqual([await comeIn(), await comeIn()], [true, false]);
  await broker.reload({ limits: { connections: 2 } });
  assert.equal(await comeIn(), false);
});

test('of two reloads the second begins when the first is done', async () => {
  const config = defaultConfig({ acl: [own] });
  const reads: ((config: Config) => void)[] = [];
  const read = () => new Promise<Config>((resolve) => reads.push(resolve));
  // A dry run that changes nothing asks no part.
  const reloading = new Reloading({ config, read } as never);
  const [first, second] = [reloading.reload(true), reloading.reload(true)];
  await new Promise(setImmediate);
  assert.equal(reads.length, 1);
  reads[0]!(config);
  await first;
  await new Promise(setImmediate);
  reads[1]!(config);
  await second;
});

test('a dry run says what would be, and changes nothing', async (t) => {
  const broker = await brokerWith(t, { acl: [own, news] });
  const alice = await client(t, broker);
  const next = { acl: [own], limits: { packetBytes: 2_048 }, log: { format: 'json' as const } };
  const outcome = await broker.reload(next, { dryRun: true });
  assert.deepEqual([outcome.applied, outcome.needsRestart], [['acl', 'limits.packetBytes'], ['log.format']]);
  assert.deepEqual(await alice.subscribe(['news/#', 0]), [0]);
  await alice.publish('news/x', 'x'.repeat(3_000), { qos: 1 });
  assert.deepEqual((await broker.reload(next)).applied, outcome.applied);
});

test('all or nothing: what cannot be used leaves everything as it was', async (t) => {
  const broker = await brokerWith(t, { acl: [own, news] });
  const alice = await client(t, broker);
  await alice.subscribe(['news/#', 0]);
  const bad: [string, DeepPartial<Config>, RegExp][] = [
    [
      'a certificate',
      { listener: { cert: join(broker.folder, 'none.pem') } },
      /listener\.cert: .*none\.pem cannot be read/,
    ],
    ['a users file', { credentials: { file: { path: join(broker.folder, 'nobody') } } }, /users file .*nobody/],
    ['a rule', { acl: [own, { access: 'read', topic: '#' }] }, /reaches into the trees of all users/],
  ];
  for (const [what, config, why] of bad) {
    for (const dryRun of [true, false]) {
      const next = { acl: [own], limits: { packetBytes: 2_048 }, ...config };
      await assert.rejects(
        broker.reload(next, { dryRun }),
        (error: Error) => error instanceof UsageError && why.test(error.message),
        what,
      );
    }
    assert.equal(broker.parts().limits.packetBytes, 16 * 1024 * 1024);
    await alice.publish('news/x', what, { qos: 1 });
    assert.equal((await alice.receive()).payload, what);
  }
  assert.equal(broker.parts().counters.configReloads.of('failure'), bad.length);
  assert.equal(broker.parts().counters.configReloads.of('success'), 0);
  await broker.logs.waitFor(/the configuration cannot be used: nothing of it is in force/);
});

test('another certificate is shown to who connects from now on', async (t) => {
  const broker = await brokerWith(t);
  const alice = await client(t, broker);
  const authority = makeAuthority();
  const { cert, key } = authority.issue({ names: ['localhost', 'other.example'] });
  const files = {
    cert: join(broker.folder, 'other.pem'),
    key: join(broker.folder, 'other.key'),
    ca: join(broker.folder, 'other-ca.pem'),
  };
  await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key), writeFile(files.ca, authority.cert)]);
  const { applied } = await broker.reload({ listener: files });
  assert.deepEqual(applied, ['listener.cert', 'listener.key', 'listener.ca']);
  const later = await RawClient.open({ ...broker, ca: authority.cert });
  t.after(() => later[Symbol.asyncDispose]());
  assert.match(String(later.tls?.getPeerCertificate().subjectaltname), /other\.example/);
  await alice.expectNothing();
});

test('another users file, and other settings of the guard: who is in stays, who comes is judged by them', async (t) => {
  const broker = await brokerWith(t);
  const alice = await client(t, broker);
  const bob = await client(t, broker, { as: 'bob' });
  const path = join(broker.folder, 'other-users');
  await writeFile(path, `alice:${cheapHash(passwordOf('alice'))}\ncarol:${cheapHash(passwordOf('carol'))}\n`);
  const next = { credentials: { file: { path }, loginPattern: '^[a-c][a-z]+$', cache: { ttlMs: 0 } } };
  assert.deepEqual((await broker.reload(next)).applied, [
    'credentials.loginPattern',
    'credentials.file.path',
    'credentials.cache.ttlMs',
  ]);
  await alice.expectNothing();
  await bob.expectNothing();
  const codes: number[] = [];
  for (const as of ['alice', 'carol', 'bob', 'dave']) {
    const { client: it, code } = await RawClient.attempt(broker, { as });
    await it[Symbol.asyncDispose]();
    codes.push(code);
  }
  assert.deepEqual(codes, [0, 0, 5, 5]);
  // Of the former file nothing is heard any more; the new one is watched, and a reload looks at once.
  await writeFile(broker.usersFile, '');
  await writeFile(path, `carol:${cheapHash(passwordOf('carol'))}\n`);
  await broker.reload(next);
  await alice.closed();
  await bob.expectNothing();
});

test('revalidation goes by the new period, and who is not in the new file goes at the next one', async (t) => {
  const broker = await brokerWith(t);
  const bob = await client(t, broker, { as: 'bob' });
  const path = join(broker.folder, 'other-users');
  await writeFile(path, `alice:${cheapHash(passwordOf('alice'))}\n`);
  await broker.reload({ credentials: { file: { path } } });
  await bob.expectNothing();
  await broker.reload({ credentials: { file: { path }, revalidateMs: 30 } });
  await bob.closed();
});

reloadsLoseNothing(500);

test('a reload sets the level of the log', async (t) => {
  const broker = await brokerWith(t);
  const told = () => broker.logs.lines().filter(({ msg }) => msg === 'configuration read again').length;
  await broker.reload({ log: { level: 'warn' } });
  assert.equal(told(), 0);
  await broker.reload({ log: { level: 'info' } });
  assert.equal(told(), 1);
});

test('the level of the log, and of the logs of its parts', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) });
  const part = log.child({ part: 'credentials' });
  part.debug('before');
  setLogLevel(log, 'debug');
  part.debug('after');
  log.child({ part: 'later' }).debug('later');
  setLogLevel(log, 'error');
  part.info('not any more');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).msg),
    ['after', 'later'],
  );
});
