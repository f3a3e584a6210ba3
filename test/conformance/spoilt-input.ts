import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { eventually } from '../support/deadline.js';
import { garbageCollector, keptMegabytes } from '../support/garbage-collector.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient, type Target } from '../support/raw-client.js';
import type { useTestBroker } from '../support/test-broker.js';

export const limitBytes = 256 * 1024;
export const options = { config: { limits: { packetBytes: limitBytes, connectTimeoutMs: 1_000 } } };

export type AttackedBroker = ReturnType<typeof useTestBroker>;

/** Those who use the broker meanwhile: after every test they must be served as before. */
export class Others {
  readonly #broker: AttackedBroker;
  #witness: RawClient | undefined;

  constructor(broker: AttackedBroker) {
    this.#broker = broker;
    after(() => this.#witness?.[Symbol.asyncDispose]());
  }

  /** Somebody who is there all the time. */
  async #theWitness(): Promise<RawClient> {
    if (this.#witness) return this.#witness;
    const witness = await RawClient.connect(this.#broker, { as: 'bob', keepaliveSeconds: 0 });
    await witness.subscribe(['iotlab/bob/#', 1]);
    this.#witness = witness;
    return witness;
  }

  async areServed(): Promise<void> {
    const payload = freshId();
    const bob = await this.#theWitness();
    await bob.publish('iotlab/bob/still', payload, { qos: 1 });
    assert.equal((await bob.receive()).payload, payload);
    await using fresh = await RawClient.connect(this.#broker);
    await fresh.subscribe(['iotlab/alice/still', 0]);
    await fresh.publish('iotlab/alice/still', payload);
    assert.equal((await fresh.receive()).payload, payload);
  }
}

/** Good packets, to be spoilt. */
export const goodPackets: readonly (readonly [string, Buffer])[] = [
  ['CONNECT', connectPacket({ will: { topic: 'iotlab/alice/w', payload: 'w' } })],
  ['PUBLISH', mqtt.publish('iotlab/alice/x', 'payload', { qos: 1, id: 1 })],
  ['SUBSCRIBE', mqtt.subscribe(1, ['iotlab/alice/x', 0], ['iotlab/alice/y', 1])],
  ['UNSUBSCRIBE', mqtt.unsubscribe(1, 'iotlab/alice/x', 'iotlab/alice/y')],
];

/** A test. */
export function takesRandomStrings(broker: AttackedBroker, others: Others, count: number): void {
  test(`${count} random byte strings, before and after CONNECT`, async () => {
    const seed = Number(process.env.BAD_INPUT_SEED ?? randomInt(2 ** 31));
    const inputs = fc.sample(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        // A head that exists, with a length that fits, and anything for a body.
        fc
          .tuple(fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 100 }))
          .map(([head, body]) => mqtt.packet(head, body)),
        // A good packet with one byte changed.
        fc
          .tuple(fc.constantFrom(...goodPackets.map(([, bytes]) => bytes)), fc.nat(), fc.nat({ max: 255 }))
          .map(([bytes, at, value]) => {
            const changed = Buffer.from(bytes);
            changed[at % changed.length] = value;
            return changed;
          }),
      ),
      { numRuns: count, seed },
    );
    // Some hundreds come over TLS, and all others as a proxy relays them: the bytes are what is tried here,
    // and a handshake takes longer than all that is made of them.
    // One connection takes one string after the other until it is thrown out; then the next one goes on.
    let connections = 0;
    let client: RawClient | null = null;
    for (const [index, bytes] of inputs.entries()) {
      if (client === null || client.isOver) {
        connections += 1;
        await client?.[Symbol.asyncDispose]();
        const target = index < count / 10 ? broker : broker.relayed;
        client = index % 2 ? await RawClient.open(target) : await RawClient.connect(target);
      }
      client.send(bytes);
      // Every now and then wait for what the broker makes of it; a connection in the middle of a packet says nothing.
      if (index % 4 === 3) client.socket.end();
      if (index % 4 === 3) await client.closed();
      if (index % 1000 === 999) await others.areServed();
    }
    await client?.[Symbol.asyncDispose]();
    assert.ok(connections > count / 10, `${connections} connections with seed ${seed}`);
    await others.areServed();
  });
}

/** A test: what a first storm leaves may stay, what `rounds` more of them leave may not. */
export function givesMemoryBack(broker: AttackedBroker, others: Others, rounds: number, target: () => Target): void {
  test('memory returns when the connections that filled it are gone', async () => {
    const collect = garbageCollector();
    const used = () => keptMegabytes(collect);
    const storm = async () => {
      const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(target())));
      for (const client of clients) {
        // Half a packet of nearly the limit, a few subscriptions, and a QoS 2 flow that is never ended.
        await client.subscribe(...Array.from({ length: 20 }, (_, index) => [`iotlab/alice/m/${index}`, 1] as const));
        client.send(mqtt.publish('iotlab/alice/open', 'x', { qos: 2, id: 1 }));
        const bytes = mqtt.publish('iotlab/alice/half', Buffer.alloc(limitBytes - 100));
        client.send(bytes.subarray(0, bytes.length - 1));
      }
      for (const client of clients) {
        client.cut();
        await client.closed();
      }
    };
    await others.areServed();
    await storm();
    const { parts } = broker;
    await eventually(5_000, 'the connections are gone', () => parts().connections.size === 1);
    const once = used();
    for (let round = 0; round < rounds; round += 1) await storm();
    await eventually(5_000, 'the connections are gone', () => parts().connections.size === 1);
    let now = 0;
    await eventually(10_000, 'the memory returns', () => {
      now = used();
      return now < once + 10;
    }).catch(() =>
      assert.fail(`${now.toFixed(1)} MB after ${1 + rounds} storms, ${once.toFixed(1)} MB after the first`),
    );
    await others.areServed();
  });
}
