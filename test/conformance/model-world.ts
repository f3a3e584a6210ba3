import * as mqtt from '../support/packets.js';
import { freshId } from '../support/raw-client.js';
import type { TestBroker } from '../support/test-broker.js';
import { type Granted, inflightWindow, matches, type Published, SubscriberModel } from './model.js';
import { Peer, type PeerOptions } from './model-peer.js';

export type Action =
  | { kind: 'publish'; publisher: number; leaf: string; qos: number; retain: boolean }
  | { kind: 'burst'; publisher: number; leaf: string; qos: number }
  | { kind: 'interrupted'; publisher: number; leaf: string; qos: number }
  | { kind: 'subscribe'; subscriber: number; filter: string; qos: number; options?: SubscriptionOptions }
  | { kind: 'unsubscribe'; subscriber: number; filter: string }
  | { kind: 'connect'; subscriber: number; as?: Pick<PeerOptions, 'level' | 'receiveMaximum' | 'topicAliasMaximum'> }
  | { kind: 'disconnect' | 'cut'; subscriber: number }
  | { kind: 'acknowledge' | 'refuse'; subscriber: number; count: number }
  | { kind: 'restart' };

/** What only MQTT 5 can ask for; an earlier client asks for the QoS alone. */
export interface SubscriptionOptions {
  readonly asPublished: boolean;
  readonly handling: number;
  readonly identifier: number | null;
}

interface Subscriber {
  readonly clientId: string;
  readonly model: SubscriberModel;
  client: Peer | null;
}

const burst = inflightWindow + 5;
/** A deadline, for a broker that never sends what it must: the disk may be busy with other things. */
const patienceMs = 10_000;
let worlds = 0;

/**
 * Two publishers, one of MQTT 3.1.1 and one of 5, two persistent subscribers that come in any version, and a model of what
 * each subscriber may get. One thing happens at a time: the next one begins when the broker has handled what the last one
 * sent, so that the model knows the order of everything.
 */
