// Clients that keep their side of every delivery promise over any number of broken connections, and so can tell when the
// broker does not keep its own.
import { once } from 'node:events';
import tls from 'node:tls';
import mqtt, { type Packet } from 'mqtt-packet';
import { topicMatchesFilter } from '../../src/mqtt/topics.js';
import { contextFor } from './raw-client.js';

export interface Address {
  readonly port: number;
  readonly ca: string;
}

export interface Identity {
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
}

/** What a message in these tests says: its number among those of its topic, from 1. */
const payloadOf = (number: number) => `${number}`;

abstract class ExactClient {
  readonly identity: Identity;
  /** What the broker did that it must not. */
  readonly violations: string[];
  #socket: tls.TLSSocket | null = null;
  #known = false;

  constructor(identity: Identity, violations: string[]) {
    this.identity = identity;
    this.violations = violations;
  }

  /** Resolves when the session is there and takes part again. Rejects when the broker is not to be reached. */
  async connect({ port, ca }: Address, clean = false): Promise<void> {
    const socket = tls.connect({ host: '127.0.0.1', port, secureContext: contextFor(ca), servername: 'localhost' });
    this.#socket = socket;
    const parser = mqtt.parser({ protocolVersion: 4 });
    const connack = new Promise<void>((resolve, reject) => {
      socket.once('close', () => reject(new Error('closed')));
      parser.on('packet', (packet) => {
        if (socket !== this.#socket) return;
        if (packet.cmd === 'connack') {
          if (packet.returnCode !== 0) reject(new Error(`CONNACK ${packet.returnCode}`));
          else if (this.#known && !packet.sessionPresent)
            this.violations.push(`${this.identity.clientId}: session lost`);
          this.resume();
          resolve();
        } else {
          if (packet.cmd === 'suback') this.#known = true;
          this.handle(packet);
        }
      });
    });
    connack.catch(() => {});
    socket.on('error', () => {});
    socket.on('data', (bytes) => parser.parse(bytes));
    await once(socket, 'secureConnect');
    this.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean, keepalive: 0 },
      ...{ ...this.identity, password: Buffer.from(this.identity.password) },
    });
    await connack;
  }

  get connected(): boolean {
    return this.#socket !== null && !this.#socket.destroyed;
  }

  /** The session was saved by the broker: from now on it has to be there. */
  protected established(): void {
    this.#known = true;
  }

  leave(politely: boolean): void {
    const socket = this.#socket;
    this.#socket = null;
    if (politely && socket?.writable) socket.end(mqtt.generate({ cmd: 'disconnect' }));
    else socket?.destroy();
  }

  protected send(packet: Packet): void {
    if (this.#socket?.writable) this.#socket.write(mqtt.generate(packet));
  }

  /** Unless the connection has ended by then. */
  protected sendIn(delayMs: number, packet: Packet): void {
    const socket = this.#socket;
    if (delayMs === 0) this.send(packet);
    else
      setTimeout(() => {
        if (socket === this.#socket) this.send(packet);
      }, delayMs);
  }

  protected abstract resume(): void;
  protected abstract handle(packet: Packet): void;
}

interface Flow {
  readonly id: number;
  readonly topic: string;
  readonly number: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** PUBREC was received: only PUBREL may be sent again [MQTT-4.3.3-1]. */
  released: boolean;
}

export interface PublishedTopic {
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  sent: number;
  /** The highest number for which the broker has taken the responsibility. */
  acknowledged: number;
}

const WINDOW = 10;

export class ExactPublisher extends ExactClient {
  readonly topics: readonly PublishedTopic[];
  readonly #flows = new Map<number, Flow>();
  #nextId = 1;
  #turn = 0;
  publishing = false;

  constructor(
    identity: Identity,
    violations: string[],
    topics: readonly Omit<PublishedTopic, 'sent' | 'acknowledged'>[],
  ) {
    super(identity, violations);
    this.topics = topics.map((topic) => ({ ...topic, sent: 0, acknowledged: 0 }));
  }

  get done(): boolean {
    return this.#flows.size === 0;
  }

  /** Fills the window; by itself when there is room again. */
  pump(): void {
    while (this.publishing && this.#flows.size < WINDOW) {
      const topic = this.topics[this.#turn++ % this.topics.length]!;
      while (this.#flows.has(this.#nextId)) this.#nextId = (this.#nextId % 65_535) + 1;
      const { topic: name, qos, retain } = topic;
      const flow = { id: this.#nextId, topic: name, number: ++topic.sent, qos, retain, released: false };
      this.#nextId = (this.#nextId % 65_535) + 1;
      this.#flows.set(flow.id, flow);
      this.#publish(flow, false);
    }
  }

  protected override resume(): void {
    this.established();
    for (const flow of this.#flows.values()) {
      if (flow.released) this.send({ cmd: 'pubrel', messageId: flow.id });
      else this.#publish(flow, true);
    }
    this.pump();
  }

  #publish({ id, topic, number, qos, retain }: Flow, dup: boolean): void {
    this.send({ cmd: 'publish', topic, payload: payloadOf(number), qos, retain, dup, messageId: id });
  }

  protected override handle(packet: Packet): void {
    const flow = this.#flows.get(packet.messageId ?? 0);
    if (packet.cmd === 'puback' && flow?.qos === 1) {
      this.#acknowledged(flow);
      this.#flows.delete(flow.id);
    } else if (packet.cmd === 'pubrec' && flow?.qos === 2) {
      this.#acknowledged(flow);
      flow.released = true;
      this.send({ cmd: 'pubrel', messageId: flow.id });
    } else if (packet.cmd === 'pubcomp' && flow?.released) {
      this.#flows.delete(flow.id);
    } else {
      this.violations.push(`${this.identity.clientId}: unexpected ${packet.cmd} ${packet.messageId}`);
    }
    this.pump();
  }

  #acknowledged(flow: Flow): void {
    const topic = this.topics.find((each) => each.topic === flow.topic)!;
    topic.acknowledged = Math.max(topic.acknowledged, flow.number);
  }
}

export class ExactSubscriber extends ExactClient {
  readonly #filters: readonly string[];
  readonly #qos: 1 | 2;
  /** QoS 2 messages received and not yet released, by packet id [MQTT-4.3.3-2]. */
  readonly #open = new Map<number, string>();
  /** The number of the last message of each topic. */
  readonly last = new Map<string, number>();
  deliveries = 0;
  duplicates = 0;
  /** For how long it keeps a message before it acknowledges it, in milliseconds. */
  keepsMs: () => number = () => 0;
  #subscribed: () => void = () => {};

  constructor(identity: Identity, violations: string[], filters: readonly string[], qos: 1 | 2) {
    super(identity, violations);
    this.#filters = filters;
    this.#qos = qos;
  }

  subscribe(): Promise<void> {
    const subscriptions = this.#filters.map((topic) => ({ topic, qos: this.#qos }));
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    return new Promise((resolve) => {
      this.#subscribed = resolve;
    });
  }

  hears(topic: string): boolean {
    return this.#filters.some((filter) => topicMatchesFilter(topic, filter));
  }

  protected override resume(): void {}

  protected override handle(packet: Packet): void {
    if (packet.cmd === 'suback') this.#subscribed();
    else if (packet.cmd === 'pubrel') {
      this.#open.delete(packet.messageId ?? 0);
      this.send({ cmd: 'pubcomp', messageId: packet.messageId! });
    } else if (packet.cmd === 'publish' && packet.qos === 1) {
      this.#take(packet.topic, Number(packet.payload), true);
      this.sendIn(this.keepsMs(), { cmd: 'puback', messageId: packet.messageId! });
    } else if (packet.cmd === 'publish' && packet.qos === 2) {
      const id = packet.messageId!;
      const what = `${packet.topic} ${packet.payload}`;
      const before = this.#open.get(id);
      if (before === undefined) this.#take(packet.topic, Number(packet.payload), false);
      else if (before !== what) this.#wrong(`packet id ${id} of ${before} was given to ${what}`);
      this.#open.set(id, what);
      this.send({ cmd: 'pubrec', messageId: id });
    }
  }

  #take(topic: string, number: number, mayRepeat: boolean): void {
    const last = this.last.get(topic) ?? 0;
    this.deliveries++;
    if (number === last + 1) this.last.set(topic, number);
    else if (number > last) this.#wrong(`${topic}: ${number} after ${last}: lost, or out of order`);
    else if (mayRepeat) this.duplicates++;
    else this.#wrong(`${topic}: ${number} after ${last}: twice, or out of order`);
    if (number > last) this.last.set(topic, number);
  }

  #wrong(what: string): void {
    this.violations.push(`${this.identity.clientId}: ${what}`);
  }
}
