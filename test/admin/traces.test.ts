import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { askAdmin, codeOf } from '../support/admin.js';
import { Client5 } from '../support/client5.js';
import { within } from '../support/deadline.js';
import { OpenApi } from '../support/openapi.js';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const api = new OpenApi();
const socket = () => `${broker.folder}/admin.sock`;

async function ask(operation: string, path: string, body?: object) {
  const [method = ''] = operation.split(' ');
  const answer = await askAdmin(socket(), `/v1${path}`, { method, ...(body && { body }) });
  assert.deepEqual(api.complaints(operation, answer.body, answer.status), [], answer.text);
  return answer;
}

interface Event {
  readonly event: string;
  readonly client?: string;
  readonly topic?: string;
  readonly [field: string]: unknown;
}

/** A stream of the admin socket, line by line. */
class Stream {
  readonly lines: string[] = [];
  readonly #wakers: (() => void)[] = [];
  readonly #asking;
  ended = false;

  constructor(t: TestContext, path: string) {
    this.#asking = request({ socketPath: socket(), path: `/v1${path}`, agent: false }, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const parts = `${rest}${chunk}`.split('\n');
        rest = parts.pop()!;
        this.lines.push(...parts.filter((line) => line !== ''));
        for (const wake of this.#wakers.splice(0)) wake();
      });
      response.on('close', () => {
        this.ended = true;
        for (const wake of this.#wakers.splice(0)) wake();
      });
    });
    this.#asking.on('error', () => {});
    this.#asking.end();
    t.after(() => this.leave());
  }

  leave(): void {
    this.#asking.destroy();
  }

  async until<T>(found: (lines: string[]) => T | undefined): Promise<T> {
    return await within(
      5_000,
      `something in ${this.lines.join('\n')}`,
      (async () => {
        for (;;) {
          const value = found(this.lines);
          if (value !== undefined) return value;
          await new Promise<void>((resolve) => this.#wakers.push(resolve));
        }
      })(),
    );
  }

  events(): Event[] {
    return this.lines.map((line) => JSON.parse(line) as Event);
  }
}

async function trace(t: TestContext, order: object): Promise<{ id: string; stream: Stream }> {
  const { id } = (await ask('POST /traces', '/traces', order)).body as { id: string };
  return { id, stream: new Stream(t, `/traces/${id}/stream`) };
}

const isEnded = (id: string) => async () => {
  const { traces } = (await ask('GET /traces', '/traces')).body as { traces: { id: string; ended: boolean }[] };
  return traces.find((each) => each.id === id)!.ended;
};

test('a trace sees what a user does and gets, on connections of before and of later, and nobody else', async (t) => {
  await using before = await RawClient.connect(broker, { as: 'alice', clientId: freshId('before') });
  await before.subscribe(['iotlab/alice/#', 1]);
  const { stream } = await trace(t, { login: 'alice' });
  await using later = await RawClient.connect(broker, { as: 'alice', clientId: freshId('later') });
  await using bob = await RawClient.connect(broker, { as: 'bob' });
  await bob.subscribe(['iotlab/bob/#', 1]);
  await bob.publish('iotlab/bob/x', 'nothing to see', { qos: 1 });
  await later.publish('iotlab/alice/x', 'hidden', { qos: 1 });
  await before.receive();
  await later.publish('iotlab/<alice>/x', 'hidden', { qos: 1 });
  await later.disconnect();
  await stream.until((lines) => lines.find((line) => line.includes('"disconnected"')));
  const seen = stream
    .events()
    .map(({ event, client, topic, packet, receivers, reason }) => [
      ...[event, client, topic, packet, receivers, reason].filter((value) => value !== undefined),
    ]);
  const by = (client: RawClient) => seen.filter(([, whose]) => whose === client.clientId);
  assert.deepEqual(by(later), [
    ['connected', later.clientId],
    ['published', later.clientId, 'iotlab/alice/x', 1],
    ['denied', later.clientId, 'iotlab/<alice>/x', 'denied'],
    ['packet', later.clientId, 'DISCONNECT'],
    ['disconnected', later.clientId, 'disconnect'],
  ]);
  assert.deepEqual(by(before), [
    ['sent', before.clientId, 'iotlab/alice/x'],
    ['packet', before.clientId, 'PUBACK'],
  ]);
  assert.doesNotMatch(stream.lines.join(), /hidden|bob|nothing to see/);
});

