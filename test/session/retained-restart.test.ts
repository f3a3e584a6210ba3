// What SUBACK promised of retained messages comes over a restart too, although the store keeps only how to find them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BrokerProcess } from '../support/broker-process.js';
import { eventually } from '../support/deadline.js';
import { type DiskBroker, patient, startDiskBroker } from '../support/disk-broker.js';
import type * as mqtt from '../support/packets.js';
import { passwordOf, RawClient, type Target } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';

const tree = 'iotlab/alice/state';
const count = 70;
const window = 20;
const persistent = { ...patient, clean: false, clientId: 'reader' };
const ends = [
  ['a restart', (broker: DiskBroker) => broker.restart()],
  ['a power cut', (broker: DiskBroker) => broker.crash()],
] as const;
const rows = async (broker: DiskBroker) =>
  [...(await broker.disk.rows()).keys()].filter((key) => /^s:\w+:[rto]:/.test(key)).sort();
/** What came in is on the disk: of what was acknowledged later, a power cut lets some come again. */
const stored = (broker: DiskBroker) => new Promise<void>((resolve) => broker.parts().store.committed(() => resolve()));
const isEmpty = async (broker: DiskBroker) => (await rows(broker)).length === 0;

/** Their names do not sort as they come. */
const names = Array.from({ length: count }, (_, i) => `${(i * 37) % count}`);

async function retain(target: Target, qos: number, payload = 'then', some: readonly string[] = names): Promise<void> {
  await using publisher = await RawClient.connect(target, patient);
  for (const name of some) await publisher.publish(`${tree}/${name}`, payload, { qos, retain: true });
}

/** Comes in and is acknowledged, but for the last `unacknowledged`. */
async function receive(client: RawClient, messages: number, unacknowledged = 0): Promise<mqtt.Message[]> {
  const all: mqtt.Message[] = [];
  for (let i = 0; i < messages; i++) {
    all.push(await (i < messages - unacknowledged ? client.receive() : client.message()));
  }
  return all;
}

const topicsOf = (messages: readonly mqtt.Message[]): string[] => messages.map(({ topic }) => topic).sort();
const all = names.map((name) => `${tree}/${name}`).sort();

