import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerProcess } from './broker-process.js';
import { type Address, ExactPublisher, ExactSubscriber } from './exact-clients.js';
import { tempFolder } from './temp-folder.js';

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const limits = { queuedMessages: 1_000_000, queuedBytes: 1_000_000_000, queuedBytesPerUser: 1_000_000_000 };
const deadlineMs = 60_000;

/** Mulberry32. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * A test: the broker is killed again and again under load. CRASH_SEED repeats the random choices of a run (not its
 * timing).
 */
export function killedUnderLoad(kills: number): void {
  const timeout = 60_000 + kills * 10_000;
  test(`killed ${kills} times under load, keeps what it acknowledged`, { timeout }, async (t) => {
    t.diagnostic(`CRASH_SEED=${seed}`);
    const random = randomFrom(seed);
    const violations: string[] = [];
    const identity = (name: string) => ({ clientId: name, username: 'alice', password: 'secret' });
    const broker = await BrokerProcess.prepare(await tempFolder(t), { alice: 'secret' }, limits);
    t.after(() => broker.kill());

    const publishers = ['p0', 'p1', 'p2'].map((name) => {
      const topic = (level: string, qos: 1 | 2, retain: boolean) => ({
        topic: `iotlab/alice/${name}/${level}`,
        qos,
        retain,
      });
      const topics = [
        topic('once', 2, false),
        topic('atleast', 1, false),
        topic('kept', 1, true),
        topic('keptonce', 2, true),
      ];
      return new ExactPublisher(identity(name), violations, topics);
    });
    const subscribers = [
      new ExactSubscriber(identity('s0'), violations, ['iotlab/alice/#'], 2),
      new ExactSubscriber(identity('s1'), violations, ['iotlab/alice/#'], 1),
      new ExactSubscriber(
        identity('s2'),
        violations,
        ['iotlab/alice/+/once', 'iotlab/alice/#', 'iotlab/alice/p1/+'],
        2,
      ),
    ];

    let address: Address = await broker.start();
    for (const subscriber of subscribers) {
      await subscriber.connect(address);
      await subscriber.subscribe();
    }
    for (const publisher of publishers) await publisher.connect(address);
    for (const publisher of publishers) {
      publisher.publishing = true;
      publisher.pump();
    }

    for (let kill = 1; kill <= kills; kill++) {
      const stopAt = performance.now() + 50 + random(400);
      const comeAndGo = async (subscriber: ExactSubscriber) => {
        while (performance.now() < stopAt) {
          await delay(random(100));
          subscriber.leave(random(2) === 0);
          await delay(random(20));
          await subscriber.connect(address).catch(() => {});
        }
      };
      const coming = subscribers.slice(1).map(comeAndGo);
      await delay(Math.max(0, stopAt - performance.now()));
      const promised = publishers.flatMap(({ topics }) => topics.map((topic) => ({ ...topic })));
      await broker.kill();
      await Promise.all(coming);
      for (const client of [...publishers, ...subscribers]) client.leave(false);
      address = await broker.start();
      await assertRetained(address, promised, kill);
      for (const client of [...subscribers, ...publishers]) await client.connect(address);
      assert.deepEqual(violations, [], `after kill ${kill}`);
    }

    for (const publisher of publishers) publisher.publishing = false;
    const sent = publishers.flatMap(({ topics }) => topics);
    const settled = () =>
      publishers.every(({ done }) => done) &&
      subscribers.every(({ last }) => sent.every(({ topic, sent: count }) => last.get(topic) === count));
    for (const until = performance.now() + deadlineMs; !settled() && performance.now() < until; ) await delay(20);
    assert.deepEqual(violations, []);
    for (const { topic, sent: count } of sent) {
      for (const { identity: who, last } of subscribers)
        assert.equal(last.get(topic), count, `${who.clientId} ${topic}`);
    }
    for (const client of [...publishers, ...subscribers]) client.leave(true);
    await broker.kill('SIGTERM');
    assert.deepEqual(broker.complaints, []);
    const total = sent.reduce((sum, { sent: count }) => sum + count, 0);
    const delivered = subscribers.map(({ deliveries, duplicates }) => `${deliveries} (${duplicates} again)`).join(', ');
    t.diagnostic(`${kills} kills, ${total} messages, delivered ${delivered}`);
    assert.ok(total > kills * 20, 'there was hardly any load');
  });
}

/** What was acknowledged as retained before the kill is there, or what came after it. */
async function assertRetained(
  address: Address,
  promised: readonly { topic: string; retain: boolean; acknowledged: number }[],
  kill: number,
): Promise<void> {
  const seen: string[] = [];
  const witness = new ExactSubscriber(
    { clientId: `w${kill}`, username: 'alice', password: 'secret' },
    seen,
    ['iotlab/alice/+/kept', 'iotlab/alice/+/keptonce'],
    1,
  );
  await witness.connect(address, true);
  await witness.subscribe();
  const kept = promised.filter(({ retain, acknowledged }) => retain && acknowledged > 0);
  const complete = () => kept.every(({ topic, acknowledged }) => (witness.last.get(topic) ?? 0) >= acknowledged);
  for (const until = performance.now() + 5_000; !complete() && performance.now() < until; ) await delay(5);
  witness.leave(true);
  for (const { topic, acknowledged } of kept) {
    const value = witness.last.get(topic) ?? 0;
    assert.ok(
      value >= acknowledged,
      `retained ${topic} after kill ${kill}: ${value}, acknowledged was ${acknowledged}`,
    );
  }
}
