import { Fault } from '../errors.js';
import type { OutgoingRecord, RetainedMessage, SessionRecord, StoredSubscription } from './contract.js';

/**
 * The values of rows, compact and with a version in the first byte. What a row's key says is not in its value. All
 * numbers are big-endian.
 */
const VERSION = 1;
/** Of a session's row: version 1 has no `sentSeq`. */
const SESSION_VERSION = 2;

/** Of a retained message's row, since it has an owner. */
const RETAINED_VERSION = 2;

const QOS = 0b11;
const RETAIN = 1 << 2;
const RELEASED = 1 << 3;
const PROPERTIES = 1 << 4;

const EMPTY = Buffer.alloc(0);

function checkVersion(value: Buffer, known = VERSION): void {
  if (value[0] !== undefined && value[0] >= VERSION && value[0] <= known) return;
  throw new Fault(
    'E_STORE_ROW',
    `the store has a row of an unknown format (${value[0] ?? 'empty'}); which one says "iotlab-broker storage check", and "iotlab-broker storage repair" takes it out`,
  );
}

/** [version, flags, packet id (2)] then, unless released: [topic length (2), topic], [properties length (4), properties], payload. */
export function encodeOutgoing(record: OutgoingRecord): Buffer {
  const { topic, payload, properties } = record;
  let flags: number = record.qos;
  if (record.retain) flags |= RETAIN;
  if (properties !== null) flags |= PROPERTIES;
  const topicBytes = Buffer.byteLength(topic);
  const propertyBytes = properties === null ? 0 : 4 + properties.length;
  const value = Buffer.allocUnsafe(6 + topicBytes + propertyBytes + payload.length);
  writeHead(value, flags, record.packetId);
  value[4] = topicBytes >>> 8;
  value[5] = topicBytes;
  value.write(topic, 6);
  let offset = 6 + topicBytes;
  if (properties !== null) {
    value.writeUInt32BE(properties.length, offset);
    value.set(properties, offset + 4);
    offset += 4 + properties.length;
  }
  value.set(payload, offset);
  return value;
}

export function encodeReleased(packetId: number): Buffer {
  const value = Buffer.allocUnsafe(4);
  writeHead(value, RELEASED | 2, packetId);
  return value;
}

function writeHead(value: Buffer, flags: number, packetId: number): void {
  value[0] = VERSION;
  value[1] = flags;
  value[2] = packetId >>> 8;
  value[3] = packetId;
}

export function decodeOutgoing(seq: number, value: Buffer): OutgoingRecord {
  checkVersion(value);
  const flags = value.readUInt8(1);
  const head = {
    seq,
    packetId: value.readUInt16BE(2),
    qos: (flags & QOS) as 1 | 2,
    retain: (flags & RETAIN) !== 0,
  };
  if ((flags & RELEASED) !== 0) return { ...head, released: true, topic: '', payload: EMPTY, properties: null };
  const topicEnd = 6 + value.readUInt16BE(4);
  const topic = value.toString('utf8', 6, topicEnd);
  if ((flags & PROPERTIES) === 0) {
    return { ...head, released: false, topic, payload: value.subarray(topicEnd), properties: null };
  }
  const from = topicEnd + 4;
  const end = from + value.readUInt32BE(topicEnd);
  return { ...head, released: false, topic, payload: value.subarray(end), properties: value.subarray(from, end) };
}

/** [version 2, flags, stored at (8)], [owner's length (2), owner], [properties length (4), properties], payload. */
export function encodeRetained(message: RetainedMessage): Buffer {
  const { payload, properties } = message;
  const owner = Buffer.from(message.owner ?? '');
  const head = Buffer.allocUnsafe(12);
  head[0] = RETAINED_VERSION;
  head[1] = properties === null ? message.qos : message.qos | PROPERTIES;
  head.writeDoubleBE(message.storedAt, 2);
  head.writeUInt16BE(owner.length, 10);
  if (properties === null) return Buffer.concat([head, owner, payload]);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(properties.length, 0);
  return Buffer.concat([head, owner, length, properties, payload]);
}

/** Version 1 has no owner. */
export function decodeRetained(topic: string, value: Buffer): RetainedMessage {
  const owned = value[0] === RETAINED_VERSION;
  if (!owned) checkVersion(value);
  const flags = value.readUInt8(1);
  const storedAt = value.readDoubleBE(2);
  const qos = (flags & QOS) as 0 | 1 | 2;
  const ownerEnd = owned ? 12 + value.readUInt16BE(10) : 10;
  const owner = owned && ownerEnd > 12 ? value.toString('utf8', 12, ownerEnd) : null;
  if ((flags & PROPERTIES) === 0) {
    return { topic, payload: value.subarray(ownerEnd), qos, properties: null, storedAt, owner };
  }
  const end = ownerEnd + 4 + value.readUInt32BE(ownerEnd);
  return { topic, payload: value.subarray(end), qos, properties: value.subarray(ownerEnd + 4, end), storedAt, owner };
}

/** [version, qos, options, identifier (4), 0 for none: the protocol has no identifier 0]. */
export function encodeSubscription(subscription: StoredSubscription): Buffer {
  const value = Buffer.allocUnsafe(7);
  value[0] = VERSION;
  value[1] = subscription.qos;
  value[2] = subscription.options;
  value.writeUInt32BE(subscription.identifier ?? 0, 3);
  return value;
}

export function decodeSubscription(filter: string, value: Buffer): StoredSubscription {
  checkVersion(value);
  const identifier = value.readUInt32BE(3);
  return {
    filter,
    qos: value.readUInt8(1) as 0 | 1 | 2,
    options: value.readUInt8(2),
    identifier: identifier === 0 ? null : identifier,
  };
}

/** [version, protocol, created (8), last seen (8), expires (8), sent (8), NaN for null], login. */
export function encodeSession(record: SessionRecord): Buffer {
  const head = Buffer.allocUnsafe(34);
  head[0] = SESSION_VERSION;
  head[1] = record.protocol;
  head.writeDoubleBE(record.createdAt, 2);
  head.writeDoubleBE(record.lastSeenAt, 10);
  head.writeDoubleBE(record.expiresAt ?? Number.NaN, 18);
  head.writeDoubleBE(record.sentSeq ?? Number.NaN, 26);
  return Buffer.concat([head, Buffer.from(record.login)]);
}

export function decodeSession(clientId: string, value: Buffer): SessionRecord {
  checkVersion(value, SESSION_VERSION);
  const loginFrom = value[0] === 1 ? 26 : 34;
  const expiresAt = value.readDoubleBE(18);
  const sentSeq = loginFrom === 26 ? Number.NaN : value.readDoubleBE(26);
  return {
    clientId,
    login: value.toString('utf8', loginFrom),
    protocol: value.readUInt8(1) as 3 | 4 | 5,
    createdAt: value.readDoubleBE(2),
    lastSeenAt: value.readDoubleBE(10),
    expiresAt: Number.isNaN(expiresAt) ? null : expiresAt,
    sentSeq: Number.isNaN(sentSeq) ? null : sentSeq,
  };
}

/** A received QoS 2 packet id has nothing to say but that it is there: MessagePack's nil, which the library can read too. */
export const INCOMING_VALUE = Buffer.from([0xc0]);
