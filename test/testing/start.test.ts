import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import { startBroker } from '../../src/testing/index.js';

/** Runs a program to its end, but not for ever. */
const run = (file: string, args: readonly string[]) => promisify(execFile)(file, args, { timeout: 15_000 });
const deadline = { timeout: 20_000 };

test('two users, real clients: the ACL holds, and the test sees what was published', deadline, async () => {
  await using broker = await startBroker({ users: { alice: 'secret', bob: 'hunter2' } });
  assert.match(broker.url, /^mqtts:\/\/127\.0\.0\.1:\d+$/);
  const client = await mqtt.connectAsync({ ...broker.connectOptions('alice'), clientId: 'sensor' });
  const granted = await client.subscribeAsync(['iotlab/alice/#']);
  assert.equal(granted[0]?.qos, 0);
  await broker.waitForSubscription('iotlab/alice/#', { login: 'alice' });
  const heard = new Promise<string>((resolve) => client.once('message', (_, payload) => resolve(payload.toString())));
  await broker.publish('alice', 'iotlab/alice/a', 'from the test');
  assert.equal(await heard, 'from the test');
  await client.publishAsync('iotlab/alice/b', 'from the client', { qos: 1, retain: true });
  const seen = await broker.waitForMessage('iotlab/+/b');
  assert.deepEqual(
    [seen.login, seen.clientId, seen.topic, seen.text, seen.qos, seen.retain, seen.properties],
    ['alice', 'sensor', 'iotlab/alice/b', 'from the client', 1, true, null],
  );
  assert.ok(Math.abs(Date.now() - seen.timeMs) < 10_000);
  assert.deepEqual(
    broker.messages().map(({ clientId }) => clientId),
    [null, 'sensor'],
  );
  assert.deepEqual(broker.clients(), [
    {
      ...{ login: 'alice', clientId: 'sensor', connected: true, protocol: '3.1.1', clean: true },
      ...{ subscriptions: [{ filter: 'iotlab/alice/#', qos: 0 }], inflightMessages: 0, queuedMessages: 0 },
    },
  ]);
  await assert.rejects(broker.publish('bob', 'iotlab/alice/x', ''), /bob may not publish to iotlab\/alice\/x/);
  await client.endAsync();
  await broker.waitForDisconnect({ login: 'alice' });
});

test("mosquitto's clients connect with mosquittoArgs; retained messages of any user", deadline, async () => {
  await using broker = await startBroker({ users: { alice: 'two words!' } });
  await broker.retain('alice', 'iotlab/alice/r', 'kept');
  const args = [...broker.mosquittoArgs('alice'), '-t', 'iotlab/alice/#', '-C', '1', '-W', '10'];
  assert.equal((await run('mosquitto_sub', args)).stdout, 'kept\n');
  await run('mosquitto_pub', [...broker.mosquittoArgs('alice'), '-q', '2', '-t', 'iotlab/alice/p', '-m', 'hello']);
  assert.equal((await broker.waitForMessage('iotlab/alice/p')).qos, 2);
});

test('users whose login could never log in are refused at the start', deadline, async () => {
  for (const login of ['xabc', 'defx', 'abc/d', 'ABC']) {
    const started = startBroker({ users: { [login]: 'secret' }, credentials: { loginPattern: 'abc|def' } });
    await assert.rejects(started, /cannot log in \(credentials\.loginPattern: abc\|def\)/, login);
  }
});

test('brokers do not know each other; stop leaves no file and can be called twice', deadline, async () => {
  const [one, two] = await Promise.all([startBroker(), startBroker()]);
  assert.notEqual(one.port, two.port);
  assert.equal(one.ca, two.ca);
  await one.publish('alice', 'iotlab/alice', 'x');
  assert.equal(two.messages().length, 0);
  assert.ok(existsSync(one.caFile));
  await Promise.all([one.stop(), one.stop(), two.stop()]);
  assert.ok(!existsSync(one.caFile));
  assert.ok(!existsSync(two.caFile));
});

test('options are checked as the configuration is', deadline, async () => {
  await assert.rejects(
    startBroker({ limits: { inflight: 1 } } as never),
    /startBroker: limits\.inflight: .*inflightMessages/,
  );
  await assert.rejects(startBroker({ acl: [{ access: 'read', topic: 'a/#/b' }] }), /startBroker: acl/);
  await assert.rejects(startBroker({ users: { 'not a login': 'x' } }), /"not a login" cannot log in/);
  // The pattern is for the whole login, as in the service.
  await assert.rejects(startBroker({ credentials: { loginPattern: '[a-z]{3}' } }), /"alice" cannot log in/);
  await assert.rejects(
    startBroker({ user: {} } as never),
    /^UsageError: startBroker: user: unknown option; did you mean users\?$/,
  );
  await assert.rejects(
    startBroker({ limit: {} } as never),
    /startBroker: limit: unknown option; did you mean limits\?/,
  );
  await assert.rejects(
    startBroker({ xyzzy: {} } as never),
    /startBroker: xyzzy: unknown option; known are users, clock, /,
  );
});
