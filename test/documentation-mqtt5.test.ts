import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { within } from './support/deadline.js';
import { type ClientProcess, type Finished, startClient } from './support/mosquitto-clients.js';
import { freshId, passwordOf } from './support/raw-client.js';
import { useTestBroker } from './support/test-broker.js';

// A user's day in MQTT 5, with the programs that users have: mosquitto's, mqtt.js, and paho for Python.
const broker = useTestBroker({ store: 'folder', users: ['alice', 'bob'] });

let home = '';
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'iotlab-home-'));
});
after(() => rm(home, { recursive: true, force: true }));

const where = () => ['-h', 'localhost', '-p', `${broker.port}`, '--cafile', broker.caFile, '-V', 'mqttv5'];
const alice = ['-u', 'alice', '-P', passwordOf('alice')];
const run = (command: string, ...args: string[]): Promise<Finished> =>
  startClient(command, [...where(), ...args], { home }).finished();
const publish = (...args: string[]) => run('mosquitto_pub', ...alice, ...args);
const published: Finished = { code: 0, stdout: '', stderr: '' };

/** mosquitto_sub, once it is subscribed. */
async function subscriber(...args: string[]): Promise<ClientProcess> {
  const client = startClient('mosquitto_sub', [...where(), ...alice, '-d', ...args], { home });
  await client.line(/^Subscribed/);
  return client;
}

const messages = (client: { stdout: string }): string[] =>
  client.stdout.split('\n').filter((line) => line !== '' && !/^(Client|Subscribed)/.test(line));

for (const qos of ['0', '1', '2']) {
  test(`mosquitto: properties arrive at QoS ${qos}`, async () => {
    const topic = `iotlab/alice/v5/${qos}`;
    const format = ['-F', '%p|%C|%R|%D|%P|%A'];
    const sub = await subscriber('-q', qos, '-t', topic, '-C', '1', ...format);
    const properties = [
      ...['-D', 'publish', 'content-type', 'text/plain'],
      ...['-D', 'publish', 'response-topic', 'iotlab/alice/answers'],
      ...['-D', 'publish', 'correlation-data', '42'],
      ...['-D', 'publish', 'user-property', 'a', '1'],
      ...['-D', 'publish', 'topic-alias', '3'],
    ];
    assert.deepEqual(await publish('-q', qos, '-t', topic, '-m', 'hello', ...properties), published);
    assert.deepEqual(messages(await sub.finished()), ['hello|text/plain|iotlab/alice/answers|42|a:1|']);
  });
}

test('mosquitto_rr: a question and its answer', async () => {
  const answering = await subscriber('-t', 'iotlab/alice/ask', '-C', '1', '-F', '%R');
  const asking = startClient(
    'mosquitto_rr',
    [...where(), ...alice, '-t', 'iotlab/alice/ask', '-e', 'iotlab/alice/answer', '-m', 'how are you?'],
    { home },
  );
  assert.deepEqual(messages(await answering.finished()), ['iotlab/alice/answer']);
  assert.deepEqual(await publish('-q', '1', '-t', 'iotlab/alice/answer', '-m', 'fine'), published);
  assert.deepEqual(await asking.finished(), { code: 0, stdout: 'fine\n', stderr: '' });
});

test('mosquitto: a session with an expiry, over a restart of the broker', async () => {
  const topic = 'iotlab/alice/v5/session';
  const session = ['-c', '-x', '3600', '-i', freshId('v5'), '-q', '1', '-t', topic];
  const first = await subscriber(...session);
  first.child.kill('SIGTERM');
  await first.finished();
  assert.deepEqual(await publish('-q', '1', '-t', topic, '-m', 'missed'), published);
  await broker.restart();
  const second = startClient('mosquitto_sub', [...where(), ...alice, ...session, '-C', '1'], { home });
  assert.deepEqual(messages(await second.finished()), ['missed']);
});

test('mosquitto: a Will with a delay comes when the delay is over', async () => {
  const topic = 'iotlab/alice/v5/will';
  const sub = await subscriber('-t', topic, '-C', '1');
  const will = ['--will-topic', topic, '--will-payload', 'gone', '-D', 'will', 'will-delay-interval', '1'];
  const dying = await subscriber('-c', '-x', '60', '-i', freshId('v5'), '-t', `${topic}/other`, ...will);
  const killedAt = performance.now();
  dying.child.kill('SIGKILL');
  assert.deepEqual(messages(await sub.finished()), ['gone']);
  assert.ok(performance.now() - killedAt > 900, 'not before its delay was over');
});

test('mosquitto: what users read on a wrong password', async () => {
  const wrong = ['-u', 'alice', '-P', 'wrong', '-t', 'iotlab/alice/x'];
  const line = 'Connection error: Not authorized\n';
  assert.deepEqual(await run('mosquitto_sub', ...wrong), { code: 135, stdout: '', stderr: line });
  const pub = await run('mosquitto_pub', ...wrong, '-m', 'x');
  assert.deepEqual([pub.code, pub.stderr.startsWith(line)], [135, true]);
});

test('mosquitto: what users read on a denied publish: at QoS 1 why', async () => {
  const args = ['-t', 'iotlab/bob/x', '-m', 'x'];
  assert.deepEqual(await publish('-q', '0', ...args), published);
  const warning = 'Warning: Publish 1 failed: Not authorized.\n';
  const why = 'iotlab/bob/x is outside of what alice may use\n';
  assert.deepEqual(await publish('-q', '1', ...args), { code: 0, stdout: '', stderr: `${warning}${why}` });
  assert.deepEqual(await publish('-q', '2', ...args), { code: 0, stdout: '', stderr: warning });
});

