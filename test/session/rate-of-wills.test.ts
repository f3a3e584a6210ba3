// A Will is a message of its user: it comes no faster than his rate has it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collecting, numbers, type World, worldWith } from '../support/paced-world.js';
import * as mqtt from '../support/packets.js';

const rate = { messagesInPerSecond: 10, burstMs: 1_000 };

/** Each connects with a Will, and is cut. */
async function die(world: World, payloads: readonly string[]): Promise<void> {
  const { connections } = world.parts();
  for (const payload of payloads) {
    const before = connections.size;
    const mortal = await world.client({ will: { topic: 'iotlab/alice/will', payload } });
    mortal.cut();
    await world.passUntil(() => connections.size === before, 0);
  }
}

async function watching(world: World): Promise<readonly string[]> {
  const reader = await world.client();
  await reader.subscribe(['iotlab/alice/#', 0]);
  return collecting(reader).payloads;
}

test('Wills wait for the rate as messages do, in order, and are counted meanwhile', async (t) => {
  const world = await worldWith(t, { limits: rate });
  const payloads = await watching(world);
  await die(world, numbers(40));
  const account = world.parts().accounts.known('alice')!;
  await world.passUntil(() => payloads.length === 10, 0);
  assert.deepEqual([account.queuedMessages, account.incoming!.waiting], [30, 30]);
  const writer = await world.client();
  writer.send(mqtt.publish('iotlab/alice/x', 'behind them'));
  const ms = await world.passUntil(() => payloads.length === 41, 6_000);
  assert.ok(ms >= 2_950 && ms <= 3_250, `${ms}`);
  assert.deepEqual(payloads, [...numbers(40), 'behind them']);
  assert.deepEqual([account.queuedMessages, account.balances.wills.bytes, account.balances.queues.bytes], [0, 0, 0]);
  assert.equal(world.parts().counters.willsPublished, 40);
});

test('the bytes of a Will are of the rate too', async (t) => {
  const world = await worldWith(t, { limits: { bytesInPerSecond: 10_000, burstMs: 1_000 } });
  const payloads = await watching(world);
  await die(
    world,
    ['a', 'b', 'c'].map((letter) => letter.repeat(50_000)),
  );
  const ms = await world.passUntil(() => payloads.length === 3, 20_000);
  assert.ok(ms >= 8_900 && ms <= 9_500, `${ms}`);
});

test('Wills that wait have the limits of queues: what is more is dropped, and counted', async (t) => {
  const world = await worldWith(t, { limits: { ...rate, queuedMessagesPerUser: 5 } });
  const payloads = await watching(world);
  await die(world, numbers(30));
  const { counters, accounts } = world.parts();
  await world.passUntil(() => payloads.length === 15, 1_000);
  await world.passUntil(() => accounts.known('alice')!.queuedMessages === 0, 0);
  assert.deepEqual(payloads, numbers(15));
  assert.equal(counters.messagesDropped.of('user-quota'), 15);
  assert.equal(accounts.known('alice')!.balances.wills.bytes, 0);
  await world.logs.waitFor(/^Wills dropped: too many wait for the rate/);
});

test('of who is forgotten, or has no rate any more, none waits', async (t) => {
  const world = await worldWith(t, { limits: rate });
  const payloads = await watching(world);
  await die(world, numbers(20));
  const { accounts, wills } = world.parts();
  const account = accounts.known('alice')!;
  assert.equal(account.incoming!.waiting, 10);
  wills.dropDelayed('alice');
  await world.passUntil(() => account.queuedMessages === 0, 0);
  assert.deepEqual([account.incoming!.waiting, wills.of('alice'), payloads.length], [0, 0, 10]);
  await die(world, ['20', '21']);
  const limits = { messagesInPerSecond: 0 };
  accounts.setOverride('alice', { limits, since: world.clock.epochMs(), until: null, reason: '' });
  await world.passUntil(() => payloads.length === 12, 0);
  assert.equal(account.balances.wills.bytes, 0);
});
