import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Client5, type Client5Options, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { type Attack, attacks, markOf, type Reach, reachOf } from './attacks.js';

// The table of attacks once more in MQTT 5, by every way that it adds: aliases, options, identifiers, groups, Wills with
// properties, sessions that change their version. Controls are made on the attacker's own tree, where they must succeed.
const { p } = mqtt5;
// Those who die with a Will or write once are relayed, as they are many; the others come over TLS.
const broker = useTestBroker({ users: ['alice', 'bob'], relay: true });
const everyQos = [0, 1, 2] as const;

const publishers = new Map<string, Client5>();
after(() => Promise.all([...publishers.values()].map((client) => client[Symbol.asyncDispose]())));

async function publisherOf(login: string): Promise<Client5> {
  const known = publishers.get(login) ?? (await Client5.connect(broker, { as: login, keepaliveSeconds: 0 }));
  publishers.set(login, known);
  return known;
}

/** Connects with a Will and is cut. When the next connection of the same client id is in, the Will is out. */
async function die(options: Client5Options): Promise<void> {
  const clientId = freshId('dying');
  const dying = await RawClient.open(broker.relayed);
  dying.send(connectPacket5({ ...options, clientId }));
  await dying.next().catch(() => undefined);
  dying.cut();
  await dying.closed();
  await (await Client5.connect(broker.relayed, { as: options.as ?? 'alice', clientId })).disconnect();
}

/** What comes to `client` before a message to its own tree that was sent behind everything else. */
async function harvest(client: Client5, login: string): Promise<mqtt5.Message5[]> {
  const payload = freshId('mark');
  await (await publisherOf(login)).publish(markOf(login), payload, { qos: 1 });
  const messages: mqtt5.Message5[] = [];
  for (;;) {
    const message = await client.receive();
    if (message.topic === markOf(login) && message.payload === payload) return messages;
    if (message.topic !== markOf(login)) messages.push(message);
  }
}

/** The owner's traffic: live, by alias and as a Will, at every QoS, all over the tree. */
async function traffic({ owner, topics, tree }: Reach): Promise<void> {
  const publisher = await publisherOf(owner);
  for (const [index, topic] of topics.entries()) {
    for (const qos of everyQos) await publisher.publish(topic, `live at ${qos}`, { qos });
    const properties = [p.topicAlias(index + 1), p.responseTopic(`${tree}/answers`)];
    await publisher.publish(topic, 'by alias', { qos: 1, properties });
    await publisher.publish('', 'by alias', { qos: 1, properties });
  }
  for (const topic of [tree, `${tree}/x`]) await die({ as: owner, will: { topic, payload: 'will', qos: 1 } });
}

async function retain({ owner, topics }: Reach, payload: string): Promise<void> {
  const publisher = await publisherOf(owner);
  for (const topic of topics) await publisher.publish(topic, payload, { qos: 1, retain: true });
}

interface Variant {
  readonly name: string;
  readonly keeps: boolean;
  readonly options: number;
  readonly identifier?: number;
  readonly aliases?: number;
}
const variants: readonly Variant[] = [
  { name: 'plainly', keeps: false, options: 2 },
  { name: 'No Local, as published, with an identifier', keeps: false, options: 2 | 0x04 | 0x08, identifier: 7 },
  { name: 'in a session that is kept, only when new, with aliases', keeps: true, options: 1 | 0x10, aliases: 64 },
];

/** Subscribes, sees what comes, goes away, comes back, and sees what waited. */
async function reading(attack: Attack, reach: Reach, variant: Variant): Promise<mqtt5.Message5[]> {
  const login = 'alice';
  const properties = [p.topicAliasMaximum(variant.aliases ?? 0), ...(variant.keeps ? [p.sessionExpiry(600)] : [])];
  const options = { as: login, clientId: freshId(), properties };
  const first = await Client5.connect(broker, options);
  await first.subscribe([markOf(login), 1]);
  const pattern = attack.pattern(reach);
  // No Local does not go with a group.
  const byte = pattern.startsWith('$share') ? variant.options & ~0x04 : variant.options;
  const identifiers = variant.identifier === undefined ? [] : [p.subscriptionIdentifier(variant.identifier)];
  const { codes } = await first.subscribeWith([[pattern, byte]], identifiers);
  if (reach.foreign) assert.ok(codes[0]! >= 0x80, `${pattern} was granted ${codes[0]}`);
  const seen: mqtt5.Message5[] = [];
  await traffic(reach);
  seen.push(...(await harvest(first, login)));
  await first.disconnect();
  await traffic(reach);
  const again = await Client5.connect(broker, { ...options, cleanStart: !variant.keeps });
  if (!variant.keeps) await again.subscribe([markOf(login), 1]);
  seen.push(...(await harvest(again, login)));
  await again.disconnect(0, variant.keeps ? [p.sessionExpiry(0)] : undefined);
  return seen;
}

