// The publishing side of one connection: who gets a message, when it is answered, and what that costs its user.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import type { ProtocolError } from '../../src/connection/protocol-error.js';
import { PublishFlow } from '../../src/connection/publish-flow.js';
import { wire311 } from '../../src/connection/wire3.js';
import { type Job, perform } from '../../src/fairness/job.js';
import type { Qos } from '../../src/mqtt/packets.js';
import type { Publication } from '../../src/mqtt/publication.js';
import { Counters } from '../../src/observe/counters.js';
import { History } from '../../src/observe/history.js';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { Router } from '../../src/routing/router.js';
import { Distribution } from '../../src/session/distribution.js';
import { OutgoingQueue } from '../../src/session/outgoing-queue.js';
import { RetainedQuota } from '../../src/session/retained-quota.js';
import { Session } from '../../src/session/session.js';
import { openStore } from '../../src/store/store.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import type { Valve } from '../../src/valve.js';
import { sessionRecord } from '../contract/store.js';
import { RecordingSubscriber } from '../routing/recording-subscriber.js';
import { newScheduler, userAccount } from '../support/accounts.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { committed, silent, wholeSessions } from '../support/open-store.js';
import * as mqtt from '../support/packets.js';
import { nextTurn } from '../support/work-time.js';

const names = new Map([
  [0x40, 'PUBACK'],
  [0x50, 'PUBREC'],
  [0x70, 'PUBCOMP'],
]);

/** Somebody who gets messages, and keeps them in the store with `keep`. */
class Receiver extends RecordingSubscriber {
  /** Says, for a kept message, that its client has acknowledged it. */
  readonly acknowledge: (() => void)[] = [];
  readonly #keep: (() => void) | null;

  constructor(keep: (() => void) | null = null) {
    super('alice', keep !== null);
    this.#keep = keep;
  }

