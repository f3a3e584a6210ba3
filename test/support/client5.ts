import assert from 'node:assert/strict';
import * as mqtt from './packets.js';
import * as mqtt5 from './packets5.js';
import { freshId, passwordOf, RawClient, type Target } from './raw-client.js';

export interface Client5Options extends mqtt5.Connect5Options {
  /** Default `alice`; `null` leaves the user name out. */
  readonly as?: string | null;
}

/** What CONNACK said. */
export interface Connack5 {
  readonly code: number;
  readonly sessionPresent: boolean;
  readonly properties: mqtt5.ReadProperties;
}

/** A raw client that speaks MQTT 5. Topic aliases that the broker sets are put back into topics. */
export class Client5 implements AsyncDisposable {
  readonly raw: RawClient;
  readonly connack: Connack5;
  readonly #aliases = new Map<number, string>();

  private constructor(raw: RawClient, connack: Connack5) {
    this.raw = raw;
    this.connack = connack;
  }

  /** Connects, and expects to be let in. */
  static async connect(target: Target, options: Client5Options = {}): Promise<Client5> {
    const client = await Client5.attempt(target, options);
    assert.equal(client.connack.code, 0, `CONNACK reason code of ${client.raw.clientId}`);
    return client;
  }

  /** Connects, and tells in `connack` what the answer was. */
  static async attempt(target: Target, options: Client5Options = {}): Promise<Client5> {
    const clientId = options.clientId ?? freshId();
    const raw = await RawClient.open(target, {}, clientId.toString());
    raw.send(connectPacket5({ ...options, clientId }));
    const { type, body } = await raw.next();
    assert.equal(type, mqtt.CONNACK, 'the first packet from the broker is a CONNACK [MQTT-3.2.0-1]');
    const { properties } = mqtt5.readProperties(body, 2);
    return new Client5(raw, { code: body[1]!, sessionPresent: body[0] === 1, properties });
  }

  get clientId(): string {
    return this.raw.clientId;
  }

  send(...packets: readonly Uint8Array[]): void {
    this.raw.send(...packets);
  }

  /** Subscribes; an entry's second member is the whole options byte. Resolves with the reason codes. */
  async subscribe(...filters: readonly (readonly [filter: mqtt.Bytes, options: number])[]): Promise<number[]> {
    return (await this.subscribeWith(filters)).codes;
  }

  async subscribeWith(
    filters: readonly (readonly [filter: mqtt.Bytes, options: number])[],
    properties: readonly mqtt5.Property[] = [],
  ): Promise<{ codes: number[]; properties: mqtt5.ReadProperties }> {
    const id = this.raw.nextId();
    this.send(mqtt5.subscribe(id, filters, properties));
    const answer = mqtt5.readAnswers(await this.raw.take(mqtt.SUBACK));
    assert.equal(answer.id, id, 'packet id of the SUBACK');
    return answer;
  }

  async unsubscribe(...filters: readonly mqtt.Bytes[]): Promise<number[]> {
    const id = this.raw.nextId();
    this.send(mqtt5.unsubscribe(id, filters));
    const answer = mqtt5.readAnswers(await this.raw.take(mqtt.UNSUBACK));
    assert.equal(answer.id, id, 'packet id of the UNSUBACK');
    return answer.codes;
  }

  /** Publishes, to the end of the flow. Resolves with the first reason code of the answer; at QoS 0 with 0. */
  async publish(topic: mqtt.Bytes, payload: mqtt.Bytes = '', options: mqtt5.Publish5Options = {}): Promise<number> {
    return (await this.publishWith(topic, payload, options)).code;
  }

  async publishWith(
    topic: mqtt.Bytes,
    payload: mqtt.Bytes = '',
    options: mqtt5.Publish5Options = {},
  ): Promise<{ code: number; properties: mqtt5.ReadProperties }> {
    const { qos = 0 } = options;
    if (qos === 0) {
      this.send(mqtt5.publish(topic, payload, options), mqtt.pingreq());
      await this.raw.take(mqtt.PINGRESP);
      return { code: 0, properties: {} };
    }
    const id = options.id ?? this.raw.nextId();
    this.send(mqtt5.publish(topic, payload, { ...options, id }));
    const answer = mqtt5.readAcknowledgement(await this.raw.take(qos === 1 ? mqtt.PUBACK : mqtt.PUBREC));
    assert.equal(answer.id, id, 'packet id of the acknowledgement');
    if (qos === 1 || answer.code >= 0x80) return answer;
    this.send(mqtt5.pubrel(id));
    assert.equal(mqtt5.readAcknowledgement(await this.raw.take(mqtt.PUBCOMP)).id, id, 'packet id of the PUBCOMP');
    return answer;
  }

  /** The next message, not acknowledged. */
  async message(timeoutMs?: number): Promise<mqtt5.Message5> {
    const message = mqtt5.readMessage(await this.raw.take(mqtt.PUBLISH, timeoutMs));
    const alias = message.properties.topicAlias;
    if (alias === undefined) return message;
    if (message.topic !== '') this.#aliases.set(alias, message.topic);
    return { ...message, topic: this.#aliases.get(alias) ?? '' };
  }

  /** The next message, acknowledged to the end of its flow. */
  async receive(timeoutMs?: number): Promise<mqtt5.Message5> {
    const message = await this.message(timeoutMs);
    if (message.qos === 1) this.send(mqtt5.puback(message.id));
    if (message.qos === 2) {
      this.send(mqtt5.pubrec(message.id));
      assert.equal(mqtt5.readAcknowledgement(await this.raw.take(mqtt.PUBREL)).id, message.id);
      this.send(mqtt5.pubcomp(message.id));
    }
    return message;
  }

  /** The answer to a PINGREQ is the very next packet. */
  expectNothing(what?: string): Promise<void> {
    return this.raw.expectNothing(what);
  }

  /** The broker says DISCONNECT with this reason code, and closes. Resolves with its properties. */
  async expectDisconnect(code: number): Promise<mqtt5.ReadProperties> {
    const goodbye = mqtt5.readDisconnect(await this.raw.take(mqtt.DISCONNECT));
    assert.equal(`0x${goodbye.code.toString(16)}`, `0x${code.toString(16)}`, goodbye.properties.reasonString);
    await this.raw.closed();
    return goodbye.properties;
  }

  /** DISCONNECT, then wait for the broker to close. */
  async disconnect(code?: number, properties?: readonly mqtt5.Property[]): Promise<void> {
    this.send(mqtt5.disconnect(code, properties));
    await this.raw.closed();
    this.raw.socket.destroy();
  }

  cut(): void {
    this.raw.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.raw[Symbol.asyncDispose]();
  }
}

/** A CONNECT of version 5 with the credentials of one of the test users. */
export function connectPacket5({ as = 'alice', ...options }: Client5Options = {}): Buffer {
  const credentials = as === null ? {} : { login: as, password: passwordOf(as) };
  return mqtt5.connect({ clientId: freshId(), ...credentials, ...options });
}
