// Every counter against the packets that the test itself counts, byte by byte, on the other side of the wire.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { eventually } from '../support/deadline.js';
import { readMetrics } from '../support/metrics.js';
import * as mqtt from '../support/packets.js';
import { freePort } from '../support/ports.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

let broker: TestBroker;
let port = 0;

before(async () => {
  port = await freePort();
  broker = await startTestBroker({ store: 'folder', config: { admin: { port } } });
});
after(() => broker.stop());

const typeNames = [
  ...['reserved', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'],
  ...['subscribe', 'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect'],
];

/** Packets that went one way. */
class Tally {
  readonly types = new Array<number>(16).fill(0);
  readonly qos = [0, 0, 0];
  payloadBytes = 0;
  bytes = 0;
  readonly #reader = new mqtt.PacketReader();

  read(chunk: Buffer): mqtt.Packet[] {
    this.bytes += chunk.length;
    const packets = [...this.#reader.read(chunk)];
    for (const packet of packets) {
      this.types[packet.type]!++;
      if (packet.type !== mqtt.PUBLISH) continue;
      const { qos, payload } = mqtt.readMessage(packet);
      this.qos[qos]!++;
      this.payloadBytes += Buffer.byteLength(payload, 'latin1');
    }
    return packets;
  }
}

class Counts {
  readonly sent: Tally[] = [];
  readonly received: Tally[] = [];
  granted = 0;
  refused = 0;
  denied = 0;
  unrouted = 0;

  sum(way: 'sent' | 'received', what: (tally: Tally) => number): number {
    return this[way].reduce((sum, tally) => sum + what(tally), 0);
  }
}

/** A client that counts what it sends and gets, and acknowledges by itself. */
class CountingClient {
  readonly #client: RawClient;
  readonly #sent = new Tally();
  readonly #pongs: (() => void)[] = [];
  readonly #answers = new Map<string, () => void>();
  readonly #counts: Counts;

  constructor(client: RawClient, counts: Counts, connect: Buffer) {
    this.#client = client;
    this.#counts = counts;
    const received = new Tally();
    counts.sent.push(this.#sent);
    counts.received.push(received);
    client.socket.on('data', (chunk: Buffer) => {
      for (const packet of received.read(chunk)) this.#took(packet);
    });
    this.#send(connect);
  }

  #send(packet: Buffer): void {
    this.#sent.read(packet);
    this.#client.send(packet);
  }

  #took({ type, flags, body }: mqtt.Packet): void {
    const id = body.length >= 2 ? body.readUInt16BE(0) : 0;
    if (type === mqtt.PUBLISH) {
      const message = mqtt.readMessage({ type, flags, body });
      if (message.qos === 1) this.#send(mqtt.puback(message.id));
      if (message.qos === 2) this.#send(mqtt.pubrec(message.id));
    } else if (type === mqtt.PUBREL) this.#send(mqtt.pubcomp(id));
    else if (type === mqtt.PUBREC) this.#send(mqtt.pubrel(id));
    else if (type === mqtt.PINGRESP) this.#pongs.shift()?.();
    else if (type === mqtt.SUBACK) {
      for (const code of body.subarray(2)) code === 0x80 ? this.#counts.refused++ : this.#counts.granted++;
    }
    this.#answers.get(`${type} ${id}`)?.();
  }

  /** Resolves with the answer. */
  async #ask(packet: Buffer, type: number, id: number): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#answers.set(`${type} ${id}`, resolve));
    this.#send(packet);
    await answered;
    this.#answers.delete(`${type} ${id}`);
  }

  async ping(): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#pongs.push(resolve));
    this.#send(mqtt.pingreq());
    await answered;
  }

  async subscribe(filters: readonly (readonly [string, number])[]): Promise<void> {
    const id = this.#client.nextId();
    await this.#ask(mqtt.subscribe(id, ...filters), mqtt.SUBACK, id);
  }

  async unsubscribe(filter: string): Promise<void> {
    const id = this.#client.nextId();
    await this.#ask(mqtt.unsubscribe(id, filter), mqtt.UNSUBACK, id);
  }

  async publish(topic: string, qos: number, payload: string, retain: boolean): Promise<void> {
    const id = this.#client.nextId();
    const packet = mqtt.publish(topic, payload, { qos, retain, ...(qos === 0 ? {} : { id }) });
    if (!topic.startsWith('iotlab/alice/')) this.#counts.denied++;
    if (qos === 0) this.#send(packet);
    else await this.#ask(packet, qos === 1 ? mqtt.PUBACK : mqtt.PUBCOMP, id);
  }

  async leave(word: boolean): Promise<void> {
    if (word) this.#send(mqtt.disconnect());
    else this.#client.cut();
    await this.#client.closed();
  }
}

const topics = ['iotlab/alice/a', 'iotlab/alice/b/c', 'iotlab/alice/nobody', 'iotlab/bob/a', 'elsewhere'];
const filters = [
  'iotlab/alice/a',
  'iotlab/alice/+/c',
  'iotlab/alice/b/#',
  '$share/g/iotlab/alice/a',
  '#',
  'iotlab/bob/#',
];
const qos = fc.nat(2);

