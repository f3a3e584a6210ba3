import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Outgoing, payloadsByTopic, publishAll, receiveAll } from '../support/flows.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

let topics = 0;
export const freshTopic = () => `iotlab/alice/order/${++topics}`;

export function assertSame(received: readonly { topic: string; payload: string }[], sent: readonly Outgoing[]): void {
  const [actual, expected] = [payloadsByTopic(received), payloadsByTopic(sent)];
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  // Not one deepEqual over 20 000 lines: the difference would be unreadable.
  for (const [topic, payloads] of expected) {
    const got = actual.get(topic) ?? [];
    const wrong = payloads.findIndex((payload, index) => got[index] !== payload);
    assert.equal(wrong, -1, `${topic}: at ${wrong} came ${got[wrong]}, not ${payloads[wrong]} (${got.length} came)`);
    assert.equal(got.length, payloads.length, topic);
  }
}

const mixes: readonly (readonly [string, (index: number) => { leaf: string; qos: number }])[] = [
  ['QoS 0, 1 and 2 mixed on one topic', (index) => ({ leaf: 'one', qos: index % 3 })],
  ['QoS 1 and 2 mixed on one topic', (index) => ({ leaf: 'one', qos: 1 + (index % 2) })],
  ['one QoS a topic, topics interleaved', (index) => ({ leaf: `${index % 3}`, qos: index % 3 })],
  ['seven topics, every QoS on each of them', (index) => ({ leaf: `${index % 7}`, qos: index % 3 })],
];

/** Tests: so many messages of one QoS come in order, and so many of several. */
export function comeInOrder(total: number, mixed: number): void {
  const broker = useTestBroker();
  const roomy = useTestBroker({
    config: { limits: { queuedMessages: 50_000, queuedBytes: 64 << 20, queuedBytesPerUser: 64 << 20 } },
  });

  for (const qos of [1, 2]) {
    for (const clean of [true, false]) {
      const kind = clean ? 'clean' : 'persistent';
      test(`[MQTT-4.6.0-5] [MQTT-4.6.0-6] ${total} messages of QoS ${qos} to a ${kind} subscriber`, async () => {
        const topic = freshTopic();
        await using subscriber = await RawClient.connect(broker, { clean });
        await subscriber.subscribe([topic, qos]);
        await using publisher = await RawClient.connect(broker);
        const sent = Array.from({ length: total }, (_, index) => ({ topic, payload: `${index}`, qos }));
        const [received] = await Promise.all([receiveAll(subscriber, total), publishAll(publisher, sent)]);
        assertSame(received, sent);
        await subscriber.expectNothing();
      });
    }
  }

  for (const [name, mix] of mixes) {
    for (const offline of [false, true]) {
      test(`[MQTT-4.6.0-6] ${name}, ${offline ? 'with' : 'without'} an offline session`, async () => {
        const base = freshTopic();
        const sleeper = freshId('sleeper');
        if (offline) {
          const client = await RawClient.connect(roomy, { clientId: sleeper, clean: false });
          await client.subscribe([`${base}/#`, 2]);
          await client.disconnect();
        }
        await using clean = await RawClient.connect(roomy);
        await clean.subscribe([`${base}/#`, 2]);
        await using persistent = await RawClient.connect(roomy, { clean: false });
        await persistent.subscribe([`${base}/#`, 2]);
        await using publisher = await RawClient.connect(roomy);
        const sent = Array.from({ length: mixed }, (_, index) => {
          const { leaf, qos } = mix(index);
          return { topic: `${base}/${leaf}`, payload: `${index}`, qos };
        });
        const [one, two] = await Promise.all([
          receiveAll(clean, mixed),
          receiveAll(persistent, mixed),
          publishAll(publisher, sent),
        ]);
        assertSame(one, sent);
        assertSame(two, sent);
        if (!offline) return;
        // What waits is what was promised: QoS 1 and 2.
        const promised = sent.filter(({ qos }) => qos > 0);
        await using awake = await RawClient.connect(roomy, { clientId: sleeper, clean: false });
        const received = await receiveAll(awake, promised.length);
        assertSame(received, promised);
        await awake.expectNothing();
      });
    }
  }
}
