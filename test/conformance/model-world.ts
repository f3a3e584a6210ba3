import * as mqtt from '../support/packets.js';
import { freshId, RawClient, type RawConnectOptions } from '../support/raw-client.js';
import type { TestBroker } from '../support/test-broker.js';
import { inflightWindow, matches, SubscriberModel } from './model.js';

export type Action =
  | { kind: 'publish'; publisher: number; leaf: string; qos: number; retain: boolean }
  | { kind: 'burst'; publisher: number; leaf: string; qos: number }
  | { kind: 'interrupted'; publisher: number; leaf: string; qos: number }
  | { kind: 'subscribe'; subscriber: number; filter: string; qos: number }
  | { kind: 'unsubscribe'; subscriber: number; filter: string }
  | { kind: 'connect' | 'disconnect' | 'cut'; subscriber: number }
  | { kind: 'acknowledge'; subscriber: number; count: number }
  | { kind: 'restart' };

interface Subscriber {
  readonly clientId: string;
  readonly model: SubscriberModel;
  client: RawClient | null;
}

const answers = { puback: mqtt.puback, pubrec: mqtt.pubrec, pubcomp: mqtt.pubcomp };
const burst = inflightWindow + 5;
/** A deadline, for a broker that never sends what it must: the disk may be busy with other things. */
const patienceMs = 10_000;
let worlds = 0;

/**
 * Two publishers, two persistent subscribers, and a model of what each subscriber may get. One thing happens at a
 * time: the next one begins when the broker has handled what the last one sent, so that the model knows the order of
 * everything.
 */
export class World {
  readonly #target: TestBroker;
  readonly #name = `${process.pid}/${++worlds}`;
  readonly #base = `iotlab/alice/model/${this.#name}`;
  readonly #publishers: (RawClient | null)[] = [null, null];
  readonly #subscribers: Subscriber[];
  readonly #retained = new Map<string, { payload: string; qos: number }>();
  /** Sees the Wills of everybody. Outside of the tree that the subscribers' `#` matches. */
  #watcher: RawClient | null = null;
  readonly #wills = new WeakMap<RawClient, string>();
  #messages = 0;
  #connections = 0;

  private constructor(target: TestBroker) {
    this.#target = target;
    this.#subscribers = [0, 1].map(() => ({ clientId: freshId('model'), model: new SubscriberModel(), client: null }));
  }

