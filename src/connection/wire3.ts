import { NO_LOCAL, RETAIN_AS_PUBLISHED } from '../mqtt/grant.js';
import {
  CONNACK,
  ConnectCode,
  lengthBytes,
  PUBLISH,
  PUBREL,
  type Qos,
  SUBACK,
  SUBSCRIBE,
  SUBSCRIPTION_REFUSED,
  UNSUBACK,
  UNSUBSCRIBE,
  writeLength,
} from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import { checkCount, FILTERS_PER_STEP, fieldEnd, readFilters, readPacketId, readText } from './fields.js';
import type { Outbox } from './outbox.js';
import { ProtocolError } from './protocol-error.js';
import { writePublish } from './publish-bytes.js';
import type {
  Acknowledgement,
  ConnectRefusal,
  Farewell,
  MessageWriter,
  PublishHead,
  Reading,
  RequestedSubscription,
  SubscribeRefusal,
  SubscribeRequest,
  UnsubscribeRequest,
  Welcome,
  Wire,
} from './wire.js';

const refusals: Readonly<Record<ConnectRefusal, number>> = {
  'unsupported-protocol': ConnectCode.UNACCEPTABLE_PROTOCOL,
  'client-id-rejected': ConnectCode.IDENTIFIER_REJECTED,
  'not-authorised': ConnectCode.NOT_AUTHORISED,
  unavailable: ConnectCode.SERVER_UNAVAILABLE,
  quota: ConnectCode.SERVER_UNAVAILABLE,
};

/** Before version 5, DISCONNECT has no body. */
const farewell: Farewell = { publishesWill: false, sessionExpirySeconds: null };

/**
 * What a bridge subscribes with: its broker gets nothing back that came from there, and can keep what is retained here.
 * No document says so; mosquitto's bridges and brokers do.
 */
const BRIDGE_OPTIONS = NO_LOCAL | RETAIN_AS_PUBLISHED;

