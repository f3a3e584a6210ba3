// Whatever users do, what was charged to them is given back when all of it is over: nothing of theirs is counted then,
// under any name, and nobody is remembered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Account } from '../../src/fairness/account.js';
import { eventually } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, RawClient } from '../support/raw-client.js';
import { useTimedBroker } from '../support/timed-broker.js';

const logins = ['alice', 'bob'];
const clientIds = ['a', 'b'];
const { broker, pass } = useTimedBroker({
  users: logins,
  config: {
    limits: {
      ...{ inflightMessages: 4, queuedMessages: 20, queuedBytes: 100_000, queuedBytesPerUser: 200_000 },
      ...{ sessionsPerUser: 2, subscriptionsPerUser: 60, retainedMessagesPerUser: 10, retainedBytesPerUser: 60_000 },
      ...{ memoryPerUser: 2 * 1024 * 1024, memory: 3 * 1024 * 1024, packetBytes: 2 * 1024 * 1024 },
    },
  },
});

const slot = fc.nat(4);
const bytes = fc.constantFrom(0, 10, 1_000, 17_000, 60_000);
const topic = fc.constantFrom('x', 'y', 'deep/er/and/deep/er', 'x/y');
const qos = fc.constantFrom(0, 1, 2);
const filter = fc.constantFrom('x', '#', '+/y', 'deep/#', '$share/g/x', 'y', 'denied');

const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ do: fc.constant('connect' as const), slot, login: fc.constantFrom(...logins) },
      ...{ clientId: fc.constantFrom(...clientIds), clean: fc.boolean(), will: fc.boolean() },
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), slot, politely: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('subscribe' as const), slot, filters: fc.array(filter), qos }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), slot, filters: fc.array(filter) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ do: fc.constant('publish' as const), slot, topic, bytes, qos },
      ...{ retain: fc.boolean(), count: fc.constantFrom(1, 5, 30) },
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('release' as const), slot, id: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('half' as const), slot, bytes: fc.constantFrom(3, 400_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ping' as const), slot, count: fc.constantFrom(1, 5_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reading' as const), slot, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('garbage' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 100, 2_000) }) },
);

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A connection, and whose it wants to be. It goes on without waiting for answers. */
interface Slot {
  readonly client: RawClient;
  readonly login: string;
}

async function run(slots: (Slot | undefined)[], step: Operation): Promise<void> {
  if (step.do === 'wait') return pass(step.ms);
  if (step.do === 'connect') {
    slots[step.slot]?.client.cut();
    const { login, clientId, clean } = step;
    const client = await RawClient.open(broker, {}, clientId);
    const will = { topic: `iotlab/${login}/will`, payload: 'x'.repeat(500), qos: 1, retain: true };
    const options = { as: login, clientId, clean, keepaliveSeconds: 0 };
    client.send(connectPacket(step.will ? { ...options, will } : options));
    slots[step.slot] = { client, login };
    return;
  }
  const found = slots[step.slot];
  if (found === undefined || found.client.isOver) return;
  const { client, login } = found;
  const own = (name: string) =>
    name === 'denied' ? 'iotlab/carol/#' : name.replace(/^(\$share\/g\/)?/, `$1iotlab/${login}/`);
  switch (step.do) {
    case 'leave':
      if (step.politely) client.send(mqtt.disconnect());
      else client.cut();
      break;
    case 'subscribe':
      if (step.filters.length > 0)
        client.send(mqtt.subscribe(1, ...step.filters.map((name) => [own(name), step.qos] as const)));
      break;
    case 'unsubscribe':
      if (step.filters.length > 0) client.send(mqtt.unsubscribe(2, ...step.filters.map(own)));
      break;
    case 'publish':
      for (let i = 0; i < step.count; i++) {
        const payload = Buffer.alloc(step.bytes);
        const how = step.qos === 0 ? {} : { qos: step.qos, id: i + 1 };
        client.send(mqtt.publish(own(step.topic), payload, { ...how, retain: step.retain }));
      }
      break;
    case 'release':
      client.send(mqtt.pubrel(step.id));
      break;
    case 'acknowledge':
      for (const packet of client.waiting.filter(({ type }) => type === mqtt.PUBLISH).slice(0, 3)) {
        const { qos: got, id } = mqtt.readMessage(packet);
        if (got === 1) client.send(mqtt.puback(id));
        if (got === 2) client.send(mqtt.pubrec(id), mqtt.pubcomp(id));
      }
      break;
    case 'half':
      client.send(mqtt.publish(own('x'), Buffer.alloc(1_000_000)).subarray(0, step.bytes));
      break;
    case 'ping':
      client.send(...Array.from({ length: step.count }, () => mqtt.pingreq()));
      break;
    case 'reading':
      if (step.on) client.socket.resume();
      else client.socket.pause();
      break;
    case 'garbage':
      client.send(Buffer.from([0xf0, 0]));
      break;
  }
}