test('mosquitto: what users read on a denied subscription', async () => {
  const { stderr } = await run('mosquitto_sub', ...alice, '-t', 'iotlab/bob/x', '-t', '#');
  assert.equal(stderr, 'All subscription requests were denied.\n');
});

function open(options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtts://localhost:${broker.port}`, {
    ca: broker.ca,
    username: 'alice',
    password: passwordOf('alice'),
    protocolVersion: 5,
    clientId: freshId('js'),
    reconnectPeriod: 0,
    ...options,
  });
}

const nextPacket = (client: MqttClient) =>
  within(
    5_000,
    'a message',
    new Promise<{ topic: string; text: string; properties: object }>((resolve) => {
      client.once('message', (topic, payload, { properties }) => {
        const { userProperties, ...others } = properties ?? {};
        const user = userProperties === undefined ? {} : { userProperties: { ...userProperties } };
        resolve({ topic, text: String(payload), properties: { ...others, ...user } });
      });
    }),
  );

test('mqtt.js: topic aliases in both directions', async () => {
  const options = { topicAliasMaximum: 10 };
  const publisher = await open({ autoAssignTopicAlias: true, autoUseTopicAlias: true, properties: options });
  const subscriber = await open({ properties: options });
  const topic = 'iotlab/alice/js5/alias';
  await subscriber.subscribeAsync(topic, { qos: 1 });
  const seen: string[] = [];
  const complete = new Promise<void>((resolve) => {
    subscriber.on('message', (on, payload) => {
      seen.push(`${on} ${payload}`);
      if (seen.length === 50) resolve();
    });
  });
  for (let i = 0; i < 50; i++) await publisher.publishAsync(topic, `${i}`, { qos: (i % 3) as 0 | 1 | 2 });
  await within(5_000, 'fifty messages', complete);
  assert.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, i) => `${topic} ${i}`),
  );
  await Promise.all([publisher.endAsync(), subscriber.endAsync()]);
});

test('mqtt.js: request and response, with a subscription identifier', async () => {
  const asking = await open();
  const answering = await open();
  await asking.subscribeAsync('iotlab/alice/js5/answer', { qos: 1, properties: { subscriptionIdentifier: 7 } });
  await answering.subscribeAsync('iotlab/alice/js5/ask', { qos: 1 });
  const question = nextPacket(answering);
  const answer = nextPacket(asking);
  const properties = {
    responseTopic: 'iotlab/alice/js5/answer',
    correlationData: Buffer.from('n1'),
    userProperties: { unit: ['C', 'F'] },
    messageExpiryInterval: 60,
  };
  await asking.publishAsync('iotlab/alice/js5/ask', 'how warm?', { qos: 1, properties });
  const asked = await question;
  assert.deepEqual([asked.text, asked.properties], ['how warm?', properties]);
  await answering.publishAsync(properties.responseTopic, '21', {
    qos: 1,
    properties: { correlationData: properties.correlationData },
  });
  const answered = await answer;
  assert.equal(answered.text, '21');
  assert.deepEqual(answered.properties, { correlationData: Buffer.from('n1'), subscriptionIdentifier: 7 });
  await Promise.all([asking.endAsync(), answering.endAsync()]);
});

test('mqtt.js: a burst of 3 000 messages of QoS 2, all at once', async () => {
  const publisher = await open();
  await Promise.all(
    Array.from({ length: 3_000 }, (_, i) => publisher.publishAsync('iotlab/alice/js5/burst', `${i}`, { qos: 2 })),
  );
  await publisher.endAsync();
});

test('mqtt.js: refused with 0x87; told why a publish is denied', async () => {
  await assert.rejects(open({ password: 'wrong' }), { code: 0x87 });
  const client = await open();
  await assert.rejects(client.publishAsync('iotlab/bob/x', '', { qos: 1 }), { code: 0x87 });
  await client.endAsync();
});

test('paho for Python: a day in MQTT 5', async () => {
  const child = spawn('/usr/bin/python3', ['-c', pahoProgram], {
    env: { PATH: process.env.PATH, PORT: `${broker.port}`, CA: broker.caFile, PASSWORD: passwordOf('alice') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (text) => {
    printed += String(text);
  });
  const [code] = await within(20_000, 'the program', once(child, 'close'));
  assert.deepEqual([code, printed.split('\n')], [0, ['0', "('iotlab/alice/paho', b'hello', [('a', '1')])", '135', '']]);
});

const pahoProgram = `
import os, queue
import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

heard = queue.Queue()

def open(password, **options):
    client = mqtt.Client(protocol=mqtt.MQTTv5)
    client.username_pw_set('alice', password)
    client.tls_set(os.environ['CA'])
    client.on_connect = lambda client, data, flags, code, properties: heard.put(code.value)
    client.on_subscribe = lambda *rest: heard.put('subscribed')
    client.on_message = lambda client, data, message: heard.put((message.topic, message.payload, message.properties.UserProperty))
    client.connect('localhost', int(os.environ['PORT']), **options)
    client.loop_start()
    return client

client = open(os.environ['PASSWORD'], clean_start=True)
print(heard.get(timeout=10))
client.subscribe('iotlab/alice/paho', 2)
assert heard.get(timeout=10) == 'subscribed'
properties = Properties(PacketTypes.PUBLISH)
properties.UserProperty = ('a', '1')
client.publish('iotlab/alice/paho', 'hello', 2, properties=properties)
print(heard.get(timeout=10))
client.disconnect()
client.loop_stop()
other = open('wrong')
print(heard.get(timeout=10))
other.loop_stop()
`;