for (const [end, restart] of ends) {
  describe(`after ${end}`, () => {
    for (const qos of [1, 2]) {
      test(`each message comes that was not acknowledged, and none twice (QoS ${qos})`, async () => {
        await using broker = await startDiskBroker();
        await retain(broker, qos);
        const before = await RawClient.connect(broker, persistent);
        await before.subscribe([`${tree}/#`, 2]);
        const had = await receive(before, 25 + window, window);
        await stored(broker);
        assert.equal(
          (await rows(broker)).filter((key) => /:[rt]:/.test(key)).length,
          2,
          'what was asked for, and how far',
        );
        await restart(broker);
        const done = topicsOf(had.slice(0, 25));
        const after = await RawClient.connect(broker, persistent);
        const rest = await receive(after, count - 25);
        assert.deepEqual(
          topicsOf(rest),
          all.filter((topic) => !done.includes(topic)),
        );
        assert.ok(rest.every(({ retain, payload }) => retain && payload === 'then'));
        assert.equal(new Set(rest.slice(0, window).map(({ dup }) => dup)).has(false), false, 'these were sent');
        assert.ok(
          rest.slice(window).every(({ dup }) => !dup),
          'and these were not',
        );
        await after.expectNothing();
        await eventually(5_000, 'nothing is left of it', () => isEmpty(broker));
        const { retainedPending, retainedPendingBytes, balances } = broker.parts().accounts.open('alice');
        assert.deepEqual([retainedPending, retainedPendingBytes, balances.queues.bytes], [0, 0, 0]);
      });
    }

    test('what was published meanwhile comes once, behind them, and not as it was', async () => {
      await using broker = await startDiskBroker();
      await retain(broker, 1);
      const before = await RawClient.connect(broker, persistent);
      await before.subscribe([`${tree}/#`, 1]);
      await receive(before, window, window);
      await before.disconnect();
      await broker.pass(1_000);
      const last = all.at(-1)!.split('/').at(-1)!;
      await retain(broker, 1, 'now', [last]);
      await restart(broker);
      await retain(broker, 1, 'later', ['new']);
      await restart(broker);
      await using after = await RawClient.connect(broker, persistent);
      const messages = await receive(after, count + 1);
      const said = messages.slice(-2).map(({ topic, payload, retain }) => [topic, payload, retain]);
      assert.deepEqual(said, [
        [`${tree}/${last}`, 'now', false],
        [`${tree}/new`, 'later', false],
      ]);
      assert.deepEqual(topicsOf(messages), [...all, `${tree}/new`].sort());
      await after.expectNothing();
    });

    test('of several subscriptions all that is left comes, however often', async () => {
      await using broker = await startDiskBroker();
      await retain(broker, 1);
      const before = await RawClient.connect(broker, persistent);
      await before.subscribe([`${tree}/#`, 1], [`${tree}/1`, 1], [`${tree}/+`, 0]);
      await receive(before, window, window);
      await restart(broker);
      const between = await RawClient.connect(broker, persistent);
      await receive(between, 30 + window, window);
      await stored(broker);
      await restart(broker);
      await using after = await RawClient.connect(broker, persistent);
      const left = await receive(after, count - 30 + 1);
      assert.ok(
        left.every(({ qos }) => qos === 1),
        'what was asked for at QoS 0 need not come',
      );
      await after.expectNothing();
      await eventually(5_000, 'nothing is left of it', () => isEmpty(broker));
    });

    test('what was deleted, or may not be read any more, does not come, and leaves nothing behind', async () => {
      await using broker = await startDiskBroker();
      await retain(broker, 1);
      const before = await RawClient.connect(broker, persistent);
      await before.subscribe([`${tree}/#`, 1]);
      await receive(before, window, window);
      await before.disconnect();
      await retain(broker, 1, '', names);
      await restart(broker);
      await using after = await RawClient.connect(broker, persistent);
      const messages = await receive(after, window + count);
      assert.equal(messages.filter(({ payload }) => payload === '').length, count, 'the deletions themselves');
      await after.expectNothing();
      await eventually(5_000, 'nothing is left of it', () => isEmpty(broker));
    });
  });
}

test('a few that fit into the window leave no row, and those of a session that ends go with it', async () => {
  await using broker = await startDiskBroker();
  await retain(broker, 1);
  const reader = await RawClient.connect(broker, persistent);
  await reader.subscribe([`${tree}/1`, 1], [`${tree}/2`, 1]);
  await receive(reader, 2);
  await eventually(5_000, 'nothing is kept of it', () => isEmpty(broker));
  await reader.subscribe([`${tree}/#`, 1]);
  await eventually(5_000, 'some wait', async () => (await rows(broker)).length === window + 2);
  await reader.disconnect();
  await (await RawClient.connect(broker, { ...persistent, clean: true })).disconnect();
  await broker.parts().store.swept();
  assert.deepEqual(await rows(broker), []);
  assert.equal(broker.parts().accounts.open('alice').retainedPendingBytes, 0);
});

test('a process that is killed again and again while they are sent loses none', async (t) => {
  const broker = await BrokerProcess.prepare(await tempFolder(t), { alice: passwordOf('alice') }, {});
  t.after(() => broker.kill());
  let target: Target = { host: '127.0.0.1', ...(await broker.start()) };
  await retain(target, 1);
  let reader = await RawClient.connect(target, persistent);
  await reader.subscribe([`${tree}/#`, 1]);
  const seen = new Set<string>();
  for (const messages of [3, 24, 17]) {
    for (const { topic } of await receive(reader, messages)) seen.add(topic);
    await broker.kill();
    target = { host: '127.0.0.1', ...(await broker.start()) };
    reader = await RawClient.connect(target, persistent);
  }
  while (seen.size < count) seen.add((await reader.receive()).topic);
  assert.deepEqual([...seen].sort(), all);
});
