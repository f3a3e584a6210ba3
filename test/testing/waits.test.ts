import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker } from '../../src/testing/index.js';
import { passwordOf, RawClient } from '../support/raw-client.js';

const deadline = { timeout: 20_000 };
const users = { alice: passwordOf('alice'), bobby: passwordOf('bobby') };

/** The message of the error that a wait in vain ends with. */
async function failureOf(wait: Promise<unknown>): Promise<string> {
  try {
    await wait;
  } catch (error) {
    return (error as Error).message;
  }
  assert.fail('the wait should have been in vain');
}

test('waits resolve for what is there already, and for what comes', deadline, async () => {
  await using broker = await startBroker({ users });
  const coming = broker.waitForClient({ login: 'alice', clientId: 'x' });
  const client = await RawClient.connect(broker, { clientId: 'x' });
  assert.equal((await coming).clientId, 'x');
  assert.equal((await broker.waitForClient()).login, 'alice');
  const subscribing = broker.waitForSubscription('iotlab/alice/+');
  await client.subscribe(['iotlab/alice/+', 1]);
  assert.deepEqual((await subscribing).subscriptions, [{ filter: 'iotlab/alice/+', qos: 1 }]);
  const two = broker.waitForMessage('iotlab/alice/#', { count: 2 });
  const third = broker.waitForMessage('iotlab/alice/#', { where: ({ text }) => text === 'third' });
  for (const text of ['first', 'second', 'third']) await broker.publish('alice', 'iotlab/alice/a', text);
  assert.deepEqual(
    (await two).map(({ text }) => text),
    ['first', 'second'],
  );
  assert.equal((await third).text, 'third');
  assert.equal(broker.kick('alice', 'other'), 0);
  assert.equal(broker.kick('alice', 'x'), 1);
  await client.closed();
  await broker.waitForDisconnect({ login: 'alice' });
  broker.forgetMessages();
  assert.deepEqual(broker.messages(), []);
});

test('a wait in vain says which messages came close, and who is there', deadline, async () => {
  await using broker = await startBroker({ users, timeoutMs: 50 });
  await using client = await RawClient.connect(broker, { clientId: 'sensor' });
  await client.subscribe(['iotlab/alice/cmd/#', 1]);
  await client.publish('iotlab/alice/temperatur', '21.5', { qos: 1 });
  await client.publish('iotlab/bobby/temperature', '21.5', { qos: 1 });
  assert.equal(
    await failureOf(broker.waitForMessage('iotlab/alice/temperature')),
    [
      '0 of 1 messages to iotlab/alice/temperature came within 50 ms.',
      'Messages that came close (of 1):',
      '  iotlab/alice/temperatur (QoS 1, 4 bytes) from alice "sensor"',
      'Clients:',
      '  alice "sensor" (MQTT 3.1.1) subscribed to iotlab/alice/cmd/#',
      'The broker warned:',
      '  publish denied login=alice client=sensor topic=iotlab/bobby/temperature',
    ].join('\n'),
  );
  assert.match(
    await failureOf(broker.waitForSubscription('iotlab/alice/command/#', { login: 'alice', timeoutMs: 20 })),
    /^A client of alice did not subscribe to iotlab\/alice\/command\/# within 20 ms\.\nClients:\n {2}alice "sensor"/,
  );
  assert.match(
    await failureOf(broker.waitForMessage('iotlab/alice/#', { count: 3 })),
    /^1 of 3 messages .*\nMessages that came close \(of 1\):\n {2}iotlab\/alice\/temperatur /,
  );
});

test('the stack of a wait in vain leads to the line of the test that waited', deadline, async () => {
  await using broker = await startBroker({ users, timeoutMs: 20 });
  const client = await RawClient.connect(broker);
  const fault = broker.faults.refuseConnect(3);
  const waits: (() => Promise<unknown>)[] = [
    function waitsForClient() {
      return broker.waitForClient({ login: 'bobby' });
    },
    function waitsForDisconnect() {
      return broker.waitForDisconnect({ login: 'alice' });
    },
    function waitsForSubscription() {
      return broker.waitForSubscription('a');
    },
    function waitsForMessage() {
      return broker.waitForMessage('a');
    },
    function waitsForHits() {
      return fault.waitForHits();
    },
  ];
  for (const wait of waits) {
    const { stack = '', message } = await wait().then(
      () => assert.fail(),
      (error: Error) => error,
    );
    assert.ok(stack.startsWith(`Error: ${message}\n    at `), stack);
    assert.match(stack, new RegExp(`at ${wait.name} .*waits\\.test\\.`));
  }
  await client.disconnect();
  await assert.rejects(broker.waitForMessage('a/#/b'), RangeError);
});

