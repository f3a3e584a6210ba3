import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as any5 from '../support/arbitrary5.js';
import { Client5, connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// The same against the whole broker: it answers or says goodbye, it never fails, and nobody else notices.
const { p } = mqtt5;

/** Tests: `share` of the random packets that the long ones send. */
export function broker5Fuzz(share: number): void {
  const broker = useTestBroker();

  test('any message comes to a subscriber as it was published, with the properties that it had', async () => {
    await using client = await Client5.connect(broker, { properties: [p.topicAliasMaximum(3)] });
    await using publisher = await Client5.connect(broker);
    await client.subscribe(['iotlab/alice/fuzz/#', 2 | 0x20]);
    await fc.assert(
      fc.asyncProperty(any5.publish, async (message) => {
        const { topic, payload, qos, retain, properties } = message;
        await publisher.publish(topic, payload, { qos, retain, properties });
        const came = await client.receive();
        const { topicAlias: _, ...read } = came.properties;
        assert.deepEqual([came.topic, came.qos, came.payloadBytes], [topic, qos, payload]);
        assert.deepEqual(read, mqtt5.readProperties(mqtt5.properties(properties), 0).properties);
      }),
      { numRuns: 300 * share },
    );
  });

  test('whatever a client sends, the broker answers it or tells why not; and it is never the broker that failed', async () => {
    await using bystander = await Client5.connect(broker, { as: 'bob' });
    await bystander.subscribe(['iotlab/bob/#', 1]);
    let goodbyes = 0;
    const packets = fc.array(
      fc.oneof({ weight: 3, arbitrary: any5.packet }, { weight: 1, arbitrary: any5.mangled(any5.packet) }),
      {
        minLength: 1,
        maxLength: 8,
      },
    );
    await fc.assert(
      fc.asyncProperty(packets, async (sent) => {
        await using client = await Client5.connect(broker);
        client.send(...sent);
        // What is cut off in the middle of a packet would be waited for.
        client.raw.socket.end();
        await client.raw.closed();
        const types = client.raw.waiting.map(({ type }) => type);
        const goodbye = types.indexOf(mqtt.DISCONNECT);
        if (goodbye === -1) return;
        goodbyes++;
        assert.equal(goodbye, types.length - 1, 'nothing behind DISCONNECT');
        const { code } = mqtt5.readDisconnect(client.raw.waiting[goodbye]!);
        assert.ok([0x81, 0x82, 0x90, 0x94, 0x95, 0x99].includes(code), `0x${code.toString(16)}`);
      }),
      { numRuns: 100 * share },
    );
    assert.ok(goodbyes > 10 * share);
    await bystander.publish('iotlab/bob/x', 'still', { qos: 1 });
    assert.equal((await bystander.receive()).payload, 'still');
    assert.deepEqual(
      broker.logs.lines().filter(({ level }) => (level as number) >= 50),
      [],
    );
  });

  test('a CONNECT with anything wrong in it is refused or closed, and never let in by mistake', async () => {
    const whole = fc.constant(
      connectPacket5({ will: { topic: 'iotlab/alice/fuzz/w', payload: 'x' }, properties: [p.receiveMaximum(9)] }),
    );
    await fc.assert(
      fc.asyncProperty(any5.mangled(whole), async (packet) => {
        await using client = await RawClient.open(broker);
        client.send(packet);
        client.socket.end();
        await client.closed();
        const [first, ...others] = client.waiting;
        if (first === undefined) return;
        assert.equal(first.type, mqtt.CONNACK);
        if (first.body[1] !== 0) assert.deepEqual(others, []);
      }),
      { numRuns: 100 * share },
    );
    assert.deepEqual(
      broker.logs.lines().filter(({ level }) => (level as number) >= 50),
      [],
    );
  });
}
