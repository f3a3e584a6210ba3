import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import type { TestBroker } from '../support/test-broker.js';

export type Action =
  | { kind: 'publish'; publisher: number; leaf: string; qos: number; retain: boolean }
  | { kind: 'burst'; publisher: number; leaf: string; qos: number }
  | { kind: 'interrupted'; publisher: number; leaf: string; qos: number }
  | { kind: 'subscribe'; subscriber: number; filter: string; qos: number }
  | { kind: 'unsubscribe'; subscriber: number; filter: string }
  | { kind: 'connect' | 'disconnect' | 'cut'; subscriber: number }
  | { kind: 'acknowledge'; subscriber: number; count: number }
  | { kind: 'restart' };

/** One copy of a message that a subscriber may or must get. */
interface Expected {
  readonly payload: string;
  readonly leaf: string;
  readonly qos: number;
  readonly retain: boolean;
  /** Whether it has to come: acknowledged at QoS 1 or 2, or sent to a connection that was up. */
  must: boolean;
  /** Whether it has waited through a restart: then the broker says DUP, since it may have sent it before. */
  restored: boolean;
  /** How often it came as a new message, as a receiver of MQTT counts. */
  arrivals: number;
  /** Whether the subscriber's last word on it has reached the broker. */
  done: boolean;
}

interface Subscriber {
  readonly clientId: string;
  readonly filters: Map<string, number>;
  readonly expected: Expected[];
  /** The receiver's memory by packet id: what it has got and not yet finished. */
  readonly open: Map<number, Expected>;
  /** What it has got in this connection and not yet answered, in order. */
  unanswered: { id: number; step: 'publish' | 'pubrel' }[];
  client: RawClient | null;
}

function matches(filter: string, leaf: string): boolean {
  const [wanted, levels] = [filter.split('/'), leaf.split('/')];
  const open = wanted.at(-1) === '#';
  const fixed = open ? wanted.slice(0, -1) : wanted;
  if (open ? levels.length < fixed.length : levels.length !== fixed.length) return false;
  return fixed.every((level, index) => level === '+' || level === levels[index]);
}

/** What waited at QoS 0 behind a full window may go with the connection that it waited for. */
function forgiveQos0({ expected }: Subscriber): void {
  for (const entry of expected) if (entry.qos === 0) entry.must = false;
}

const patienceMs = 3_000;
let worlds = 0;

/**
 * Two publishers, two persistent subscribers, and a model of what each subscriber may get. One thing happens at a
 * time, so the model knows the order of everything except where a connection is cut with packets on their way.
 */
export class World {
  readonly #target: TestBroker;
  readonly #base = `iotlab/alice/model/${process.pid}/${++worlds}`;
  readonly #publishers: (RawClient | null)[] = [null, null];
  readonly #subscribers: Subscriber[];
  readonly #retained = new Map<string, { payload: string; qos: number }>();
  readonly #violations: string[] = [];
  #messages = 0;

