import type { Balance } from '../fairness/account.js';
import { PUBACK, PUBREC, PUBREL, type Qos } from '../mqtt/packets.js';
import { Property as P } from '../mqtt/properties.js';
import { Reason, type ReasonCode } from '../mqtt/reason-codes.js';
import type { CloseReason } from '../session/close-reason.js';
import { Answers5, type ServerSettings } from './answers5.js';
import type { ClientSettings } from './connect5.js';
import { readPacketId } from './fields.js';
import { Messages5 } from './messages5.js';
import type { Outbox } from './outbox.js';
import { readProperties } from './packet-properties.js';
import { ProtocolError } from './protocol-error.js';
import { readPublishProperties } from './publish5.js';
import { readSubscribe5, readUnsubscribe5 } from './requests5.js';
import { ReceivedAliases } from './topic-aliases.js';
import type {
  Acknowledgement,
  ConnectRefusal,
  Farewell,
  PublishHead,
  Reading,
  SubscribeRefusal,
  SubscribeRequest,
  UnsubscribeAnswer,
  UnsubscribeRequest,
  Welcome,
  Wire,
} from './wire.js';

/** Reason codes that a receiver may send [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]. */
const receiverCodes: ReadonlySet<number> = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
const releaseCodes: ReadonlySet<number> = new Set([0x00, 0x92]);
const disconnectCodes: ReadonlySet<number> = new Set([
  ...[0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
]);

const reasonProperties: ReadonlySet<number> = new Set([P.REASON_STRING, P.USER_PROPERTY]);
const disconnectProperties: ReadonlySet<number> = new Set([
  ...[P.SESSION_EXPIRY_INTERVAL, P.REASON_STRING, P.USER_PROPERTY],
]);

/*
 * What was read last, for all connections: it is looked at before the next packet is read, and one for each of them would
 * keep the bytes of its last message.
 */
const lastAcknowledgement: Acknowledgement = { packetId: 0, failed: false };
const lastPublish: PublishHead = {
  ...{ chunk: Buffer.alloc(0), qos: 0, retain: false, topicStart: 0, topicEnd: 0, packetId: 0, payloadStart: 0 },
  ...{ end: 0, properties: null, whole: true, expirySeconds: -1, responseTopic: null },
};

/** MQTT 5. Unlike those of earlier versions, each client has its own: aliases and sizes are agreed on one by one. */
export class Wire5 implements Wire {
  readonly level = 5;
  readonly version = '5';
  readonly receiveMaximum: number;

  readonly #answers: Answers5;
  readonly messages: Messages5;
  readonly #aliases: ReceivedAliases;
  #balance: Balance | null = null;

  /** `now`: the date, in milliseconds since 1970. */
  constructor(client: ClientSettings, server: ServerSettings, now: () => number) {
    this.receiveMaximum = client.receiveMaximum;
    this.#answers = new Answers5(client, server);
    this.messages = new Messages5(client, server.topicAliasMaximum, now);
    this.#aliases = new ReceivedAliases(server.topicAliasMaximum);
  }

  get balance(): Balance | null {
    return this.#balance;
  }

  set balance(balance: Balance | null) {
    this.#balance = balance;
    this.#aliases.charge.balance = balance;
    this.messages.balance = balance;
  }

  readPublish(chunk: Buffer, start: number, bodyStart: number, end: number): PublishHead {
    const flags = chunk[start]!;
    const qos = (flags >> 1) & 3;
    if (qos === 3) throw new ProtocolError('MQTT-3.3.1-4', 'PUBLISH with QoS 3', Reason.MALFORMED_PACKET);
    if (qos === 0 && flags & 8)
      throw new ProtocolError('MQTT-3.3.1-2', 'PUBLISH with DUP at QoS 0', Reason.MALFORMED_PACKET);
    if (bodyStart + 2 > end) throw new ProtocolError('malformed', 'PUBLISH without a topic');
    const topicEnd = bodyStart + 2 + ((chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!);
    const propertiesAt = qos === 0 ? topicEnd : topicEnd + 2;
    if (propertiesAt >= end) throw new ProtocolError('malformed', 'PUBLISH ends before its properties');
    const head = lastPublish;
    head.chunk = chunk;
    head.qos = qos as Qos;
    head.retain = (flags & 1) === 1;
    head.topicStart = bodyStart + 2;
    head.topicEnd = topicEnd;
    head.payloadStart = propertiesAt + 1;
    head.end = end;
    head.packetId = 0;
    head.properties = null;
    head.whole = true;
    head.expirySeconds = -1;
    head.responseTopic = null;
    if (qos !== 0) {
      head.packetId = (chunk[topicEnd]! << 8) | chunk[topicEnd + 1]!;
      if (head.packetId === 0) throw new ProtocolError('MQTT-2.2.1-2', 'PUBLISH with packet id 0');
    }
    const alias = chunk[propertiesAt] === 0 ? 0 : readPublishProperties(head, chunk, propertiesAt, end);
    if (alias !== 0) this.#aliases.resolve(head, alias);
    else if (topicEnd === bodyStart + 2) {
      throw new ProtocolError(
        'MQTT-3.3.2-8',
        'PUBLISH with neither a topic nor an alias for one',
        Reason.PROTOCOL_ERROR,
      );
    }
    return head;
  }

  readAcknowledgement(chunk: Buffer, start: number, bodyStart: number, end: number): Acknowledgement {
    const type = chunk[start]! >> 4;
    if ((chunk[start]! & 15) !== (type === PUBREL ? 2 : 0)) {
      throw new ProtocolError('MQTT-2.1.3-1', 'reserved bits of an acknowledgement', Reason.MALFORMED_PACKET);
    }
    const acknowledgement = lastAcknowledgement;
    acknowledgement.failed = false;
    if (end - bodyStart < 2) throw new ProtocolError('malformed', 'an acknowledgement without a packet id');
    acknowledgement.packetId = readPacketId(chunk, bodyStart, 'MQTT-2.2.1-3');
    if (end - bodyStart === 2) return acknowledgement;
    const code = chunk[bodyStart + 2]!;
    const codes = type === PUBACK || type === PUBREC ? receiverCodes : releaseCodes;
    if (!codes.has(code)) throw new ProtocolError('MQTT-3.4.2-1', `an acknowledgement with reason code ${code}`);
    acknowledgement.failed = code >= 0x80;
    if (end - bodyStart > 3) expectEnd(readProperties(chunk, bodyStart + 3, end, reasonProperties), end);
    return acknowledgement;
  }

  readSubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<SubscribeRequest> {
    return readSubscribe5(chunk, start, bodyStart, end, maxFilters);
  }

  readUnsubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<UnsubscribeRequest> {
    return readUnsubscribe5(chunk, start, bodyStart, end, maxFilters);
  }

  checkEmpty(chunk: Buffer, start: number, bodyStart: number, end: number): void {
    if ((chunk[start]! & 15) !== 0) {
      throw new ProtocolError('MQTT-2.1.3-1', 'reserved bits of the first byte', Reason.MALFORMED_PACKET);
    }
    if (end !== bodyStart) throw new ProtocolError('malformed', 'a body where none belongs');
  }

  readDisconnect(chunk: Buffer, start: number, bodyStart: number, end: number): Farewell {
    if ((chunk[start]! & 15) !== 0) {
      throw new ProtocolError('MQTT-3.14.1-1', 'reserved bits of DISCONNECT', Reason.MALFORMED_PACKET);
    }
    let sessionExpirySeconds: number | null = null;
    const code = bodyStart === end ? 0 : chunk[bodyStart]!;
    if (!disconnectCodes.has(code)) throw new ProtocolError('MQTT-3.14.2-1', `DISCONNECT with reason code ${code}`);
    if (end - bodyStart > 1) {
      const read = readProperties(chunk, bodyStart + 1, end, disconnectProperties, (property) => {
        if (property.id === P.SESSION_EXPIRY_INTERVAL) sessionExpirySeconds = property.number;
      });
      expectEnd(read, end);
    }
    return { publishesWill: code !== 0, sessionExpirySeconds };
  }

  welcome(details: Welcome): Buffer | null {
    return this.#answers.welcome(details);
  }

  refusal(why: ConnectRefusal, text: string | null): Buffer | null {
    return this.#answers.refusal(why, text);
  }

  suback(packetId: number, answers: readonly (Qos | SubscribeRefusal)[], text: string | null): Buffer | null {
    return this.#answers.suback(packetId, answers, text);
  }

  unsuback(packetId: number, answers: readonly UnsubscribeAnswer[]): Buffer | null {
    return this.#answers.unsuback(packetId, answers);
  }

  goodbye(why: CloseReason, code: ReasonCode | null, text: string | null): Buffer | null {
    return this.#answers.goodbye(why, code, text);
  }

  acknowledge(outbox: Outbox, type: number, packetId: number, code?: ReasonCode, text?: string | null): void {
    this.#answers.acknowledge(outbox, type, packetId, code, text);
  }
}

function expectEnd(at: number, end: number): void {
  if (at !== end) throw new ProtocolError('malformed', 'bytes behind the last field of a packet');
}
