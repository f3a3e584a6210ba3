import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// One user who may use every topic, so that the rules of matching show and not the rules of access.
const broker = useTestBroker({
  users: ['root'],
  config: {
    acl: [
      { access: 'readwrite', topic: '#' },
      { access: 'readwrite', topic: '$lab/#' },
    ],
  },
});
const connect = () => RawClient.connect(broker, { as: 'root' });

const cases: readonly (readonly [filter: string, topic: string, matches: boolean])[] = [
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/tennis/player1/#', 'sport/tennis/player2', false],
  ['sport/#', 'sport', true],
  ['sport/#', 'sports', false],
  ['#', 'a', true],
  ['#', '/', true],
  ['#', 'a/b/c/d', true],
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+', 'finance', true],
  ['+', '/finance', false],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+/tennis/#', 'sport/tennis', true],
  ['+/tennis/#', '/tennis/x', true],
  ['sport/+/player1', 'sport/tennis/player1', true],
  ['sport/+/player1', 'sport//player1', true],
  ['a//b', 'a//b', true],
  ['a//b', 'a/b', false],
  ['a/+/b', 'a/b', false],
  ['/a', 'a', false],
  ['a/', 'a', false],
  ['a', 'a/', false],
  ['a/#', 'a/', true],
  ['//', '//', true],
  ['+/+/+', '//', true],
  ['A/b', 'a/b', false],
  ['ACCOUNTS', 'Accounts', false],
  ['a b', 'a b', true],
  ['a b', 'a%20b', false],
  ['é', 'é', true],
  ['\u00e9', 'e\u0301', false],
  ['\u2126', '\u03a9', false],
  ['constructor/+', 'constructor/toString', true],
  ['__proto__/#', '__proto__/x', true],
  ['hasOwnProperty', 'hasOwnProperty', true],
  ['toString', 'valueOf', false],
  ['+/__proto__', 'a/__proto__', true],
  ['#', '$lab/x', false],
  ['+/x', '$lab/x', false],
  ['+/#', '$lab/x', false],
  ['$lab/#', '$lab/x', true],
  ['$lab/+', '$lab/x', true],
  ['$lab/#', '$lab', true],
  ['$labs/#', '$lab/x', false],
];
for (const [filter, topic, matches] of cases) {
  const tags = topic.startsWith('$') ? '[MQTT-4.7.2-1]' : '[MQTT-4.7.3-4]';
  test(`${tags} '${filter}' ${matches ? 'matches' : 'does not match'} '${topic}', live and retained`, async () => {
    await using client = await connect();
    const granted = await client.subscribe([filter, 0]);
    if (filter.startsWith('$labs')) assert.deepEqual(granted, [0x80]);
    else assert.deepEqual(granted, [0]);
    await using publisher = await connect();
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    if (matches) {
      const live = await client.message();
      assert.deepEqual([live.topic, live.payload, live.retain], [topic, 'kept', false]);
    }
    await client.expectNothing();
    await using late = await connect();
    await late.subscribe([filter, 0]);
    if (matches) {
      const kept = await late.message();
      assert.deepEqual([kept.topic, kept.payload, kept.retain], [topic, 'kept', true]);
    }
    await late.expectNothing();
    await publisher.publish(topic, '', { qos: 1, retain: true });
  });
}

test('[MQTT-4.7.3-3] topics of 65 535 bytes pass', async () => {
  await using client = await connect();
  const topic = 'x'.repeat(65_535);
  assert.deepEqual(await client.subscribe([topic, 0]), [0]);
  client.send(mqtt.publish(topic, 'x'));
  assert.equal((await client.message()).topic, topic);
});

test('topics of 200 levels pass, plain and through wildcards', async () => {
  const levels = Array.from({ length: 200 }, (_, index) => `${index}`);
  const topic = levels.join('/');
  for (const filter of [topic, levels.map((level, index) => (index % 2 ? '+' : level)).join('/'), '0/#']) {
    await using client = await connect();
    assert.deepEqual(await client.subscribe([filter, 0]), [0]);
    await client.publish(topic, filter, { qos: 1 });
    assert.equal((await client.receive()).payload, filter);
    await client.expectNothing();
  }
});

test('a filter of 12 levels with several + and a trailing / works as the testbed uses it', async () => {
  await using client = await connect();
  const filter = 'iotlab/root/site/+/archi/+/node/+/request/+/id/';
  await client.subscribe([filter, 1]);
  await client.publish('iotlab/root/site/lille/archi/m3/node/42/request/reset/id/', 'x', { qos: 1 });
  assert.equal((await client.receive()).topic, 'iotlab/root/site/lille/archi/m3/node/42/request/reset/id/');
  await client.publish('iotlab/root/site/lille/archi/m3/node/42/request/reset/id', 'x', { qos: 1 });
  await client.expectNothing();
});