  private constructor(target: TestBroker) {
    this.#target = target;
    this.#subscribers = [0, 1].map(() => ({
      clientId: freshId('model'),
      filters: new Map(),
      expected: [],
      open: new Map(),
      unanswered: [],
      client: null,
    }));
  }

  static async create(target: TestBroker): Promise<World> {
    const world = new World(target);
    for (const subscriber of world.#subscribers) await world.#connect(subscriber);
    return world;
  }

  violations(): readonly string[] {
    return this.#violations;
  }

  async perform(action: Action): Promise<void> {
    if (action.kind === 'restart') return this.#restart();
    if ('publisher' in action) {
      const { publisher, leaf, qos } = action;
      if (action.kind === 'publish') await this.#publish(publisher, leaf, qos, action.retain);
      else if (action.kind === 'interrupted') await this.#publishAndCut(publisher, leaf, qos);
      // More than fit into the window of 20.
      else for (let count = 1; count <= 25; count += 1) await this.#publish(publisher, leaf, qos, false, count === 25);
      return;
    }
    const subscriber = this.#subscribers[action.subscriber] as Subscriber;
    if (action.kind === 'connect') await this.#connect(subscriber);
    if (!subscriber.client) return;
    if (action.kind === 'subscribe') await this.#subscribe(subscriber, action.filter, action.qos);
    if (action.kind === 'unsubscribe') await this.#unsubscribe(subscriber, action.filter);
    if (action.kind === 'acknowledge') await this.#acknowledge(subscriber, action.count);
    if (action.kind === 'disconnect' || action.kind === 'cut') await this.#leave(subscriber, action.kind);
  }

  /** Everybody comes back and acknowledges until nothing is open; then everything that must have come has. */
  async settle(): Promise<void> {
    for (const subscriber of this.#subscribers) {
      await this.#connect(subscriber);
      const { open, expected } = subscriber;
      const missing = () => expected.filter(({ must, arrivals }) => must && arrivals === 0);
      // What waits for the disk comes later than the answer to a PINGREQ: the end is when nothing is missing.
      const until = Date.now() + patienceMs;
      while ((open.size > 0 || missing().length > 0) && Date.now() < until) {
        await this.#acknowledge(subscriber, Number.POSITIVE_INFINITY);
      }
      for (const { payload, qos } of missing()) this.#violations.push(`${payload} of QoS ${qos} never came`);
      for (const [id, { payload }] of open) this.#violations.push(`the flow ${id} of ${payload} is never ended`);
      await this.#acknowledge(subscriber, Number.POSITIVE_INFINITY);
    }
  }

  async tearDown(): Promise<void> {
    for (const { client, clientId } of this.#subscribers) {
      client?.cut();
      await (await RawClient.connect(this.#target, { clientId })).disconnect();
    }
    const cleaner = await RawClient.connect(this.#target);
    for (const leaf of this.#retained.keys()) await cleaner.publish(`${this.#base}/${leaf}`, '', { retain: true });
    await cleaner.disconnect();
    for (const publisher of this.#publishers) await publisher?.[Symbol.asyncDispose]();
  }

  async #publisher(index: number): Promise<RawClient> {
    const client = this.#publishers[index] ?? (await RawClient.connect(this.#target));
    this.#publishers[index] = client;
    return client;
  }

  async #publish(index: number, leaf: string, qos: number, retain: boolean, look = true): Promise<void> {
    const client = await this.#publisher(index);
    const payload = `${++this.#messages}`;
    if (retain) this.#replace(leaf, { payload, qos });
    this.#expect(leaf, payload, qos, true);
    await client.publish(`${this.#base}/${leaf}`, payload, { qos, retain });
    if (!look) return;
    for (const subscriber of this.#subscribers) if (subscriber.client) await this.#look(subscriber);
  }

  /** A retained message that still waits when a newer one takes its place need not come any more. */
  #replace(leaf: string, kept: { payload: string; qos: number }): void {
    this.#retained.set(leaf, kept);
    for (const { expected } of this.#subscribers) {
      for (const entry of expected) if (entry.retain && entry.leaf === leaf) entry.must = false;
    }
  }

  async #publishAndCut(index: number, leaf: string, qos: number): Promise<void> {
    const client = await this.#publisher(index);
    const payload = `${++this.#messages}`;
    this.#expect(leaf, payload, qos, false);
    client.send(mqtt.publish(`${this.#base}/${leaf}`, payload, qos > 0 ? { qos, id: client.nextId() } : {}));
    client.cut();
    await client.closed();
    this.#publishers[index] = null;
  }

  /** The broker stops and starts again: nothing that was promised may be lost by that. */
  async #restart(): Promise<void> {
    const clients: RawClient[] = [];
    for (const subscriber of this.#subscribers) {
      if (subscriber.client) await this.#look(subscriber);
      for (const entry of subscriber.expected) entry.restored = true;
      if (!subscriber.client) continue;
      clients.push(subscriber.client);
      subscriber.client = null;
      subscriber.unanswered = [];
      forgiveQos0(subscriber);
    }
    clients.push(...this.#publishers.filter((client) => client !== null));
    this.#publishers.fill(null);
    await this.#target.restart();
    for (const client of clients) await client.closed();
  }

  #expect(leaf: string, payload: string, published: number, certain: boolean): void {
    for (const { filters, client, expected } of this.#subscribers) {
      const granted = [...filters].filter(([filter]) => matches(filter, leaf)).map(([, qos]) => qos);
      if (granted.length === 0) continue;
      const qos = Math.min(published, Math.max(...granted));
      const must = certain && (qos > 0 || client !== null);
      expected.push({ payload, leaf, qos, retain: false, must, restored: false, arrivals: 0, done: false });
    }
  }

  async #connect(subscriber: Subscriber): Promise<void> {
    if (subscriber.client) return;
    const { clientId } = subscriber;
    subscriber.client = await RawClient.connect(this.#target, { clientId, clean: false });
    await this.#look(subscriber);
  }

  async #subscribe(subscriber: Subscriber, filter: string, qos: number): Promise<void> {
    const client = subscriber.client as RawClient;
    await this.#look(subscriber);
    subscriber.filters.set(filter, qos);
    for (const [leaf, kept] of this.#retained) {
      if (!matches(filter, leaf)) continue;
      const granted = Math.min(qos, kept.qos);
      const { payload } = kept;
      subscriber.expected.push({
        payload,
        leaf,
        qos: granted,
        retain: true,
        must: true,
        restored: false,
        arrivals: 0,
        done: false,
      });
    }
    await client.subscribe([`${this.#base}/${filter}`, qos]);
    await this.#look(subscriber);
  }

  async #unsubscribe(subscriber: Subscriber, filter: string): Promise<void> {
    subscriber.filters.delete(filter);
    await (subscriber.client as RawClient).unsubscribe(`${this.#base}/${filter}`);
    await this.#look(subscriber);
  }

  async #leave(subscriber: Subscriber, way: 'disconnect' | 'cut'): Promise<void> {
    const client = subscriber.client as RawClient;
    await this.#look(subscriber);
    if (way === 'cut') client.cut();
    else client.send(mqtt.disconnect());
    await client.closed();
    subscriber.client = null;
    subscriber.unanswered = [];
    forgiveQos0(subscriber);
  }

  /** Answers the oldest packets, and makes sure that the broker has read the answers. */
  async #acknowledge(subscriber: Subscriber, count: number): Promise<void> {
    const client = subscriber.client as RawClient;
    for (const { id, step } of subscriber.unanswered.splice(0, count)) {
      const expected = subscriber.open.get(id);
      if (step === 'publish' && expected?.qos === 2) {
        client.send(mqtt.pubrec(id));
        expected.done = true;
        continue;
      }
      client.send(step === 'publish' ? mqtt.puback(id) : mqtt.pubcomp(id));
      if (expected) expected.done = true;
      subscriber.open.delete(id);
    }
    await this.#look(subscriber);
  }

  /** Reads everything that has come so far: up to the answer to a PINGREQ. */
  async #look(subscriber: Subscriber): Promise<void> {
    const client = subscriber.client as RawClient;
    client.send(mqtt.pingreq());
    for (;;) {
      const packet = await client.next();
      if (packet.type === mqtt.PINGRESP) return;
      if (packet.type === mqtt.PUBREL) subscriber.unanswered.push({ id: packet.body.readUInt16BE(0), step: 'pubrel' });
      else this.#arrive(subscriber, mqtt.readMessage(packet));
    }
  }

  #arrive(subscriber: Subscriber, message: mqtt.Message): void {
    const { payload, qos, retain, dup, id } = message;
    const leaf = message.topic.slice(this.#base.length + 1);
    const complain = (what: string) =>
      this.#violations.push(
        `${subscriber.clientId}: ${what}: ${JSON.stringify({ leaf, payload, qos, retain, dup, id })}`,
      );
    const open = qos > 0 ? subscriber.open.get(id) : undefined;
    if (open) {
      // A redelivery: the same message under the same id, and only as long as it was not answered.
      if (open.payload !== payload || open.qos !== qos) complain(`packet id in use for ${open.payload}`);
      if (open.done) complain('comes again after its acknowledgement');
      if (!dup) complain('comes again without DUP');
      subscriber.unanswered.push({ id, step: 'publish' });
      return;
    }
    const candidates = subscriber.expected.filter((entry) => entry.payload === payload && entry.retain === retain);
    const found = candidates.find((entry) => entry.arrivals === 0 && entry.qos === qos);
    if (!found) {
      complain(candidates.length > 0 ? 'comes too often, or at another QoS' : 'may not come');
      return;
    }
    if (dup && !found.restored) complain('comes for the first time with DUP');
    const index = subscriber.expected.indexOf(found);
    const later = subscriber.expected.slice(index + 1).find((entry) => entry.leaf === leaf && entry.arrivals > 0);
    if (later) complain(`comes after the later ${later.payload}`);
    found.arrivals += 1;
    if (qos === 0) return;
    subscriber.open.set(id, found);
    subscriber.unanswered.push({ id, step: 'publish' });
  }
}
