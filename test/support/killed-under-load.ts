import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerProcess } from './broker-process.js';
import { type Address, ExactPublisher, ExactSubscriber } from './exact-clients.js';
import { tempFolder } from './temp-folder.js';

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const limits = { queuedMessages: 1_000_000, queuedBytes: 1_000_000_000, queuedBytesPerUser: 1_000_000_000 };
const deadlineMs = 60_000;
/** What is acknowledged while others are written is what makes the store wait. */
const slowDisk = new URL('./slow-disk.js', import.meta.url).href;

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
 * A test: the broker is killed again and again under load. `prompt`: most of that is acknowledged by its receivers within
 * moments, and waits in the store for as long. CRASH_SEED repeats the random choices of a run (not its timing).
 */
export function killedUnderLoad(kills: number, prompt = false): void {
  const timeout = 60_000 + kills * 10_000;
  const how = prompt ? 'load that is soon acknowledged' : 'load';
  test(`killed ${kills} times under ${how}, keeps what it acknowledged`, { timeout }, async (t) => {
    t.diagnostic(`CRASH_SEED=${seed}`);
    const random = randomFrom(seed);
    const violations: string[] = [];
    const flags = prompt ? ['--import', slowDisk] : [];
    const identity = (name: string) => ({ clientId: name, username: 'alice', password: 'secret' });
    const broker = await BrokerProcess.prepare(await tempFolder(t), { alice: 'secret' }, limits);
    t.after(() => broker.kill());

    const publishers = ['p0', 'p1', 'p2', ...(prompt ? ['p3'] : [])].map((name) => {
      const topic = (level: string, qos: 1 | 2, retain: boolean) => ({
        topic: `iotlab/alice/${name}/${level}`,
        qos,
        retain,
      });
      const everyKind = [
        topic('once', 2, false),
        topic('atleast', 1, false),
        topic('kept', 1, true),
        topic('keptonce', 2, true),
      ];
      // Whatever is behind a message of QoS 2 is on disk before it is sent.
      const topics = prompt ? [everyKind[name === 'p3' ? 0 : 1]!] : everyKind;
      return new ExactPublisher(identity(name), violations, topics);
    });
    const subscriber = (name: string, filters: readonly string[], qos: 1 | 2) =>
      new ExactSubscriber(identity(name), violations, filters, qos);
    const subscribers = prompt
      ? [
          ...['p0', 'p1', 'p2'].map((name) => subscriber(`s of ${name}`, [`iotlab/alice/${name}/#`], 1)),
          subscriber('once', ['iotlab/alice/+/once'], 2),
        ]
      : [
          subscriber('s0', ['iotlab/alice/#'], 2),
          subscriber('s1', ['iotlab/alice/#'], 1),
          subscriber('s2', ['iotlab/alice/+/once', 'iotlab/alice/#', 'iotlab/alice/p1/+'], 2),
        ];
    if (prompt) for (const each of subscribers) each.keepsMs = () => (random(30) === 0 ? random(10) : 0);

    let address: Address = await broker.start(flags);
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
      address = await broker.start(flags);
      await assertRetained(address, promised, kill);
      for (const client of [...subscribers, ...publishers]) await client.connect(address);
      assert.deepEqual(violations, [], `after kill ${kill}`);
    }

    for (const publisher of publishers) publisher.publishing = false;
    const sent = publishers.flatMap(({ topics }) => topics);
    const heardBy = (each: ExactSubscriber) => sent.filter(({ topic }) => each.hears(topic));
    const settled = () =>
      publishers.every(({ done }) => done) &&
      subscribers.every((each) => heardBy(each).every(({ topic, sent: count }) => each.last.get(topic) === count));
    for (const until = performance.now() + deadlineMs; !settled() && performance.now() < until; ) await delay(20);
    assert.deepEqual(violations, []);
    for (const each of subscribers) {
      for (const { topic, sent: count } of heardBy(each))
        assert.equal(each.last.get(topic), count, `${each.identity.clientId} ${topic}`);
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