  static async create(target: TestBroker): Promise<World> {
    const world = new World(target);
    await world.#watch();
    for (const subscriber of world.#subscribers) await world.#connect(subscriber);
    return world;
  }

  violations(): string[] {
    return this.#subscribers.flatMap(({ model, clientId }) => model.violations.map((what) => `${clientId}: ${what}`));
  }

  async perform(action: Action): Promise<void> {
    if (action.kind === 'restart') return this.#restart();
    if ('publisher' in action) {
      const { publisher, leaf, qos } = action;
      if (action.kind === 'publish') await this.#publish(publisher, leaf, qos, action.retain);
      else if (action.kind === 'interrupted') await this.#publishAndCut(publisher, leaf, qos);
      else
        for (let count = 1; count <= burst; count++) await this.#publish(publisher, leaf, qos, false, count === burst);
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
      const { model } = subscriber;
      const client = subscriber.client as RawClient;
      const until = Date.now() + patienceMs;
      for (;;) {
        while (model.owesAnswers) await this.#acknowledge(subscriber, Number.POSITIVE_INFINITY);
        if (model.settled) break;
        // What waits for the disk comes later than the answer to a PINGREQ.
        const packet = await client.next(until - Date.now()).catch((error: Error) => error);
        if (packet instanceof Error) {
          model.violations.push(packet.message, ...model.unsettled());
          break;
        }
        this.#take(subscriber, packet);
      }
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
    for (const client of [...this.#publishers, this.#watcher]) await client?.[Symbol.asyncDispose]();
  }

  async #watch(): Promise<void> {
    this.#watcher = await RawClient.connect(this.#target);
    await this.#watcher.subscribe([`iotlab/alice/wills/${this.#name}/#`, 0]);
  }

  /** With a Will of its own: when that comes, the broker has handled everything that this connection sent. */
  async #open(options: RawConnectOptions): Promise<RawClient> {
    const topic = `iotlab/alice/wills/${this.#name}/${++this.#connections}`;
    const client = await RawClient.connect(this.#target, { ...options, will: { topic } });
    this.#wills.set(client, topic);
    return client;
  }

  async #cut(client: RawClient): Promise<void> {
    client.cut();
    await client.closed();
    const will = this.#wills.get(client);
    while ((await (this.#watcher as RawClient).message()).topic !== will);
  }

  async #publisher(index: number): Promise<RawClient> {
    const client = this.#publishers[index] ?? (await this.#open({}));
    this.#publishers[index] = client;
    return client;
  }

  async #publish(index: number, leaf: string, qos: number, retain: boolean, look = true): Promise<void> {
    const client = await this.#publisher(index);
    const payload = `${++this.#messages}`;
    if (retain) {
      this.#retained.set(leaf, { payload, qos });
      for (const { model } of this.#subscribers) model.replaced(leaf);
    }
    this.#expect(leaf, payload, qos, true);
    await client.publish(`${this.#base}/${leaf}`, payload, { qos, retain });
    if (!look) return;
    for (const subscriber of this.#subscribers) if (subscriber.client) await this.#look(subscriber);
  }

  async #publishAndCut(index: number, leaf: string, qos: number): Promise<void> {
    const client = await this.#publisher(index);
    const payload = `${++this.#messages}`;
    this.#expect(leaf, payload, qos, false);
    client.send(mqtt.publish(`${this.#base}/${leaf}`, payload, qos > 0 ? { qos, id: client.nextId() } : {}));
    this.#publishers[index] = null;
    await this.#cut(client);
  }

  #expect(leaf: string, payload: string, qos: number, acknowledged: boolean): void {
    for (const { model, client } of this.#subscribers) {
      model.expect(leaf, payload, qos, { acknowledged, connected: client !== null });
    }
  }

  /** The broker stops and starts again: nothing that was promised may be lost by that. */
  async #restart(): Promise<void> {
    const clients = [this.#watcher, ...this.#publishers, ...this.#subscribers.map(({ client }) => client)];
    for (const subscriber of this.#subscribers) {
      if (subscriber.client) await this.#look(subscriber);
      subscriber.client = null;
      subscriber.model.restarted();
    }
    this.#publishers.fill(null);
    await this.#target.restart();
    for (const client of clients) await client?.closed();
    await this.#watch();
  }

  async #connect(subscriber: Subscriber): Promise<void> {
    if (subscriber.client) return;
    const { clientId } = subscriber;
    subscriber.client = await this.#open({ clientId, clean: false });
    await this.#look(subscriber);
  }

  async #subscribe(subscriber: Subscriber, filter: string, qos: number): Promise<void> {
    const { model } = subscriber;
    const client = subscriber.client as RawClient;
    await this.#look(subscriber);
    model.subscribe(filter, qos);
    for (const [leaf, kept] of this.#retained) {
      if (matches(filter, leaf)) model.expectRetained(leaf, kept.payload, Math.min(qos, kept.qos));
    }
    await client.subscribe([`${this.#base}/${filter}`, qos]);
    await this.#look(subscriber);
  }

  async #unsubscribe(subscriber: Subscriber, filter: string): Promise<void> {
    subscriber.model.unsubscribe(filter);
    await (subscriber.client as RawClient).unsubscribe(`${this.#base}/${filter}`);
    await this.#look(subscriber);
  }

  async #leave(subscriber: Subscriber, way: 'disconnect' | 'cut'): Promise<void> {
    const client = subscriber.client as RawClient;
    await this.#look(subscriber);
    subscriber.client = null;
    subscriber.model.disconnected();
    if (way === 'cut') return this.#cut(client);
    client.send(mqtt.disconnect());
    await client.closed();
  }

  /** Answers the oldest packets, and makes sure that the broker has read the answers. */
  async #acknowledge(subscriber: Subscriber, count: number): Promise<void> {
    const client = subscriber.client as RawClient;
    for (const { id, packet } of subscriber.model.answer(count)) client.send(answers[packet](id));
    await this.#look(subscriber);
  }

  /** Reads everything that has come so far: up to the answer to a PINGREQ. */
  async #look(subscriber: Subscriber): Promise<void> {
    const client = subscriber.client as RawClient;
    client.send(mqtt.pingreq());
    for (;;) {
      const packet = await client.next();
      if (packet.type === mqtt.PINGRESP) return;
      this.#take(subscriber, packet);
    }
  }

  #take({ model }: Subscriber, packet: mqtt.Packet): void {
    if (packet.type === mqtt.PUBREL) {
      model.pubrel(packet.body.readUInt16BE(0));
      return;
    }
    const message = mqtt.readMessage(packet);
    model.message(message.topic.slice(this.#base.length + 1), message);
  }
}
