import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker } from '../../src/testing/index.js';
import { passwordOf, RawClient } from '../support/raw-client.js';

const deadline = { timeout: 20_000 };
const users = { alice: passwordOf('alice'), bobby: passwordOf('bobby') };

test('what is denied can be waited for, and says what helps', deadline, async () => {
  await using broker = await startBroker({ users });
  const coming = broker.waitForDenial({ login: 'alice', action: 'publish' });
  await using alice = await RawClient.connect(broker, { clientId: 'sensor' });
  await alice.publish('iotlab/<alice>/x', '', { qos: 1 });
  await alice.publish('iotlab/<alice>/x', '', { qos: 1 });
  const denial = await coming;
  assert.deepEqual([denial.login, denial.clientId, denial.topic], ['alice', 'sensor', 'iotlab/<alice>/x']);
  assert.match(denial.hint, /brackets included: iotlab\/alice/);
  await alice.subscribe(['iotlab/bobby/#', 1]);
  assert.equal((await broker.waitForDenial({ topic: 'iotlab/bobby/#' })).action, 'subscribe');
  await assert.rejects(RawClient.connect(broker, { as: 'nobody' }));
  const refused = await broker.waitForDenial({ action: 'connect' });
  assert.deepEqual([refused.login, refused.topic, refused.reason], ['nobody', null, 'unknown-user']);
  assert.deepEqual(
    broker.denials().map(({ action, count }) => [action, count]),
    [
      ['publish', 2],
      ['subscribe', 1],
      ['connect', 1],
    ],
  );
  assert.equal(broker.denials({ topic: 'iotlab/+/x' }).length, 1);
  assert.equal(broker.denials({ reason: 'queue-full' }).length, 0);
  assert.equal(broker.denials({ login: 'alice', clientId: 'other' }).length, 0);
  await broker.restart();
  assert.equal(broker.denials().length, 3, 'a restart forgets nothing');
  await broker.reset();
  assert.deepEqual(broker.denials(), []);
});

test('a wait in vain says for what', deadline, async () => {
  await using broker = await startBroker({ users, timeoutMs: 50 });
  const wait = broker.waitForDenial({ login: 'alice', action: 'publish', topic: 'iotlab/#' });
  await assert.rejects(wait, /^Error: Nobody denied publish to iotlab\/# to a client of alice within 50 ms\./);
});

test('metrics are numbers, by name and labels', deadline, async () => {
  await using broker = await startBroker({ users });
  await using alice = await RawClient.connect(broker);
  await alice.subscribe(['iotlab/alice/#', 1]);
  await alice.publish('iotlab/alice/x', 'four', { qos: 1 });
  await alice.receive();
  await alice.expectNothing();
  assert.equal(await broker.metric('publishes_received_total', { qos: '1' }), 1);
  assert.equal(await broker.metric('publishes_received_total', { qos: '0' }), 0);
  assert.equal(await broker.metric('publish_sent_bytes_total'), 4);
  assert.equal(await broker.metric('connections', { protocol: '3.1.1' }), 1);
  assert.equal(await broker.metric('delivery_duration_seconds_count', { qos: '1' }), 1);
  assert.ok((await broker.metric('process_resident_memory_bytes')) > 0);
  await assert.rejects(broker.metric('publish_received_total'), /no metric publish_received_total; did you mean/);
  await assert.rejects(broker.metric('delivery_duration_seconds'), /is a histogram/);
});