for (const attack of attacks.filter(({ way }) => way === 'read')) {
  test(`reading by ${attack.name} in MQTT 5: nothing of bob's comes to alice`, async () => {
    const foreign = reachOf('bob', 'alice');
    await retain(foreign, 'kept');
    for (const variant of attack.control ? variants : variants.slice(1)) {
      assert.deepEqual(await reading(attack, foreign, variant), [], variant.name);
    }
    if (!attack.control) return;
    const own = reachOf('alice', 'alice');
    await retain(own, 'kept');
    for (const variant of variants) {
      const payloads = new Set((await reading(attack, own, variant)).map(({ payload }) => payload));
      // What alice's other clients publish is not local.
      for (const expected of ['live at 1', 'by alias', 'will']) assert.ok(payloads.has(expected), variant.name);
      assert.equal(payloads.has('kept'), !attack.pattern(own).startsWith('$share'), variant.name);
    }
    await retain(own, '');
  });
}

/** The owner's eyes: what comes live, and what is retained behind it. */
async function watch(owner: string, act: () => Promise<void>): Promise<mqtt5.Message5[]> {
  const filters = [`iotlab/${owner}`, `iotlab/${owner}/#`].map((filter) => [filter, 2 | 0x20] as const);
  await using live = await Client5.connect(broker, { as: owner });
  await live.subscribe(...filters);
  await act();
  const seen = await harvest(live, owner);
  await using late = await Client5.connect(broker, { as: owner });
  await late.subscribe([`iotlab/${owner}`, 2], [`iotlab/${owner}/#`, 2]);
  return [...seen, ...(await harvest(late, owner))];
}

type Packets = (topic: string, qos: number, retained: boolean) => readonly Buffer[];
const publish = (topic: string, payload: string, qos: number, retained: boolean, ...properties: mqtt5.Property[]) =>
  mqtt5.publish(topic, payload, { qos, retain: retained, properties, ...(qos > 0 ? { id: 1 } : {}) });

/** How a topic can be written to in MQTT 5. */
const writings: Readonly<Record<string, Packets>> = {
  'its name': (topic, qos, retained) => [publish(topic, 'attack', qos, retained, p.contentType('t'))],
  'an alias that it sets': (topic, qos, retained) => [
    publish(topic, 'attack', 0, false, p.topicAlias(1)),
    publish('', 'attack', qos, retained, p.topicAlias(1)),
  ],
  'an alias that stood for an own topic': (topic, qos, retained) => [
    publish('iotlab/alice/own', 'own', 0, false, p.topicAlias(2)),
    publish(topic, 'attack', 0, false, p.topicAlias(2)),
    publish('', 'attack', qos, retained, p.topicAlias(2)),
  ],
};

for (const attack of attacks.filter(({ way }) => way === 'write')) {
  test(`writing by ${attack.name} in MQTT 5: nothing of alice's comes to bob`, async () => {
    const act = (reach: Reach) => async () => {
      const topic = attack.pattern(reach);
      for (const packets of Object.values(writings)) {
        for (const qos of everyQos) {
          const client = await Client5.connect(broker.relayed);
          client.send(...packets(topic, qos, qos === 1), mqtt5.pubrel(1), mqtt.pingreq());
          // Some topics are malformed: then the connection is closed, which is as good.
          await client.raw.take(mqtt.PINGRESP).catch((error) => {
            if (!client.raw.isOver) throw error;
          });
          client.cut();
        }
      }
      for (const properties of [[], [p.contentType('t'), p.willDelay(0)]]) {
        await die({ will: { topic, payload: 'attack as a Will', qos: 1, retain: true, properties } });
      }
    };
    const isAttack = ({ payload }: mqtt5.Message5) => payload.startsWith('attack');
    assert.deepEqual((await watch('bob', act(reachOf('bob', 'alice')))).filter(isAttack), []);
    if (!attack.control) return;
    const own = (await watch('alice', act(reachOf('alice', 'alice')))).filter(isAttack);
    assert.ok(own.length >= 2 * 3 * Object.keys(writings).length, `the control: ${own.length} come to herself`);
    assert.ok(own.some(({ payload, retain: kept }) => payload === 'attack as a Will' && kept));
    await (await publisherOf('alice')).publish(attack.pattern(reachOf('alice', 'alice')), '', { qos: 1, retain: true });
  });
}
