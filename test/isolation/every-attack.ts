import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Outgoing, publishAll } from '../support/flows.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient, type RawConnectOptions } from '../support/raw-client.js';
import { doorFor, useTestBroker } from '../support/test-broker.js';
import { type Attack, attacks, markOf, neighbours, type Reach, reachOf } from './attacks.js';

// The promise of the product: nobody reads and nobody writes another user's tree, by whatever way. Every attack of the
// table is also made on the attacker's own tree, where it must succeed: a test that can't fail would promise nothing.
const versions = [3, 4] as const;
const everyQos = [0, 1, 2] as const;
type Way = readonly [level: (typeof versions)[number], qos: (typeof everyQos)[number]];
/** By which ways somebody reads who has a session of the one kind or the other. */
type Ways = Readonly<Record<'clean' | 'stored', readonly Way[]>>;
const allWays: readonly Way[] = versions.flatMap((level) => everyQos.map((qos) => [level, qos] as const));
export const everyWay: Ways = { clean: allWays, stored: allWays };
const someWays: Ways = {
  clean: [
    [3, 0],
    [4, 2],
  ],
  stored: [
    [4, 1],
    [3, 2],
  ],
};

/** Tests. `waysOfControls`: by which attacks are made on bob that lead alice to what is her own. */
export function everyAttack(waysOfControls: Ways): void {
  const broker = useTestBroker({ users: ['alice', 'al', 'alicea', 'bob', 'bo', 'bobb'], relay: true });
  const connect = (options: RawConnectOptions) => RawClient.connect(doorFor(broker, options.level), options);

  /** One connection of each user that only publishes: so many tests need one, and only for a moment. */
  const publishers = new Map<string, RawClient>();
  after(() => Promise.all([...publishers.values()].map((client) => client[Symbol.asyncDispose]())));

  async function publisherOf(login: string): Promise<RawClient> {
    const known = publishers.get(login);
    if (known) return known;
    const client = await connect({ as: login, keepaliveSeconds: 0 });
    publishers.set(login, client);
    return client;
  }

  /** Connects with a Will and is cut. When the next connection of the same client id is in, the Will is out. */
  async function die(options: RawConnectOptions): Promise<void> {
    const clientId = freshId('dying');
    const dying = await RawClient.open(doorFor(broker, options.level));
    dying.send(connectPacket({ ...options, clientId }));
    await dying.next().catch(() => undefined);
    dying.cut();
    await dying.closed();
    await (await connect({ as: options.as ?? 'alice', clientId })).disconnect();
  }

  /** The owner's traffic: live and as a Will, at every QoS, all over the tree. Resolves when all of it is out. */
  async function traffic({ owner, topics, tree }: Reach): Promise<void> {
    const messages: Outgoing[] = topics.flatMap((topic) =>
      everyQos.map((qos) => ({ topic, payload: `live at ${qos}`, qos })),
    );
    await publishAll(await publisherOf(owner), messages);
    for (const topic of [tree, `${tree}/x`]) await die({ as: owner, will: { topic, payload: 'will', qos: 1 } });
  }

  /** What `client` gets until a message to its own tree comes through, which has been sent behind everything else. */
  async function harvest(client: RawClient, login: string): Promise<mqtt.Message[]> {
    const mark = markOf(login);
    const payload = freshId('mark');
    await (await publisherOf(login)).publish(mark, payload, { qos: 1 });
    const messages: mqtt.Message[] = [];
    for (;;) {
      const message = await client.receive();
      if (message.topic === mark && message.payload === payload) return messages;
      if (message.topic !== mark) messages.push(message);
    }
  }

  /** Subscribes alone, so that a filter that is thrown out by a close can't take the others with it. */
  async function trySubscribe(client: RawClient, filter: string, qos: number): Promise<number | 'closed'> {
    client.send(mqtt.subscribe(client.nextId(), [filter, qos]));
    try {
      return (await client.take(mqtt.SUBACK)).body[2] ?? -1;
    } catch (error) {
      if (client.isOver) return 'closed';
      throw error;
    }
  }

  /** Alice's way to read: subscribe, see what comes live, go away, come back, see what waited. */
  async function reading(
    attack: Attack,
    reach: Reach,
    options: RawConnectOptions,
    qos: number,
  ): Promise<mqtt.Message[]> {
    const login = options.as ?? 'alice';
    const first = await connect(options);
    await first.subscribe([markOf(login), 1]);
    const code = await trySubscribe(first, attack.pattern(reach), qos);
    if (reach.foreign) assert.ok(code === 0x80 || code === 'closed', `${attack.pattern(reach)} was granted ${code}`);
    const seen: mqtt.Message[] = [];
    if (code !== 'closed') {
      await traffic(reach);
      seen.push(...(await harvest(first, login)));
      await first.disconnect();
    }
    await traffic(reach);
    await using again = await connect(options);
    if (options.clean !== false) await again.subscribe([markOf(login), 1]);
    seen.push(...(await harvest(again, login)));
    await again.disconnect();
    if (options.clean === false) await (await connect({ ...options, clean: true })).disconnect();
    return seen;
  }

  const retain = async (reach: Reach, payload: string): Promise<void> =>
    publishAll(
      await publisherOf(reach.owner),
      reach.topics.map((topic) => ({ topic, payload, qos: 1, retain: true })),
    );

  for (const attack of attacks.filter(({ way }) => way === 'read')) {
    for (const session of ['clean', 'stored'] as const) {
      const clean = session === 'clean';
      test(`reading by ${attack.name}, ${session} session: nothing of bob's comes to alice`, async () => {
        const foreign = reachOf('bob', 'alice');
        await retain(foreign, 'kept');
        for (const [level, qos] of (attack.control ? waysOfControls : someWays)[session]) {
          const options = { as: 'alice', level, clean, clientId: freshId() };
          assert.deepEqual(await reading(attack, foreign, options, qos), [], `level ${level}, QoS ${qos}`);
        }
        if (!attack.control) return;
        const own = reachOf('alice', 'alice');
        await retain(own, 'kept');
        const messages = await reading(attack, own, { as: 'alice', clean, clientId: freshId() }, 1);
        const payloads = new Set(messages.map(({ payload }) => payload));
        assert.ok(payloads.has('live at 1'), 'the control: the same way leads to her own messages');
        assert.ok(payloads.has('will'));
        if (!attack.pattern(own).startsWith('$share')) assert.ok(payloads.has('kept'));
        await retain(own, '');
      });
    }
  }

  /** Bob's eyes: a live subscriber, a stored session, and later somebody who asks for retained messages. */
  async function watch(owner: string, act: () => Promise<void>): Promise<mqtt.Message[]> {
    const filters = [`iotlab/${owner}`, `iotlab/${owner}/#`].map((filter) => [filter, 2] as const);
    const stored = { as: owner, clean: false, clientId: freshId('stored') };
    const sleeper = await connect(stored);
    await sleeper.subscribe(...filters);
    await sleeper.disconnect();
    await using live = await connect({ as: owner });
    await live.subscribe(...filters);
    const before = await harvest(live, owner);
    await act();
    const seen = [...(await harvest(live, owner))];
    await using awake = await connect(stored);
    seen.push(...(await harvest(awake, owner)));
    await using late = await connect({ as: owner });
    await late.subscribe(...filters);
    const kept = await harvest(late, owner);
    const known = new Set(before.map(({ topic, payload }) => `${topic} ${payload}`));
    seen.push(...kept.filter(({ topic, payload }) => !known.has(`${topic} ${payload}`)));
    await awake.disconnect();
    await (await connect({ ...stored, clean: true })).disconnect();
    return seen;
  }

  /** Alice's way to write: a message, retained and not, at every QoS, and the same as a Will. */
  async function writing(attack: Attack, reach: Reach, options: RawConnectOptions): Promise<void> {
    const topic = attack.pattern(reach);
    for (const qos of everyQos) {
      for (const retained of [false, true]) {
        const client = await connect({ ...options, clientId: freshId() });
        // Some topics are malformed: then the connection is closed, which is as good.
        await client.publish(topic, `attack ${qos}`, { qos, retain: retained }).catch((error) => {
          if (!client.isOver) throw error;
        });
        client.cut();
        const will = { topic, payload: `will ${qos}`, qos, retain: retained };
        await die({ ...options, will });
      }
    }
  }

  for (const attack of attacks.filter(({ way }) => way === 'write')) {
    for (const level of versions) {
      test(`writing by ${attack.name}, level ${level}: nothing of alice's comes to bob`, async () => {
        const seen = await watch('bob', () => writing(attack, reachOf('bob', 'alice'), { as: 'alice', level }));
        assert.deepEqual(
          seen.filter(({ payload }) => /attack|will \d/.test(payload)),
          [],
        );
        if (!attack.control) return;
        const own = await watch('alice', () => writing(attack, reachOf('alice', 'alice'), { as: 'alice', level }));
        const payloads = new Set(own.map(({ payload }) => payload));
        for (const expected of ['attack 0', 'attack 1', 'attack 2', 'will 0', 'will 1', 'will 2']) {
          assert.ok(payloads.has(expected), `the control: ${expected} comes to herself`);
        }
        assert.ok(
          own.some(({ retain: kept }) => kept),
          'the control: it is also retained',
        );
        const cleaner = await publisherOf('alice');
        await cleaner.publish(attack.pattern(reachOf('alice', 'alice')), '', { qos: 1, retain: true });
      });
    }
  }

  for (const [attacker, victim] of neighbours) {
    test(`${attacker} and ${victim}, whose names begin alike, see and change nothing of each other`, async () => {
      const reach = reachOf(victim, attacker);
      await retain(reach, 'kept');
      for (const attack of attacks) {
        if (!attack.control) continue;
        if (attack.way === 'read') {
          const options = { as: attacker, clean: false, clientId: freshId() };
          assert.deepEqual(await reading(attack, reach, options, 2), [], attack.name);
        } else {
          const seen = await watch(victim, () => writing(attack, reach, { as: attacker }));
          assert.deepEqual(
            seen.filter(({ topic, payload }) => topic === attack.pattern(reach) && payload !== 'kept'),
            [],
            attack.name,
          );
        }
      }
    });
  }
}
