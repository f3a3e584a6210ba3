import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SafetyTicket } from '../../src/mqtt/safety-ticket.js';
import { userAccount } from '../support/accounts.js';
import { publishAll } from '../support/flows.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker({ users: ['alice'], store: 'folder' });

test('rows count, not only bytes: a small message for thousands of sessions fills the way to the disk', () => {
  const { storing, balances } = userAccount();
  const small = storing.add(20, 20);
  assert.ok(!storing.valve.closed);
  const many = storing.add(20, 4_000);
  assert.ok(storing.valve.closed);
  let opened = 0;
  storing.valve.whenOpen(() => opened++);
  storing.done(small);
  assert.equal(opened, 0);
  storing.done(many);
  assert.deepEqual([opened, balances.storing.bytes], [1, 0]);
});

test('connections of one user that together hand over more than the disk takes are all answered', async () => {
  const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(broker, { as: 'alice' })));
  const payload = 'x'.repeat(700_000);
  await Promise.all(
    clients.map((client, index) =>
      publishAll(
        client,
        Array.from({ length: 8 }, () => ({ topic: `iotlab/alice/image/${index}`, payload, qos: 1, retain: true })),
      ),
    ),
  );
  for (const client of clients) await client.disconnect();
});

test('messages that wait for the disk stay in order, and none is lost', async () => {
  const sleepers = Array.from({ length: 100 }, () => ({ as: 'alice', clean: false, clientId: freshId('sleeper') }));
  for (const options of sleepers) {
    const client = await RawClient.connect(broker, options);
    await client.subscribe(['iotlab/alice/all', 1]);
    await client.disconnect();
  }
  await using publisher = await RawClient.connect(broker, { as: 'alice' });
  const payloads = Array.from({ length: 60 }, (_, index) => `message ${index}`);
  await publishAll(
    publisher,
    payloads.map((payload) => ({ topic: 'iotlab/alice/all', payload, qos: 1 })),
  );
  await using awake = await RawClient.connect(broker, sleepers[99]!);
  const received: string[] = [];
  while (received.length < payloads.length) received.push((await awake.receive()).payload);
  assert.deepEqual(received, payloads);
});

test('a ticket gives back once what its message and its rows were charged with', () => {
  const { storing, balances } = userAccount();
  const other = storing.add(20, 1);
  const ticket = new SafetyTicket().add().add();
  storing.charge(20, ticket);
  assert.equal(balances.storing.bytes, other + storing.add(20, 2));
  ticket.receiverDone();
  ticket.receiverDone();
  ticket.failed();
  const before = balances.storing.bytes;
  ticket.committed();
  ticket.committed();
  assert.equal(before - balances.storing.bytes, 20 + 2 * (other - 20));
});
