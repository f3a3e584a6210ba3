// One packet may cost far more than its user's share of a turn. What it cost beyond that is paid off before the user's
// next packet is handled, while others are served. Counted in answers to somebody else, not in time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patient, startDiskBroker } from '../support/disk-broker.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

/** How often somebody else is answered, one question after the other, before `done`. */
async function answersUntil(other: RawClient, done: () => boolean): Promise<number> {
  const until = Date.now() + 60_000;
  let answers = 0;
  for (; !done(); answers++) {
    assert.ok(Date.now() < until, `${answers} answers, and what was waited for has not come`);
    await other.expectNothing();
  }
  return answers;
}

const hasMessage = ({ waiting }: RawClient) => waiting.some(({ type }) => type === mqtt.PUBLISH);

test('a message to twenty thousand receivers is paid off before the next one', async (t) => {
  await using broker = await startDiskBroker();
  await using alice = await RawClient.connect(broker, patient);
  await using bob = await RawClient.connect(broker, { ...patient, as: 'bob' });
  await using witness = await RawClient.connect(broker, patient);
  await witness.subscribe(['iotlab/alice/x', 0]);
  // Each message goes to one member of every group: these two take it ten thousand times each.
  const groups = Array.from({ length: 10_000 }, (_, i) => [`$share/${i}/iotlab/alice/x`, 0] as const);
  const more = groups.map(([filter]) => [filter.replace('$share/', '$share/more-'), 0] as const);
  await using many = await RawClient.connect(broker, patient);
  await many.subscribe(...groups);
  await using manyMore = await RawClient.connect(broker, patient);
  await manyMore.subscribe(...more);
  const count = 5;
  alice.send(...Array.from({ length: count }, (_, i) => mqtt.publish('iotlab/alice/x', `${i}`)));
  await answersUntil(bob, () => hasMessage(witness));
  const answers = await answersUntil(bob, () => witness.waiting.length === count);
  t.diagnostic(`${answers} answers`);
  assert.ok(answers >= 3, `bob was answered ${answers} times between the first and the last of ${count}`);
});

test('a message to many readers counts as many', async (t) => {
  await using broker = await startDiskBroker();
  const readers = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(broker, patient)));
  await Promise.all(readers.map((reader) => reader.subscribe(['iotlab/alice/x', 0])));
  await using alice = await RawClient.connect(broker, patient);
  await using bob = await RawClient.connect(broker, { ...patient, as: 'bob' });
  // Without readers they are less than the share of one turn.
  const messages = Array.from({ length: 4_000 }, (_, i) => mqtt.publish('iotlab/alice/x', '', { qos: 1, id: i + 1 }));
  alice.send(...messages);
  await answersUntil(bob, () => readers.every(hasMessage));
  const answers = await answersUntil(bob, () => readers.every((reader) => reader.waiting.length === messages.length));
  t.diagnostic(`${answers} answers`);
  assert.ok(answers >= 3, `bob was answered ${answers} times between the first and the last message`);
  for (const reader of readers) reader.cut();
});