const step = fc.oneof(
  fc.record({
    kind: fc.constant('subscribe' as const),
    filters: fc.array(fc.tuple(fc.constantFrom(...filters), qos), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('unsubscribe' as const), filter: fc.constantFrom(...filters) }),
  fc.record({
    kind: fc.constant('publish' as const),
    topic: fc.constantFrom(...topics),
    qos,
    size: fc.nat(3_000),
    retain: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('ping' as const) }),
  fc.record({ kind: fc.constant('away' as const), word: fc.boolean() }),
);
/** Sessions that the program before has left behind. */
let left: string[] = [];

/** What an earlier program has left says nothing to this one: a counterexample stands for itself. */
async function forgetEarlier(): Promise<void> {
  const login = { login: 'alice', password: 'alice-secret' };
  for (const clientId of left) await (await RawClient.connect(broker, { ...login, clientId })).disconnect();
  const cleaner = await RawClient.connect(broker, { ...login, clientId: freshId() });
  for (const topic of topics) cleaner.send(mqtt.publish(topic, '', { retain: true }));
  await cleaner.disconnect();
}

const program = fc.array(fc.tuple(fc.nat(2), step), { maxLength: 40 });
const sessions = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean());

test('every counter is that of the packets on the wire', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(program, sessions, async (steps, clean) => {
      await forgetEarlier();
      const earlier = await readMetrics(port);
      const counts = new Counts();
      const ids = [freshId(), freshId(), freshId()];
      left = ids;
      let ends = { said: 0, cut: 0 };
      const connect = async (i: number) => {
        const clientId = ids[i]!;
        const packet = mqtt.connect({
          clientId,
          clean: clean[i]!,
          login: 'alice',
          password: 'alice-secret',
          level: i === 0 ? 3 : 4,
        });
        const client = new CountingClient(await RawClient.open(broker), counts, packet);
        await client.ping();
        return client;
      };
      const clients = await Promise.all([0, 1, 2].map(connect));
      // A retained message of QoS 2 waits for the disk before it leaves, and again before its PUBREL does.
      const settle = async () => {
        await eventually(10_000, 'every flow to end', async () => {
          const now = await readMetrics(port);
          return now.sum('queued_messages') + now.sum('inflight_messages') === 0;
        });
        await Promise.all(clients.map((client) => client.ping()));
      };
      for (const [i, action] of steps) {
        const client = clients[i]!;
        if (action.kind === 'subscribe') await client.subscribe(action.filters);
        else if (action.kind === 'unsubscribe') await client.unsubscribe(action.filter);
        else if (action.kind === 'publish') {
          await client.publish(action.topic, action.qos, 'x'.repeat(action.size), action.retain);
        } else if (action.kind === 'ping') await client.ping();
        else {
          await settle();
          await client.leave(action.word);
          ends[action.word ? 'said' : 'cut']++;
          clients[i] = await connect(i);
        }
      }
      await settle();
      await Promise.all(clients.map((client) => client.leave(true)));
      ends = { ...ends, said: ends.said + 3 };
      const later = await readMetrics(port);
      const grown = (name: string, labels: Record<string, string> = {}) =>
        later.sum(name, labels) - earlier.sum(name, labels);

      for (const [type, name] of typeNames.entries()) {
        const sent = counts.sum('sent', (tally) => tally.types[type]!);
        assert.equal(grown('packets_received_total', { type: name }), sent, `packets of type ${name}`);
      }
      for (const level of [0, 1, 2]) {
        const labels = { qos: String(level) };
        assert.equal(
          grown('publishes_received_total', labels),
          counts.sum('sent', (tally) => tally.qos[level]!),
        );
        assert.equal(
          grown('publishes_sent_total', labels),
          counts.sum('received', (tally) => tally.qos[level]!),
        );
      }
      const of = (way: 'sent' | 'received', type: number) => counts.sum(way, (tally) => tally.types[type]!);
      assert.equal(
        grown('publish_received_bytes_total'),
        counts.sum('sent', (tally) => tally.payloadBytes),
      );
      assert.equal(
        grown('publish_sent_bytes_total'),
        counts.sum('received', (tally) => tally.payloadBytes),
      );
      assert.equal(
        grown('network_received_bytes_total'),
        counts.sum('sent', (tally) => tally.bytes),
      );
      assert.equal(
        grown('network_sent_bytes_total'),
        counts.sum('received', (tally) => tally.bytes),
      );
      assert.equal(grown('connections_opened_total'), of('received', mqtt.CONNACK));
      assert.equal(grown('connections_closed_total'), of('received', mqtt.CONNACK));
      assert.equal(grown('connections_closed_total', { reason: 'disconnect' }), ends.said);
      assert.equal(grown('connect_duration_seconds_count', { result: 'accepted' }), of('received', mqtt.CONNACK));
      assert.equal(grown('publish_ack_duration_seconds_count', { qos: '1' }), of('received', mqtt.PUBACK));
      assert.equal(grown('publish_ack_duration_seconds_count', { qos: '2' }), of('received', mqtt.PUBREC));
      assert.equal(grown('delivery_duration_seconds_count', { qos: '1' }), of('sent', mqtt.PUBACK));
      assert.equal(grown('delivery_duration_seconds_count', { qos: '2' }), of('sent', mqtt.PUBCOMP));
      const publishes = of('sent', mqtt.PUBLISH);
      assert.equal(grown('authorizations_total', { action: 'publish', result: 'denied' }), counts.denied);
      assert.equal(grown('authorizations_total', { action: 'publish', result: 'allowed' }), publishes - counts.denied);
      assert.equal(grown('authorizations_total', { action: 'subscribe', result: 'allowed' }), counts.granted);
      assert.equal(grown('authorizations_total', { action: 'subscribe', result: 'denied' }), counts.refused);
    }),
    { numRuns: 25 },
  );
});