export class World {
  readonly #target: TestBroker;
  readonly #name = `${process.pid}/${++worlds}`;
  readonly #base = `iotlab/alice/model/${this.#name}`;
  readonly #publishers: (Peer | null)[] = [null, null];
  readonly #subscribers: Subscriber[];
  readonly #retained = new Map<string, Published>();
  /** Sees the Wills of everybody. Outside of the tree that the subscribers' `#` matches. */
  #watcher: Peer | null = null;
  readonly #wills = new WeakMap<Peer, string>();
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
    if (action.kind === 'connect') await this.#connect(subscriber, action.as);
    if (!subscriber.client) return;
    if (action.kind === 'subscribe') await this.#subscribe(subscriber, action.filter, action.qos, action.options);
    if (action.kind === 'unsubscribe') await this.#unsubscribe(subscriber, action.filter);
    if (action.kind === 'acknowledge') await this.#acknowledge(subscriber, action.count);
    if (action.kind === 'refuse') await this.#acknowledge(subscriber, action.count, subscriber.client.level === 5);
    if (action.kind === 'disconnect' || action.kind === 'cut') await this.#leave(subscriber, action.kind);
  }

  /** Everybody comes back and acknowledges until nothing is open; then everything that must have come has. */
  async settle(): Promise<void> {
    for (const subscriber of this.#subscribers) {
      await this.#connect(subscriber);
      const { model } = subscriber;
      const client = subscriber.client as Peer;
      const until = Date.now() + patienceMs;
      for (;;) {
        while (model.owesAnswers) await this.#acknowledge(subscriber, Number.POSITIVE_INFINITY);
        if (model.settled) break;
        // What waits for the disk comes later than the answer to a PINGREQ.
        const packet = await client.raw.next(until - Date.now()).catch((error: Error) => error);
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
      client?.raw.cut();
      await (await Peer.open(this.#target, { level: 4, clientId })).raw.disconnect();
    }
    const cleaner = await Peer.open(this.#target, { level: 4 });
    for (const leaf of this.#retained.keys()) await cleaner.publish(`${this.#base}/${leaf}`, '', 0, true);
    await cleaner.raw.disconnect();
    for (const client of [...this.#publishers, this.#watcher]) await client?.raw[Symbol.asyncDispose]();
  }

  async #watch(): Promise<void> {
    this.#watcher = await Peer.open(this.#target, { level: 4 });
    await this.#watcher.raw.subscribe([`iotlab/alice/wills/${this.#name}/#`, 0]);
  }

  /** With a Will of its own: when that comes, the broker has handled everything that this connection sent. */
  async #open(options: PeerOptions): Promise<Peer> {
    const topic = `iotlab/alice/wills/${this.#name}/${++this.#connections}`;
    const client = await Peer.open(this.#target, { ...options, will: { topic } });
    this.#wills.set(client, topic);
    return client;
  }

  async #cut(client: Peer): Promise<void> {
    client.raw.cut();
    await client.raw.closed();
    const will = this.#wills.get(client);
    while ((await (this.#watcher as Peer).raw.message()).topic !== will);
  }

  async #publisher(index: number): Promise<Peer> {
    const client = this.#publishers[index] ?? (await this.#open({ level: index === 0 ? 4 : 5 }));
    this.#publishers[index] = client;
    return client;
  }

  async #publish(index: number, leaf: string, qos: number, retain: boolean, look = true): Promise<void> {
    const client = await this.#publisher(index);
    const message = { leaf, payload: `${++this.#messages}`, qos, typed: client.typed };
    if (retain) {
      this.#retained.set(leaf, message);
      for (const { model } of this.#subscribers) model.replaced(leaf);
    }
    this.#expect(message, retain, true);
    await client.publish(`${this.#base}/${leaf}`, message.payload, qos, retain);
    if (!look) return;
    for (const subscriber of this.#subscribers) if (subscriber.client) await this.#look(subscriber);
  }

  async #publishAndCut(index: number, leaf: string, qos: number): Promise<void> {
    const client = await this.#publisher(index);
    const message = { leaf, payload: `${++this.#messages}`, qos, typed: client.typed };
    this.#expect(message, false, false);
    const options = qos > 0 ? { qos, id: client.raw.nextId() } : {};
    client.raw.send(client.publishPacket(`${this.#base}/${leaf}`, message.payload, options));
    this.#publishers[index] = null;
    await this.#cut(client);
  }

  #expect(message: Published, retain: boolean, acknowledged: boolean): void {
    for (const { model, client } of this.#subscribers) {
      model.expect(message, retain, { acknowledged, connected: client !== null });
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
    for (const client of clients) await client?.raw.closed();
    await this.#watch();
  }

  async #connect(subscriber: Subscriber, as: Omit<PeerOptions, 'clientId'> = { level: 5 }): Promise<void> {
    if (subscriber.client) return;
    const { clientId, model } = subscriber;
    model.connected(as.level === 5 ? (as.receiveMaximum ?? inflightWindow) : inflightWindow);
    subscriber.client = await this.#open({ ...as, clientId, keeps: true });
    await this.#look(subscriber);
  }

  async #subscribe(subscriber: Subscriber, filter: string, qos: number, options?: SubscriptionOptions): Promise<void> {
    const { model } = subscriber;
    const client = subscriber.client as Peer;
    await this.#look(subscriber);
    const plain = { asPublished: false, handling: 0, identifier: null };
    const { asPublished, handling, identifier } = client.level === 5 ? { ...plain, ...options } : plain;
    const granted: Granted = { qos, asPublished, identifier };
    const isNew = !model.has(filter);
    model.subscribe(filter, granted);
    if (handling === 0 || (handling === 1 && isNew)) {
      for (const kept of this.#retained.values()) if (matches(filter, kept.leaf)) model.expectRetained(kept, granted);
    }
    await client.subscribe(`${this.#base}/${filter}`, granted, handling);
    await this.#look(subscriber);
  }

  async #unsubscribe(subscriber: Subscriber, filter: string): Promise<void> {
    subscriber.model.unsubscribe(filter);
    await (subscriber.client as Peer).unsubscribe(`${this.#base}/${filter}`);
    await this.#look(subscriber);
  }

  async #leave(subscriber: Subscriber, way: 'disconnect' | 'cut'): Promise<void> {
    const client = subscriber.client as Peer;
    await this.#look(subscriber);
    subscriber.client = null;
    subscriber.model.disconnected();
    if (way === 'cut') return this.#cut(client);
    client.raw.send(mqtt.disconnect());
    await client.raw.closed();
  }

  /** Answers the oldest packets, and makes sure that the broker has read the answers. */
  async #acknowledge(subscriber: Subscriber, count: number, refuses = false): Promise<void> {
    const client = subscriber.client as Peer;
    for (const answer of subscriber.model.answer(count, refuses)) client.answer(answer);
    await this.#look(subscriber);
  }

  /** Reads everything that has come so far: up to the answer to a PINGREQ. */
  async #look(subscriber: Subscriber): Promise<void> {
    const { raw } = subscriber.client as Peer;
    raw.send(mqtt.pingreq());
    for (;;) {
      const packet = await raw.next();
      if (packet.type === mqtt.PINGRESP) return;
      this.#take(subscriber, packet);
    }
  }

  #take({ model, client }: Subscriber, packet: mqtt.Packet): void {
    if (packet.type === mqtt.PUBREL) {
      model.pubrel(packet.body.readUInt16BE(0));
      return;
    }
    const message = (client as Peer).read(packet);
    model.message(message.topic.slice(this.#base.length + 1), message);
  }
}
