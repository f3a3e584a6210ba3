// Acknowledgements that do not belong to what they name. What can be honest (a repetition, a message that is not known
// any more) is tolerated; what can only be a mistake ends the connection, or it would quietly use up the window.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

let topics = 0;

/** A client with one message in flight to it. */
async function withMessage(qos: number, clean = true): Promise<{ client: RawClient; id: number }> {
  const topic = `iotlab/alice/acknowledgements/${++topics}`;
  const client = await RawClient.connect(broker, { clean });
  await client.subscribe([topic, qos]);
  await using publisher = await RawClient.connect(broker);
  await publisher.publish(topic, 'x', { qos });
  return { client, id: (await client.message()).id };
}

async function expectPubrel(client: RawClient, id: number): Promise<void> {
  const { type, body } = await client.next();
  assert.deepEqual([type, body.readUInt16BE(0)], [mqtt.PUBREL, id]);
}

for (const clean of [true, false]) {
  describe(`[MQTT-4.8.0-1] the wrong acknowledgement of a message in flight closes the connection (clean ${clean})`, () => {
    for (const [name, qos, packet] of [
      ['PUBREC of a message of QoS 1', 1, mqtt.pubrec],
      ['PUBCOMP of a message of QoS 1', 1, mqtt.pubcomp],
      ['PUBACK of a message of QoS 2', 2, mqtt.puback],
      ['PUBCOMP of a message of QoS 2 before PUBREC', 2, mqtt.pubcomp],
    ] as const) {
      test(name, async () => {
        const { client, id } = await withMessage(qos, clean);
        await using _ = client;
        client.send(packet(id));
        await client.expectClose();
      });
    }

    test('PUBACK of a message of QoS 2 after PUBREC', async () => {
      const { client, id } = await withMessage(2, clean);
      await using _ = client;
      client.send(mqtt.pubrec(id));
      await expectPubrel(client, id);
      client.send(mqtt.puback(id));
      await client.expectClose();
    });
  });
}

test('the log says why', async () => {
  const { client, id } = await withMessage(1);
  await using _ = client;
  client.send(mqtt.pubcomp(id));
  await client.expectClose();
  const ends = broker.logs.lines().filter(({ msg, client: who }) => msg === 'disconnected' && who === client.clientId);
  assert.deepEqual(
    ends.map(({ reason }) => reason),
    ['protocol-error'],
  );
  assert.match(String(ends[0]?.detail), /PUBCOMP/);
});

test('the Will of a client that acknowledges wrongly is published', async () => {
  const topic = `iotlab/alice/acknowledgements/${++topics}`;
  await using watcher = await RawClient.connect(broker);
  await watcher.subscribe([`${topic}/will`, 0]);
  await using client = await RawClient.connect(broker, { will: { topic: `${topic}/will`, payload: 'gone' } });
  await client.subscribe([topic, 1]);
  await watcher.publish(topic, 'x', { qos: 1 });
  client.send(mqtt.pubrec((await client.message()).id));
  assert.equal((await watcher.message()).payload, 'gone');
});

test('[MQTT-4.4.0-1] the message that was acknowledged wrongly comes again', async () => {
  const { client, id } = await withMessage(1, false);
  client.send(mqtt.pubrec(id));
  await client.expectClose();
  await using again = await RawClient.connect(broker, { clientId: client.clientId, clean: false });
  const message = await again.receive();
  assert.deepEqual([message.id, message.dup, message.payload], [id, true, 'x']);
});

describe('what an honest client may say is tolerated', () => {
  test('the same acknowledgement twice', async () => {
    const one = await withMessage(1);
    await using first = one.client;
    first.send(mqtt.puback(one.id), mqtt.puback(one.id));
    await first.expectNothing();

    const two = await withMessage(2);
    await using second = two.client;
    second.send(mqtt.pubrec(two.id), mqtt.pubrec(two.id));
    await expectPubrel(second, two.id);
    await expectPubrel(second, two.id);
    second.send(mqtt.pubcomp(two.id), mqtt.pubcomp(two.id));
    await second.expectNothing();
  });

  test('PUBREC of a message whose flow is over, and of one that never was', async () => {
    const { client, id } = await withMessage(2);
    await using _ = client;
    client.send(mqtt.pubrec(id));
    await expectPubrel(client, id);
    client.send(mqtt.pubcomp(id), mqtt.pubrec(id), mqtt.pubrec(4_000));
    // It is told to go on, and so comes to an end on its side too.
    await expectPubrel(client, id);
    await expectPubrel(client, 4_000);
    await client.expectNothing();
  });

  test('PUBREC again after a reconnection', async () => {
    const { client, id } = await withMessage(2, false);
    client.send(mqtt.pubrec(id));
    await expectPubrel(client, id);
    client.cut();
    await using again = await RawClient.connect(broker, { clientId: client.clientId, clean: false });
    again.send(mqtt.pubrec(id));
    await expectPubrel(again, id);
    await expectPubrel(again, id);
    again.send(mqtt.pubcomp(id));
    await again.expectNothing();
  });

  test('acknowledgements of every kind for ids that are not in flight', async () => {
    const { client, id } = await withMessage(1);
    await using _ = client;
    client.send(mqtt.puback(5_001), mqtt.pubcomp(5_002), mqtt.pubrel(5_003));
    const { type, body } = await client.next();
    assert.deepEqual([type, body.readUInt16BE(0)], [mqtt.PUBCOMP, 5_003]);
    await client.expectNothing();
    client.send(mqtt.puback(id));
    await client.expectNothing();
  });
});