/** MQTT 3.1 and 3.1.1: the same bytes but for a few bits. */
class Wire3 implements Wire, MessageWriter {
  readonly level: 3 | 4;
  readonly version: string;
  readonly #options: number;
  readonly messages = this;
  /** Only `limits.inflightMessages` bounds what clients of these versions are sent at a time. */
  readonly receiveMaximum = 65_535;
  balance = null;
  readonly #acknowledgement: Acknowledgement = { packetId: 0, failed: false };
  readonly #publish: PublishHead = {
    ...{ chunk: Buffer.alloc(0), qos: 0, retain: false, topicStart: 0, topicEnd: 0, packetId: 0, payloadStart: 0 },
    ...{ end: 0, properties: null, whole: true, expirySeconds: -1, responseTopic: null },
  };

  constructor(level: 3 | 4, version: string, options: number) {
    this.level = level;
    this.version = version;
    this.#options = options;
  }

  readPublish(chunk: Buffer, start: number, bodyStart: number, end: number): PublishHead {
    const flags = chunk[start]!;
    const qos = (flags >> 1) & 3;
    if (qos === 3) throw new ProtocolError('MQTT-3.3.1-4', 'PUBLISH with QoS 3');
    if (qos === 0 && flags & 8) throw new ProtocolError('MQTT-3.3.1-2', 'PUBLISH with DUP at QoS 0');
    if (bodyStart + 2 > end) throw new ProtocolError('malformed', 'PUBLISH without a topic');
    const topicEnd = bodyStart + 2 + ((chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!);
    const payloadStart = qos === 0 ? topicEnd : topicEnd + 2;
    if (payloadStart > end) throw new ProtocolError('malformed', 'PUBLISH ends within its topic or packet id');
    const head = this.#publish;
    head.chunk = chunk;
    head.end = end;
    head.qos = qos as Qos;
    head.retain = (flags & 1) === 1;
    head.topicStart = bodyStart + 2;
    head.topicEnd = topicEnd;
    head.payloadStart = payloadStart;
    head.packetId = 0;
    if (qos !== 0) {
      head.packetId = (chunk[topicEnd]! << 8) | chunk[topicEnd + 1]!;
      if (head.packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'PUBLISH with packet id 0');
    }
    return head;
  }

  readAcknowledgement(chunk: Buffer, start: number, bodyStart: number, end: number): Acknowledgement {
    const type = chunk[start]! >> 4;
    // [MQTT-3.6.1-1]
    if (type === PUBREL ? this.#flags(chunk[start]!) !== 2 : (chunk[start]! & 15) !== 0) {
      throw new ProtocolError('MQTT-2.2.2-2', 'reserved bits of an acknowledgement');
    }
    if (end - bodyStart !== 2) throw new ProtocolError('malformed', 'an acknowledgement that is not two bytes long');
    this.#acknowledgement.packetId = readPacketId(chunk, bodyStart, 'MQTT-2.3.1-1');
    return this.#acknowledgement;
  }

  *readSubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<SubscribeRequest> {
    this.#checkRequest(chunk, start, bodyStart, end, SUBSCRIBE, 'MQTT-3.8.1-1');
    checkCount(chunk, bodyStart + 2, end, 1, maxFilters);
    const packetId = readPacketId(chunk, bodyStart, 'MQTT-2.3.1-1');
    const subscriptions: RequestedSubscription[] = [];
    for (let i = bodyStart + 2; i < end; ) {
      const filterEnd = fieldEnd(chunk, i, end);
      if (filterEnd === end) throw new ProtocolError('malformed', 'SUBSCRIBE ends before a requested QoS');
      const qos = chunk[filterEnd]!;
      if (qos > 2) throw new ProtocolError('MQTT-3.8.3-4', 'a requested QoS above 2, or reserved bits beside it');
      const filter = readText(chunk, i + 2, filterEnd, 'topic filter');
      subscriptions.push({ filter, qos: qos as Qos, options: this.#options });
      i = filterEnd + 1;
      if (subscriptions.length % FILTERS_PER_STEP === 0) yield;
    }
    if (subscriptions.length === 0) throw new ProtocolError('MQTT-3.8.3-3', 'SUBSCRIBE without a filter');
    return { packetId, subscriptions, identifier: null };
  }

  *readUnsubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<UnsubscribeRequest> {
    this.#checkRequest(chunk, start, bodyStart, end, UNSUBSCRIBE, 'MQTT-3.10.1-1');
    checkCount(chunk, bodyStart + 2, end, 0, maxFilters);
    const packetId = readPacketId(chunk, bodyStart, 'MQTT-2.3.1-1');
    return { packetId, filters: yield* readFilters(chunk, bodyStart + 2, end) };
  }

  checkEmpty(chunk: Buffer, start: number, bodyStart: number, end: number): void {
    if ((chunk[start]! & 15) !== 0) throw new ProtocolError('MQTT-2.2.2-2', 'reserved bits of the first byte');
    if (end !== bodyStart) throw new ProtocolError('malformed', 'a body where none belongs');
  }

  readDisconnect(chunk: Buffer, start: number, bodyStart: number, end: number): Farewell {
    this.checkEmpty(chunk, start, bodyStart, end);
    return farewell;
  }

  /** [MQTT-3.2.2-2] [MQTT-3.2.2-3]; in MQTT 3.1 the byte is reserved and stays 0. */
  welcome({ sessionPresent }: Welcome): Buffer {
    return Buffer.from([CONNACK << 4, 2, sessionPresent && this.level > 3 ? 1 : 0, ConnectCode.ACCEPTED]);
  }

  refusal(why: ConnectRefusal): Buffer {
    return Buffer.from([CONNACK << 4, 2, 0, refusals[why]]);
  }

  /** These versions have no word for it. */
  goodbye(): null {
    return null;
  }

  suback(packetId: number, answers: readonly (Qos | SubscribeRefusal)[]): Buffer {
    const length = 2 + answers.length;
    const packet = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
    packet[0] = SUBACK << 4;
    let i = writeLength(packet, length, 1);
    packet[i++] = packetId >> 8;
    packet[i++] = packetId & 255;
    for (const answer of answers) packet[i++] = typeof answer === 'number' ? answer : SUBSCRIPTION_REFUSED;
    return packet;
  }

  unsuback(packetId: number): Buffer {
    return Buffer.from([UNSUBACK << 4, 2, packetId >> 8, packetId & 255]);
  }

  acknowledge(outbox: Outbox, type: number, packetId: number): void {
    outbox.acknowledge(type === PUBREL ? (PUBREL << 4) | 2 : type << 4, packetId); // [MQTT-3.6.1-1]
  }

  /** At QoS 0 the bytes that came in are the very bytes that leave. */
  publication(outbox: Outbox, publication: Publication, qos: Qos, packetId: number, retain: boolean): true {
    const { chunk, topicStart, topicEnd, payloadStart, end } = publication;
    if (qos === 0 && publication.verbatim && !publication.asCame) outbox.verbatim(chunk, publication.start, end);
    else {
      const head = (PUBLISH << 4) | (qos << 1) | (retain ? 1 : 0);
      writePublish(outbox, head, chunk, topicStart, topicEnd, packetId, payloadStart, end);
    }
    return true;
  }

  message(outbox: Outbox, message: Message, qos: Qos, packetId: number, retain: boolean, dup: boolean): true {
    const { body, topicEnd, payloadStart } = message;
    const head = (PUBLISH << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    writePublish(outbox, head, body, 0, topicEnd, packetId, payloadStart, body.length);
    return true;
  }

  /** MQTT 3.1 has a DUP flag in SUBSCRIBE, UNSUBSCRIBE and PUBREL; 3.1.1 reserves the bit. */
  #flags(head: number): number {
    return this.level === 3 ? head & 7 : head & 15;
  }

  #checkRequest(chunk: Buffer, start: number, bodyStart: number, end: number, type: number, tag: string): void {
    if (this.#flags(chunk[start]!) !== 2) {
      throw new ProtocolError(tag, `reserved bits of ${type === SUBSCRIBE ? '' : 'UN'}SUBSCRIBE`);
    }
    if (end - bodyStart < 2) throw new ProtocolError('malformed', 'the packet ends within its packet id');
  }
}

export const wire31: Wire = new Wire3(3, '3.1', 0);
export const wire311: Wire = new Wire3(4, '3.1.1', 0);
export const wire31Bridge: Wire = new Wire3(3, '3.1 bridge', BRIDGE_OPTIONS);
export const wire311Bridge: Wire = new Wire3(4, '3.1.1 bridge', BRIDGE_OPTIONS);
