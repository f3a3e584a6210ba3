// A process that was given little lives, whatever its users do: they are told no, or those who hold most have to go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerProcess } from '../support/broker-process.js';
import * as mqtt from '../support/packets.js';
import { passwordOf, RawClient, type Target } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';

const greedy = ['bobby', 'carol', 'david', 'erika'];
const users = Object.fromEntries(['alice', ...greedy].map((login) => [login, passwordOf(login)]));

/** Sends packets as fast as they are answered, until the last one is, or the broker has had enough of it. */
async function pour(client: RawClient, packets: Iterable<Buffer>, answer: number, ahead: number): Promise<void> {
  let open = 0;
  try {
    for (const packet of packets) {
      client.send(packet);
      if (++open > ahead) {
        await client.take(answer, 60_000);
        open--;
      }
    }
    for (; open > 0; open--) await client.take(answer, 60_000);
  } catch {
    assert.ok(client.isOver, 'neither answered nor closed');
  }
}

const attempt = (target: Target, options: Parameters<typeof RawClient.attempt>[1]) =>
  RawClient.attempt(target, { ...options, keepaliveSeconds: 0 });

/** Subscriptions, in packets of a thousand filters. */
function* filters(login: string, count: number): Generator<Buffer> {
  for (let i = 0; i < count; i += 1_000) {
    const some = Array.from({ length: 1_000 }, (_, j) => [`iotlab/${login}/${i + j}/a/b/c`, 1] as const);
    yield mqtt.subscribe(1 + i / 1_000, ...some);
  }
}

function* messages(topic: (i: number) => string, count: number, retain: boolean): Generator<Buffer> {
  for (let i = 0; i < count; i++) yield mqtt.publish(topic(i), `${i}`, { qos: 1, id: (i % 65_535) + 1, retain });
}

/** Everything that takes much of the heap and little of the wire. */
async function fill(target: Target, login: string): Promise<void> {
  const open = async (clean: boolean) => {
    const { client, code } = await attempt(target, { as: login, clean, clientId: `${login}${Math.random()}` });
    return code === 0 ? client : null;
  };
  const clients: RawClient[] = [];
  for (let i = 0; i < 5; i++) {
    const client = await open(false);
    if (client === null) break;
    clients.push(client);
    await pour(client, filters(login, 10_000), mqtt.SUBACK, 2);
  }
  const publisher = await open(true);
  if (publisher !== null) {
    clients.push(publisher);
    await pour(
      publisher,
      messages((i) => `iotlab/${login}/${i}/kept`, 20_000, true),
      mqtt.PUBACK,
      500,
    );
  }
  for (let i = 0; i < 20; i++) {
    const reader = await open(false);
    if (reader === null) break;
    await pour(reader, [mqtt.subscribe(1, [`iotlab/${login}/queue`, 1])], mqtt.SUBACK, 0);
    reader.cut();
  }
  if (publisher !== null && !publisher.isOver) {
    await pour(
      publisher,
      messages(() => `iotlab/${login}/queue`, 1_000, false),
      mqtt.PUBACK,
      500,
    );
  }
  for (const client of clients) client.cut();
}

test('four users who take what they get do not end a process with a heap of 48 MB', async (t) => {
  const broker = await BrokerProcess.prepare(await tempFolder(t), users, {});
  t.after(() => broker.kill());
  const address = await broker.start(['--max-old-space-size=48']);
  const target = { host: '127.0.0.1', ...address };
  const { pid } = broker;
  await Promise.all(greedy.map((login) => fill(target, login)));
  assert.ok(broker.running && broker.pid === pid, broker.complaints.join(''));
  const subscriber = await RawClient.connect(target, { as: 'alice', clean: false });
  assert.deepEqual(await subscriber.subscribe(['iotlab/alice/x', 1]), [1], 'who has little goes on');
  await using publisher = await RawClient.connect(target, { as: 'alice' });
  await publisher.publish('iotlab/alice/x', 'still here', { qos: 1 });
  assert.equal((await subscriber.receive()).payload, 'still here');
  await subscriber.disconnect();
});