test('what the broker logged, as objects', deadline, async () => {
  await using broker = await startBroker({ users, log: { level: 'info', format: 'pretty' } });
  await using client = await RawClient.connect(broker, { clientId: 'sensor' });
  await client.publish('iotlab/bobby/x', 'x', { qos: 1 });
  const denied = broker.logLines().find(({ msg }) => msg === 'publish denied');
  assert.deepEqual(
    [denied?.level, denied?.login, denied?.client, denied?.topic],
    ['warn', 'alice', 'sensor', 'iotlab/bobby/x'],
  );
  assert.ok(Math.abs(Date.parse(denied!.time) - Date.now()) < 60_000);
});

test('a wait in vain for a client says why it was refused', deadline, async () => {
  await using broker = await startBroker({ users: { alice: 'another' }, timeoutMs: 200 });
  const { client, code } = await RawClient.attempt(broker, { clientId: 'c' });
  assert.equal(code, 5);
  await client.closed();
  const failure = await failureOf(broker.waitForClient({ login: 'alice' }));
  assert.match(
    failure,
    /^A client of alice did not connect within 200 ms\.\nNo client is connected\.\nNo message was pub/,
  );
  assert.match(failure, /connection refused login=alice client=c .*reason=wrong-password/);
  const fault = broker.faults.refuseConnect(3);
  assert.match(
    await failureOf(fault.waitForHits(2, { timeoutMs: 10 })),
    /refuseConnect has struck 0 of 2 times within 10 ms/,
  );
});

test('who waits when the broker is stopped is told', deadline, async () => {
  const broker = await startBroker({ users });
  const failure = failureOf(broker.waitForClient());
  await broker.stop();
  assert.match(await failure, /stopped while a test waited/);
  assert.match(await failureOf(broker.waitForMessage('#')), /0 of 1 messages to # came, and the broker is stopped/);
});

test('users come, change and go; time is moved by hand', deadline, async () => {
  await using broker = await startBroker({ users: { alice: passwordOf('alice') }, clock: 'manual' });
  assert.equal((await RawClient.attempt(broker, { as: 'bobby' })).code, 5);
  broker.users.set('bobby', passwordOf('bobby'));
  const bobby = await RawClient.connect(broker, { as: 'bobby' });
  broker.users.set('bobby', 'changed');
  await bobby.expectClose();
  assert.equal((await RawClient.attempt(broker, { as: 'bobby' })).code, 5);
  const alice = await RawClient.connect(broker, {
    keepaliveSeconds: 10,
    will: { topic: 'iotlab/alice/will', payload: 'gone' },
  });
  broker.advance(14_000);
  await alice.expectNothing();
  broker.advance(16_000);
  await alice.expectClose();
  const will = await broker.waitForMessage('iotlab/alice/will');
  assert.deepEqual([will.login, will.clientId, will.text], ['alice', alice.clientId, 'gone']);
  const second = await RawClient.connect(broker);
  broker.users.remove('alice');
  await second.expectClose();
  assert.deepEqual(broker.users.logins, ['bobby']);
  assert.throws(() => broker.mosquittoArgs('alice'), /no user "alice"; there are: bobby/);
  await using real = await startBroker();
  assert.throws(() => real.advance(1), /clock: 'manual'/);
});

test('reset: as new, for the next test', deadline, async () => {
  await using broker = await startBroker({ users });
  const client = await RawClient.connect(broker, { clean: false, clientId: 'old' });
  await broker.retain('alice', 'iotlab/alice/r', 'x');
  broker.faults.refuseConnect(3);
  await broker.reset();
  await client.closed();
  assert.deepEqual([broker.sessions(), broker.messages(), broker.logLines()], [[], [], []]);
  await using next = await RawClient.connect(broker);
  await next.subscribe(['iotlab/alice/#', 1]);
  await next.expectNothing();
});