test('several at once: by client, by topic, with payloads; each in the audit log', async (t) => {
  await using one = await RawClient.connect(broker, { as: 'alice', clientId: freshId('one') });
  await using two = await RawClient.connect(broker, { as: 'alice', clientId: freshId('two') });
  const byClient = await trace(t, { login: 'alice', client: one.clientId });
  const byTopic = await trace(t, { login: 'alice', topic: 'iotlab/alice/+/b', payload: true });
  await one.publish('iotlab/alice/a/b', '<b>text</b>\u001b[2J', { qos: 1 });
  await two.publish('iotlab/alice/a/b', Buffer.from([0, 255, 254, 1]), { qos: 1 });
  await two.publish('iotlab/alice/elsewhere', 'no', { qos: 1 });
  const published = (stream: Stream, count: number) =>
    stream.until(() => {
      const found = stream.events().filter(({ event }) => event === 'published');
      return found.length >= count ? found : undefined;
    });
  assert.deepEqual(
    (await published(byTopic.stream, 2)).map(({ client, payload }) => [client, payload]),
    [
      [one.clientId, '<b>text</b>\u001b[2J'],
      [two.clientId, '0x00fffe01'],
    ],
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
  assert.doesNotMatch(byTopic.stream.lines.join(), /[<>\u001b]/);
  await published(byClient.stream, 1);
  assert.ok(byClient.stream.events().every(({ client }) => client === one.clientId));
  const { entries } = (await ask('GET /audit', '/audit')).body as { entries: { what: string; body?: string }[] };
  assert.ok(entries.some(({ what, body = '' }) => what === 'POST /v1/traces' && body.includes('"payload":true')));
});

test('whoever leaves ends it, and one can be ended; the packets go straight again', async (t) => {
  await using alice = await RawClient.connect(broker, { as: 'alice' });
  await alice.subscribe(['iotlab/alice/x', 1]);
  const first = await trace(t, { login: 'alice' });
  await alice.publish('iotlab/alice/x', '1', { qos: 1 });
  await first.stream.until((lines) => lines.find((line) => line.includes('"sent"')));
  first.stream.leave();
  for (let i = 0; !(await isEnded(first.id)()); i++) assert.ok(i < 200, 'the trace goes on');
  assert.equal((await ask('DELETE /traces/{id}', `/traces/${first.id}`)).status, 404);
  const second = await trace(t, { login: 'alice', seconds: 1 });
  assert.equal(codeOf(await askAdmin(socket(), `/v1/traces/${second.id}/stream`)), 'taken');
  await ask('DELETE /traces/{id}', `/traces/${second.id}`);
  await second.stream.until(() => second.stream.ended || undefined);
  const { sender } = broker.parts().sessions.get('alice', alice.clientId)!.outgoing;
  assert.equal(sender.outlet!.constructor.name, 'ClientOutlet');
  await alice.publish('iotlab/alice/x', '2', { qos: 1 });
  assert.equal((await alice.receive()).payload, '1');
  assert.equal((await alice.receive()).payload, '2');
});

test('it ends by itself', async (t) => {
  const { id, stream } = await trace(t, { login: 'alice', seconds: 1 });
  await stream.until(() => stream.ended || undefined);
  assert.ok(await isEnded(id)());
});

test('there are not more than may be, and what is no trace is refused', async (t) => {
  for (const order of [
    {},
    { login: '' },
    { login: 'a', topic: 'a+' },
    { login: 'a', seconds: 0 },
    { login: 'a', x: 1 },
  ]) {
    assert.equal(codeOf(await ask('POST /traces', '/traces', order)), 'bad-body', JSON.stringify(order));
  }
  const open = await Promise.all(Array.from({ length: 8 }, (_, i) => trace(t, { login: `user${i}` })));
  assert.equal(codeOf(await ask('POST /traces', '/traces', { login: 'alice' })), 'too-many-traces');
  for (const { id } of open) await ask('DELETE /traces/{id}', `/traces/${id}`);
  assert.equal((await ask('POST /traces', '/traces', { login: 'alice' })).status, 200);
});

test('a user who sends without end fills no memory: what is too much is counted as lost', async (t) => {
  const { history } = broker.parts().operators.balances;
  await using alice = await RawClient.connect(broker, { as: 'alice' });
  const { id, stream } = await trace(t, { login: 'alice', payload: true });
  const held = history.bytes;
  const packet = mqtt.publish('iotlab/alice/loop', 'x'.repeat(200));
  for (let i = 0; i < 200; i++) {
    alice.send(Buffer.concat(Array.from({ length: 100 }, () => packet)));
  }
  await alice.expectNothing();
  await stream.until((lines) => lines.find((line) => line.includes('"lost"')));
  assert.ok(history.bytes <= held + 200_000, 'what a trace keeps was counted as it began');
  const { events } = (await ask('DELETE /traces/{id}', `/traces/${id}`)).body as { events: number };
  assert.ok(events < 20_000);
});

test('events: what happens to whom, as it happens', async (t) => {
  const all = new Stream(t, '/events');
  const ofBob = new Stream(t, '/events?login=bob');
  await all.until((lines) => lines.find((line) => line === ': here'));
  await ofBob.until((lines) => lines.find((line) => line === ': here'));
  const alice = await RawClient.connect(broker, { as: 'alice', clientId: freshId('<i>') });
  await alice.publish('iotlab/bob/x', '', { qos: 1 });
  await alice.disconnect();
  await assert.rejects(RawClient.connect(broker, { as: 'nobody' }));
  await all.until((lines) => lines.find((line) => line === 'event: refused'));
  const names = all.lines.filter((line) => line.startsWith('event: ')).map((line) => line.slice(7));
  assert.deepEqual(names, ['connected', 'denied', 'disconnected', 'refused']);
  const data = all.lines.filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
  assert.equal(data[0].client, alice.clientId);
  assert.match(data[1].hint, /outside of what alice may use/);
  assert.equal(data[2].reason, 'disconnect');
  assert.doesNotMatch(all.lines.join(), /<i>/);
  assert.deepEqual(ofBob.lines, [': here']);
});

test('a SUBSCRIBE and an UNSUBSCRIBE show their filters, of both versions', async (t) => {
  const { stream } = await trace(t, { login: 'alice' });
  await using three = await RawClient.connect(broker, { as: 'alice', clientId: freshId('three') });
  await three.subscribe(['iotlab/alice/a', 1], ['iotlab/alice/b/#', 0]);
  await three.unsubscribe('iotlab/alice/a');
  await using five = await Client5.connect(broker, { as: 'alice', clientId: freshId('five') });
  await five.subscribe(['iotlab/alice/+', 1]);
  await stream.until((lines) => lines.find((line) => line.includes('alice/+')));
  const asked = stream.events().filter(({ filters }) => filters !== undefined);
  assert.deepEqual(
    asked.map(({ packet, filters }) => [packet, filters]),
    [
      ['SUBSCRIBE', ['iotlab/alice/a', 'iotlab/alice/b/#']],
      ['UNSUBSCRIBE', ['iotlab/alice/a']],
      ['SUBSCRIBE', ['iotlab/alice/+']],
    ],
  );
});