/** Waits until something holds, with time going by for the broker: some ends have a deadline. */
async function until(what: string, holds: () => boolean): Promise<void> {
  await eventually(10_000, what, async () => {
    await pass(500);
    return holds();
  });
}

/** Everything that is kept beyond connections: sessions, their queues, retained messages. */
async function cleanUp(): Promise<void> {
  for (const login of logins) {
    for (const clientId of clientIds) await (await RawClient.connect(broker, { as: login, clientId })).disconnect();
    const client = await RawClient.connect(broker, { as: login });
    const prefix = `iotlab/${login}/`;
    const topics = [...broker.parts().store.retained].map(({ topic }) => topic).filter((it) => it.startsWith(prefix));
    for (const retained of topics) await client.publish(retained, '', { qos: 1, retain: true });
    await client.disconnect();
  }
}

const heldBy = ({ name, balances, tasks, flushables }: Account) => ({
  name,
  tasks: tasks.length,
  flushables: flushables.length,
  ...Object.fromEntries(
    Object.entries(balances)
      .map(([balance, { bytes: held }]) => [balance, held] as const)
      .filter(([, held]) => held !== 0),
  ),
});

test('a connection is paid for by its network until its user is known, and by its user from then on', async () => {
  const { ledger } = broker.parts();
  const paid = () =>
    [...ledger.accounts].map(({ balances }) => balances.connections.bytes).filter((bytes) => bytes > 0);
  const stranger = await RawClient.open(broker);
  await eventually(10_000, 'the network to pay', () => paid().length > 0);
  const [one = 0, ...others] = paid();
  assert.deepEqual(others, []);
  const client = await RawClient.connect(broker, { as: 'alice' });
  assert.deepEqual(paid(), [one, one]);
  stranger.cut();
  await eventually(10_000, 'the network to pay no more', () => paid().length === 1);
  assert.deepEqual(paid(), [one]);
  await client.disconnect();
  await eventually(10_000, 'the user to pay no more', () => paid().length === 0);
});

test('what was charged is given back', async () => {
  const { ledger, connections, sessions } = broker.parts();
  // Those of the broker itself, of which one keeps what happened lately.
  const own = new Set(ledger.accounts);
  const left = () => [...ledger.accounts].filter((account) => !own.has(account)).map(heldBy);
  /** What is counted as held by somebody, and belongs to nobody. */
  const astray = () =>
    [...ledger.accounts].reduce(
      (bytes, { heldBytes, balances }) => bytes - heldBytes + balances.connections.bytes,
      ledger.heldBytes,
    );
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 60 }), async (operations) => {
      const slots: (Slot | undefined)[] = [];
      for (const step of operations) await run(slots, step);
      for (const found of slots) found?.client.cut();
      await until('the connections end', () => connections.size === 0);
      await cleanUp();
      await until('everything is over', () => left().length === 0 && astray() === 0).catch(() => {});
      assert.deepEqual([left(), astray(), sessions.size], [[], 0, 0]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});
