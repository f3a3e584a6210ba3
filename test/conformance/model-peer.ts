import assert from 'node:assert/strict';
import { connectPacket5 } from '../support/client5.js';
import * as mqtt from '../support/packets.js';
import * as mqtt5 from '../support/packets5.js';
import { connectPacket, freshId, RawClient, type Target } from '../support/raw-client.js';
import type { Answer, Granted } from './model.js';

const { p } = mqtt5;

/** A message as it came. Versions before 5 have no properties: null. */
export interface Came extends mqtt.Message {
  readonly properties: mqtt5.ReadProperties | null;
}

export interface PeerOptions {
  readonly level: mqtt.Level;
  readonly clientId?: string;
  /** Its session outlives the connection. */
  readonly keeps?: boolean;
  readonly will?: mqtt.WillOptions;
  /** What only MQTT 5 can say. */
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
}

const answers = { puback: mqtt5.puback, pubrec: mqtt5.pubrec, pubcomp: mqtt5.pubcomp };

/** A client of any version: what a test wants to say, in the words of that version. */
export class Peer {
  readonly raw: RawClient;
  readonly level: mqtt.Level;
  readonly #aliasOf = new Map<string, number>();
  readonly #topicOf = new Map<number, string>();

  private constructor(raw: RawClient, level: mqtt.Level) {
    this.raw = raw;
    this.level = level;
  }

  static async open(target: Target, options: PeerOptions): Promise<Peer> {
    const { level, clientId = freshId(), keeps = false, will } = options;
    const raw = await RawClient.open(target, {}, clientId);
    const { receiveMaximum, topicAliasMaximum } = options;
    const properties = [
      ...(keeps ? [p.sessionExpiry(100_000)] : []),
      ...(receiveMaximum === undefined ? [] : [p.receiveMaximum(receiveMaximum)]),
      ...(topicAliasMaximum === undefined ? [] : [p.topicAliasMaximum(topicAliasMaximum)]),
    ];
    raw.send(
      level === 5
        ? connectPacket5({ clientId, cleanStart: !keeps, will, properties })
        : connectPacket({ level, clientId, clean: !keeps, will }),
    );
    assert.equal((await raw.next()).body[1], 0, `CONNACK of ${clientId}`);
    return new Peer(raw, level);
  }

  /** Its messages have properties. */
  get typed(): boolean {
    return this.level === 5;
  }

  /** A PUBLISH. In MQTT 5 it says its payload once more as its content type, and has an alias instead of a known topic. */
  publishPacket(topic: string, payload: string, options: mqtt.PublishOptions): Buffer {
    if (this.level < 5) return mqtt.publish(topic, payload, options);
    const known = this.#aliasOf.get(topic);
    const alias = known ?? this.#aliasOf.size + 1;
    this.#aliasOf.set(topic, alias);
    const properties = [p.topicAlias(alias), p.contentType(payload)];
    return mqtt5.publish(known === undefined ? topic : '', payload, { ...options, properties });
  }

  /** Publishes, to the end of the flow. */
  async publish(topic: string, payload: string, qos: number, retain: boolean): Promise<void> {
    const { raw } = this;
    const id = qos > 0 ? raw.nextId() : 0;
    raw.send(this.publishPacket(topic, payload, qos > 0 ? { qos, id, retain } : { retain }));
    if (qos === 0) {
      raw.send(mqtt.pingreq());
      await raw.take(mqtt.PINGRESP);
      return;
    }
    await this.#answered(qos === 1 ? mqtt.PUBACK : mqtt.PUBREC, id);
    if (qos === 1) return;
    raw.send(mqtt.pubrel(id));
    await this.#answered(mqtt.PUBCOMP, id);
  }

  async subscribe(filter: string, { qos, asPublished, identifier }: Granted, handling: number): Promise<void> {
    const { raw } = this;
    if (this.level < 5) {
      await raw.subscribe([filter, qos]);
      return;
    }
    const id = raw.nextId();
    const options = qos | (asPublished ? 0x08 : 0) | (handling << 4);
    raw.send(
      mqtt5.subscribe(id, [[filter, options]], identifier === null ? [] : [p.subscriptionIdentifier(identifier)]),
    );
    assert.deepEqual(mqtt5.readAnswers(await raw.take(mqtt.SUBACK)).codes, [qos]);
  }

  async unsubscribe(filter: string): Promise<void> {
    const { raw } = this;
    if (this.level < 5) return raw.unsubscribe(filter);
    raw.send(mqtt5.unsubscribe(raw.nextId(), [filter]));
    await raw.take(mqtt.UNSUBACK);
  }

  answer({ id, packet, refuses }: Answer): void {
    this.raw.send(answers[packet](id, refuses ? 0x80 : undefined));
  }

  read(packet: mqtt.Packet): Came {
    if (this.level < 5) return { ...mqtt.readMessage(packet), properties: null };
    const message = mqtt5.readMessage(packet);
    const { topicAlias } = message.properties;
    if (topicAlias === undefined) return message;
    if (message.topic !== '') this.#topicOf.set(topicAlias, message.topic);
    return { ...message, topic: this.#topicOf.get(topicAlias) ?? '' };
  }

  async #answered(type: number, id: number): Promise<void> {
    const { body } = await this.raw.take(type);
    assert.equal(body.readUInt16BE(0), id, 'packet id of the answer');
  }
}
