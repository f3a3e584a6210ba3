import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Outgoing, payloadsByTopic, publishAll, receiveAll } from '../support/flows.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const roomy = useTestBroker({
  config: { limits: { queuedMessages: 50_000, queuedBytes: 64 << 20, queuedBytesPerUser: 64 << 20 } },
});

const total = 20_000;
let topics = 0;
const freshTopic = () => `iotlab/alice/order/${++topics}`;

function assertSame(received: readonly { topic: string; payload: string }[], sent: readonly Outgoing[]): void {
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

const mixes: readonly (readonly [string, (index: number) => { leaf: string; qos: number }])[] = [
  ['QoS 0, 1 and 2 mixed on one topic', (index) => ({ leaf: 'one', qos: index % 3 })],
  ['QoS 1 and 2 mixed on one topic', (index) => ({ leaf: 'one', qos: 1 + (index % 2) })],
  ['one QoS a topic, topics interleaved', (index) => ({ leaf: `${index % 3}`, qos: index % 3 })],
  ['seven topics, every QoS on each of them', (index) => ({ leaf: `${index % 7}`, qos: index % 3 })],
];
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
      const count = 6_000;
      const sent = Array.from({ length: count }, (_, index) => {
        const { leaf, qos } = mix(index);
        return { topic: `${base}/${leaf}`, payload: `${index}`, qos };
      });
      const [one, two] = await Promise.all([
        receiveAll(clean, count),
        receiveAll(persistent, count),
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

test('[MQTT-4.6.0-6] what waited comes before what is published while it comes', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await using publisher = await RawClient.connect(broker);
  const batch = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ topic, payload: `${from + index}`, qos: 1 }));
  await publishAll(publisher, batch(0, 500));
  const second = RawClient.connect(broker, { clientId, clean: false });
  const [client] = await Promise.all([second, publishAll(publisher, batch(500, 900))]);
  await using subscriber = client;
  assertSame(await receiveAll(subscriber, 900), batch(0, 900));
});
