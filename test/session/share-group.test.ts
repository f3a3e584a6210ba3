// A shared subscription with members that are away, that do not read, and that do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const topic = 'lab/jobs';
const filter = `$share/group/${topic}`;
const start = () =>
  startDiskBroker({
    acl: [{ access: 'readwrite', topic: 'lab/#' }],
    limits: { inflightMessages: 2, queuedMessages: 20 },
  });

async function join(broker: DiskBroker, clientId: string, clean = true): Promise<RawClient> {
  const client = await RawClient.connect(broker, { ...patient, clientId, clean });
  assert.deepEqual(await client.subscribe([filter, 1]), [1]);
  return client;
}

/** Publishes jobs numbered from `from` on, as another user: nobody waits for somebody else's readers. */
async function publish(broker: DiskBroker, from: number, count: number): Promise<void> {
  await using publisher = await RawClient.connect(broker, { ...patient, as: 'bob' });
  for (let job = from; job < from + count; job++) await publisher.publish(topic, `${job}`, { qos: 1 });
}

async function assertReceives(client: RawClient, from: number, count: number): Promise<void> {
  for (let job = from; job < from + count; job++) assert.equal((await client.receive()).payload, `${job}`);
  await client.expectNothing();
}

test('a member that is away gets nothing while another one is there, and everything when none is', async () => {
  await using broker = await start();
  const away = await join(broker, 'away', false);
  await away.disconnect();
  const reads = await join(broker, 'reads');
  await publish(broker, 0, 5);
  await assertReceives(reads, 0, 5);
  await reads.disconnect();
  await publish(broker, 5, 5);
  await using back = await RawClient.connect(broker, { ...patient, clientId: 'away', clean: false });
  await assertReceives(back, 5, 5);
});

test('a member whose queue is half full is passed over, unless nobody else is connected', async () => {
  await using broker = await start();
  const away = await join(broker, 'away', false);
  await away.disconnect();
  await using stuck = await join(broker, 'stuck');
  // Two in flight and ten queued.
  await publish(broker, 0, 12);
  const reads = await join(broker, 'reads');
  await publish(broker, 12, 6);
  await assertReceives(reads, 12, 6);
  await reads.disconnect();
  // There is room in its queue still, and it is there; the one that is away is not.
  await publish(broker, 18, 4);
  for (const job of [...Array(12).keys(), 18, 19, 20, 21]) assert.equal((await stuck.receive()).payload, `${job}`);
  await stuck.expectNothing();
  await using back = await RawClient.connect(broker, { ...patient, clientId: 'away', clean: false });
  await back.expectNothing('it was not needed');
});

test('a member that was too slow for a publisher of its own user is passed over until it has caught up', async () => {
  await using broker = await start();
  await using slow = await join(broker, 'slow');
  await using publisher = await RawClient.connect(broker, patient);
  const send = (from: number, count: number) =>
    publisher.send(
      ...Array.from({ length: count }, (_, i) => mqtt.publish(topic, `${from + i}`, { qos: 1, id: i + 1 })),
    );
  const acknowledged = async (count: number) => {
    for (let i = 0; i < count; i++) await publisher.take(mqtt.PUBACK);
  };
  // Two in flight, eleven queued: more than half of what the queue may hold. The publisher waits for it, in vain.
  send(0, 13);
  for (const job of [0, 1]) assert.equal((await slow.message()).payload, `${job}`);
  await slow.expectNothing();
  await broker.pass(2_000);
  await acknowledged(13);
  // Slowly it goes on, until the queue is well below the half.
  slow.send(mqtt.puback(1), mqtt.puback(2), mqtt.puback(3), mqtt.puback(4), mqtt.puback(5));
  for (const job of [2, 3, 4, 5, 6]) assert.equal((await slow.message()).payload, `${job}`);
  await using reads = await join(broker, 'reads');
  send(13, 4);
  await acknowledged(4);
  await assertReceives(reads, 13, 4);
  slow.send(mqtt.puback(6), mqtt.puback(7));
  for (const job of [7, 8]) assert.equal((await slow.receive()).payload, `${job}`);
  for (const job of [9, 10, 11, 12]) assert.equal((await slow.receive()).payload, `${job}`);
  await slow.expectNothing();
  // Caught up: its turn comes again.
  send(17, 2);
  await acknowledged(2);
  const seen = [await slow.receive(), await reads.receive()].map(({ payload }) => payload);
  assert.deepEqual(seen.sort(), ['17', '18']);
});