  override deliver(publication: Publication): void {
    publication.deliveries++;
    this.got.push(`${publication.topic} ${publication.payload}`);
    if (this.#keep === null) return;
    this.#keep();
    const ticket = publication.needsStore().add();
    this.acknowledge.push(() => ticket.receiverDone());
  }
}

/** A client that publishes, over a disk whose writes can be held. */
async function setup({ persistent = false } = {}) {
  const disk = new FlawedDisk();
  const clock = new ManualClock();
  const options = { config: { path: '/nowhere', sessionExpiryMs: 1_000_000 }, log: silent, clock, open: disk.open };
  const store = await openStore(options);
  const account = userAccount();
  const counters = new Counters();
  const history = new History(clock, { add() {} });
  const asked: string[] = [];
  const gate = {
    mayPublish: (_client: unknown, topic: string) => {
      asked.push(topic);
      return topic.startsWith('iotlab/alice/');
    },
    maySubscribe: () => true,
    mayReceive: () => true,
  };
  const limits = defaultConfig().limits;
  const noisyLog = createRateLimited({ clock });
  const log = silent;
  const scheduler = newScheduler();
  const router = new Router();
  const quota = new RetainedQuota({ account: () => account, log, noisyLog, counters, history });
  const distribution = new Distribution({ router, store, quota, clock, scheduler });
  const writer = persistent ? store.session('alice/a') : null;
  writer?.save(sessionRecord('alice/a'));
  await committed(store);
  const whenStored = (callback: () => void) => store.whenStored(callback);
  const outgoing = new OutgoingQueue(
    {
      ...{ limits, clock, account, scheduler, retained: store.retained, counters, whenStored, onDropped: () => {} },
      ...{ storedInMemory: true, mayReceive: () => true },
      perform: (job) => perform(job, account, scheduler),
      onUnreadable: (error) => assert.fail(String(error)),
    },
    writer,
  );
  const session = new Session({
    ...{ account, clientId: 'a', gate, outgoing, writer },
    ...{ level: 4, createdAt: 0, lastSeenAt: 0, expiryMs: persistent ? 1_000_000 : 0 },
  });
  const sent: string[] = [];
  const waitsFor: Valve[] = [];
  const jobs: Job[] = [];
  const closed: string[] = [];
  let kept = 0;
  const connection = {
    outbox: { acknowledge: (head: number, id: number) => sent.push(`${names.get(head)} ${id}`) },
    reader: {
      perform: (job: Job) => jobs.push(job),
      waitFor: (valve: Valve) => {
        if (valve.closed) waitsFor.push(valve);
      },
    },
    traffic: { publishReceived() {} },
    close: (reason: string) => closed.push(reason),
  };
  const context = {
    router,
    gate,
    distribution,
    store,
    counters,
    clock,
    limits,
    log,
    noisyLog,
    history,
    scheduler,
  };
  const flow = new PublishFlow(
    context as unknown as ConstructorParameters<typeof PublishFlow>[0],
    { connection, session, wire: wire311 } as unknown as ConstructorParameters<typeof PublishFlow>[1],
  );
  return {
    ...{ disk, clock, store, account, counters, asked, router, session, flow, closed, waitsFor, jobs },
    publish(topic: string, payload: string | Buffer, qos: Qos = 1, id = 1, retain = false): number {
      const packet = mqtt.publish(topic, payload, qos === 0 ? { retain } : { qos, id, retain });
      let bodyStart = 1;
      while (packet[bodyStart++]! > 127);
      return flow.publish(packet, 0, bodyStart, packet.length);
    },
    subscribe(filter: string, { keeps = false } = {}): Receiver {
      const receiver = new Receiver(keeps ? () => store.session('alice/b').putIncoming(++kept) : null);
      router.subscribe(receiver, filter, 2, null);
      return receiver;
    },
    /** The answers since this was asked last. */
    answers: () => sent.splice(0),
    /** From now on writes to the disk wait; the returned function lets them through, and waits for them. */
    hold() {
      const held: (() => void)[] = [];
      const { pause } = disk;
      disk.pause = () => new Promise((resolve) => held.push(resolve));
      return async () => {
        disk.pause = pause;
        await nextTurn();
        for (const resolve of held.splice(0)) resolve();
        await committed(store);
      };
    },
  };
}

const x = 'iotlab/alice/x';

describe('a message', () => {
  test('goes to whoever has subscribed, and costs as much as it has receivers', async () => {
    const { publish, subscribe, counters, answers } = await setup();
    const receivers = [subscribe(x), subscribe('iotlab/alice/#'), subscribe('iotlab/alice/y')];
    assert.equal(publish(x, 'hello', 0), 3);
    assert.deepEqual(
      receivers.map(({ got }) => got),
      [[`${x} hello`], [`${x} hello`], []],
    );
    assert.ok(publish(x, Buffer.alloc(100 * 1024), 0) >= 100, 'and as much as it is large');
    assert.deepEqual(answers(), []);
    assert.deepEqual(counters.publishesReceived, [2, 0, 0]);
  });

  test('of a new subscriber’s topic goes to that one too, and no more to who has left', async () => {
    const { publish, subscribe, router } = await setup();
    const first = subscribe(x);
    publish(x, '1', 0);
    const second = subscribe(x);
    publish(x, '2', 0);
    router.unsubscribe(first, x);
    publish(x, '3', 0);
    assert.deepEqual(
      [first.got, second.got],
      [
        [`${x} 1`, `${x} 2`],
        [`${x} 2`, `${x} 3`],
      ],
    );
  });

  test('with the retain flag replaces the one that is kept, and deletes it when it is empty', async () => {
    const { publish, store, account } = await setup();
    publish(x, 'kept', 1, 1, true);
    publish(x, 'kept, too', 1, 2, true);
    assert.equal(store.retained.get(x)?.payload.toString(), 'kept, too');
    assert.equal(account.retainedMessages, 1);
    publish(x, 'not kept', 1, 3);
    publish(x, '', 1, 4, true);
    assert.equal(store.retained.get(x), undefined);
    assert.deepEqual([account.retainedMessages, account.balances.retained.bytes], [0, 0]);
  });

  test('whose receivers take long to find is a job, for which later frames wait', async () => {
    const { publish, subscribe, jobs, answers } = await setup();
    // Every level of the topic doubles the places to look at.
    const levels = 11;
    const deep = ['iotlab', 'alice', ...Array(levels).fill('a')].join('/');
    for (let i = 0; i < 2 ** levels; i++) {
      const level = (bit: number) => ((i >> bit) & 1 ? '+' : 'a');
      subscribe(['iotlab', 'alice', ...Array.from({ length: levels }, (_, bit) => level(bit))].join('/'));
    }
    publish(deep, 'hello');
    assert.deepEqual([jobs.length, answers()], [1, []]);
    while (!jobs[0]!.next().done);
    assert.deepEqual(answers(), ['PUBACK 1']);
  });
});

describe('the access rules', () => {
  test('are asked once for a topic, whichever connection of the user publishes to it', async () => {
    const { publish, asked, account } = await setup();
    for (let i = 0; i < 3; i++) publish(x, `${i}`, 0);
    assert.deepEqual(asked, [x]);
    account.topics.clear();
    publish(x, 'again', 0);
    assert.deepEqual(asked, [x, x], 'they may have changed');
  });

  test('may deny it: then it is dropped, and acknowledged as any other', async () => {
    const { publish, subscribe, counters, answers, closed, flow } = await setup();
    const bob = subscribe('iotlab/bob/#');
    publish('iotlab/bob/x', 'hello', 0);
    publish('iotlab/bob/x', 'hello', 1, 1);
    publish('iotlab/bob/x', 'hello', 2, 2);
    flow.pubrel(2);
    assert.deepEqual(answers(), ['PUBACK 1', 'PUBREC 2', 'PUBCOMP 2']);
    assert.deepEqual([bob.got, closed, counters.publishesDenied], [[], [], 3]);
  });

  test('are not asked about what is no topic', async () => {
    const { publish, asked } = await setup();
    for (const [topic, tag] of [
      ['', 'MQTT-3.3.2-2'],
      ['iotlab/alice/+', 'MQTT-3.3.2-2'],
      ['iotlab/alice/#', 'MQTT-3.3.2-2'],
    ] as const) {
      assert.throws(
        () => publish(topic, 'x', 0),
        (error: ProtocolError) => error.tag === tag,
      );
    }
    assert.deepEqual(asked, []);
  });
});

describe('an answer', () => {
  test('comes at once when nobody keeps the message', async () => {
    const { publish, subscribe, answers } = await setup();
    subscribe(x);
    publish(x, 'hello', 1, 7);
    publish(x, 'hello', 2, 8);
    assert.deepEqual(answers(), ['PUBACK 7', 'PUBREC 8']);
  });

  test('comes when the message is on disk for everybody who keeps it', async () => {
    const { publish, subscribe, answers, hold, account } = await setup();
    subscribe(x, { keeps: true });
    const write = hold();
    publish(x, 'hello', 1, 7, true);
    await nextTurn();
    assert.deepEqual(answers(), []);
    assert.ok(account.balances.storing.bytes > 0);
    await write();
    assert.deepEqual(answers(), ['PUBACK 7']);
    assert.equal(account.balances.storing.bytes, 0);
  });

  test('comes when all who keep it have acknowledged it before that', async () => {
    const { publish, subscribe, answers, hold } = await setup();
    const receivers = [subscribe(x, { keeps: true }), subscribe(x, { keeps: true })];
    const write = hold();
    publish(x, 'hello', 1, 7);
    receivers[0]!.acknowledge[0]!();
    assert.deepEqual(answers(), []);
    receivers[1]!.acknowledge[0]!();
    assert.deepEqual(answers(), ['PUBACK 7']);
    await write();
    assert.deepEqual(answers(), [], 'once');
  });

  test('never overtakes an earlier one [MQTT-4.6.0-2]', async () => {
    const { publish, subscribe, answers, hold, flow } = await setup();
    subscribe('iotlab/alice/kept', { keeps: true });
    const write = hold();
    publish(x, 'first', 1, 1);
    assert.deepEqual(answers(), ['PUBACK 1']);
    publish('iotlab/alice/kept', 'x', 1, 2);
    publish(x, 'nobody keeps it', 1, 3);
    publish('iotlab/bob/x', 'denied', 1, 4);
    publish(x, 'x', 2, 5);
    flow.pubrel(5);
    publish(x, 'x', 0);
    await nextTurn();
    assert.deepEqual(answers(), []);
    await write();
    assert.deepEqual(answers(), ['PUBACK 2', 'PUBACK 3', 'PUBACK 4', 'PUBREC 5', 'PUBCOMP 5']);
  });

  test('never comes when the disk fails: the connection ends, and nothing more is taken on', async () => {
    const { publish, subscribe, answers, disk, closed, store, session } = await setup({ persistent: true });
    subscribe(x, { keeps: true });
    disk.writeError = new Error('no space left on device');
    publish(x, 'hello', 1, 7);
    await new Promise<void>((resolve) => store.committed(() => resolve()));
    assert.deepEqual([answers(), closed], [[], ['store-fault']]);
    publish(x, 'hello', 1, 8);
    publish(x, 'hello', 2, 9);
    assert.deepEqual([answers(), closed.length], [[], 3]);
    assert.equal(session.hasReceived(9), false, 'it comes again, and must not be taken for known');
  });
});

describe('a message of QoS 2', () => {
  test('is delivered once, however often it comes, until it is released', async () => {
    const { publish, subscribe, answers, flow, account } = await setup();
    const receiver = subscribe(x);
    publish(x, 'once', 2, 7);
    publish(x, 'once', 2, 7);
    assert.deepEqual([receiver.got.length, answers()], [1, ['PUBREC 7', 'PUBREC 7']]);
    assert.equal(account.receivedMessages, 1);
    flow.pubrel(7);
    flow.pubrel(7);
    assert.deepEqual(answers(), ['PUBCOMP 7', 'PUBCOMP 7']);
    assert.deepEqual([account.receivedMessages, account.balances.received.bytes], [0, 0]);
    publish(x, 'another', 2, 7);
    assert.deepEqual(receiver.got, [`${x} once`, `${x} another`]);
  });

  test('of a persistent session is known on disk before PUBREC, and forgotten there before PUBCOMP', async () => {
    const { publish, answers, hold, flow, store } = await setup({ persistent: true });
    const known = async () => (await wholeSessions(store))[0]!.incoming;
    let write = hold();
    publish(x, 'x', 2, 7);
    await nextTurn();
    assert.deepEqual(answers(), []);
    await write();
    assert.deepEqual(answers(), ['PUBREC 7']);
    assert.deepEqual(await known(), [7]);
    write = hold();
    flow.pubrel(7);
    await nextTurn();
    assert.deepEqual(answers(), []);
    await write();
    assert.deepEqual(answers(), ['PUBCOMP 7']);
    assert.deepEqual(await known(), []);
  });

  test('has to be released some time', async () => {
    const { publish, account } = await setup();
    account.receivedMessages = 262_143;
    publish(x, 'the last one', 2, 1);
    assert.throws(
      () => publish(x, 'one too many', 2, 2),
      (error: ProtocolError) => error.tag === 'quota',
    );
    publish(x, 'the last one, again', 2, 1);
  });
});

describe('who publishes faster than the disk writes', () => {
  test('waits while a megabyte is on its way there, and goes on in order when half of it is', async () => {
    const { publish, subscribe, hold, jobs, answers, account } = await setup();
    const keeps = subscribe(x, { keeps: true });
    const write = hold();
    const payload = Buffer.alloc(256 * 1024);
    for (let id = 1; id <= 4; id++) publish(x, payload, 1, id);
    assert.deepEqual([jobs.length, account.storing.valve.closed], [0, true]);
    publish(x, 'later', 1, 5);
    publish('iotlab/alice/nobody', 'needs no disk', 0);
    assert.deepEqual([jobs.length, keeps.got.length], [1, 4]);
    assert.equal(jobs[0]!.next().value, account.storing.valve);
    assert.ok(account.balances.jobs.bytes > 0);
    await write();
    assert.deepEqual(answers(), ['PUBACK 1', 'PUBACK 2', 'PUBACK 3', 'PUBACK 4']);
    while (!jobs[0]!.next().done);
    assert.equal(keeps.got.at(-1), `${x} later`);
    await write();
    assert.deepEqual(answers(), ['PUBACK 5']);
    assert.deepEqual([account.balances.storing.bytes, account.balances.jobs.bytes], [0, 0]);
  });

  test('is not read while eight thousand answers wait behind one that it has to write', async () => {
    const { publish, subscribe, hold, waitsFor, answers } = await setup();
    subscribe(x, { keeps: true });
    const write = hold();
    for (let id = 1; id <= 8_192; id++) publish(id === 1 ? x : 'iotlab/alice/nobody', '', 1, id);
    assert.equal(waitsFor.length, 0);
    publish('iotlab/alice/nobody', '', 1, 8_193);
    assert.equal(waitsFor.length, 1);
    await write();
    assert.equal(waitsFor[0]!.closed, false);
    assert.equal(answers().length, 8_193);
  });
});
