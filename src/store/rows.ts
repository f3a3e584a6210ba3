import { Fault } from '../errors.js';
import type {
  RetainedMessage,
  RetainedPosition,
  RetainedRequest,
  SessionRecord,
  StoredSubscription,
} from './contract.js';

/**
 * The values of rows, compact and with the version of their kind in the first byte. What a row's key says is not in its
 * value. All numbers are big-endian. Optional fields are there when a flag says so, and dates are doubles.
 */
const RETAINED_VERSION = 3;
const SUBSCRIPTION_VERSION = 1;
const SESSION_VERSION = 3;
const REQUEST_VERSION = 1;
const POSITION_VERSION = 1;

/** Flags of rows that have a message. */
export const QOS = 0b11;
export const RETAIN = 1 << 2;
export const PROPERTIES = 1 << 4;
export const EXPIRES = 1 << 5;
export const IDENTIFIERS = 1 << 6;

export function checkVersion(value: Buffer, known: number): void {
  if (value[0] !== undefined && value[0] > 0 && value[0] <= known) return;
  throw new Fault(
    'E_STORE_ROW',
    `the store has a row of an unknown format (${value[0] ?? 'empty'}); which one says "iotlab-broker storage check", and "iotlab-broker storage repair" takes it out`,
  );
}

/** What ends a row that holds a message: [properties length (4), properties], payload. */
function decodeBody(value: Buffer, flags: number, offset: number): { payload: Buffer; properties: Buffer | null } {
  if ((flags & PROPERTIES) === 0) return { payload: value.subarray(offset), properties: null };
  const end = offset + 4 + value.readUInt32BE(offset);
  return { payload: value.subarray(end), properties: value.subarray(offset + 4, end) };
}

/** [version, flags, stored at (8), expires (8), owner's length (2), owner], [properties length (4), properties], payload. */
export function encodeRetained(message: RetainedMessage): Buffer {
  const { payload, properties } = message;
  const owner = Buffer.from(message.owner ?? '');
  const head = Buffer.allocUnsafe(20);
  head[0] = RETAINED_VERSION;
  head[1] = properties === null ? message.qos : message.qos | PROPERTIES;
  head.writeDoubleBE(message.storedAt, 2);
  head.writeDoubleBE(message.expiresAt ?? Number.NaN, 10);
  head.writeUInt16BE(owner.length, 18);
  if (properties === null) return Buffer.concat([head, owner, payload]);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(properties.length, 0);
  return Buffer.concat([head, owner, length, properties, payload]);
}

/** Version 1 has no owner, version 2 no expiry. */
export function decodeRetained(topic: string, value: Buffer): RetainedMessage {
  checkVersion(value, RETAINED_VERSION);
  const version = value.readUInt8(0);
  const flags = value.readUInt8(1);
  const qos = (flags & QOS) as 0 | 1 | 2;
  const storedAt = value.readDoubleBE(2);
  const expiresAt = version < 3 ? null : dateOrNull(value.readDoubleBE(10));
  const ownerFrom = version < 3 ? 12 : 20;
  const ownerEnd = version === 1 ? 10 : ownerFrom + value.readUInt16BE(ownerFrom - 2);
  const owner = ownerEnd > ownerFrom ? value.toString('utf8', ownerFrom, ownerEnd) : null;
  return { topic, ...decodeBody(value, flags, ownerEnd), qos, expiresAt, storedAt, owner };
}

/** [version, qos, options, identifier (4), 0 for none: the protocol has no identifier 0]. */
export function encodeSubscription(subscription: StoredSubscription): Buffer {
  const value = Buffer.allocUnsafe(7);
  value[0] = SUBSCRIPTION_VERSION;
  value[1] = subscription.qos;
  value[2] = subscription.options;
  value.writeUInt32BE(subscription.identifier ?? 0, 3);
  return value;
}

export function decodeSubscription(filter: string, value: Buffer): StoredSubscription {
  checkVersion(value, SUBSCRIPTION_VERSION);
  const identifier = value.readUInt32BE(3);
  return {
    filter,
    qos: value.readUInt8(1) as 0 | 1 | 2,
    options: value.readUInt8(2),
    identifier: identifier === 0 ? null : identifier,
  };
}

/** [version, qos, identifier (4), asked at (8), last place (8)], filter. */
export function encodeRequest({ qos, identifier, askedAt, last, filter }: RetainedRequest): Buffer {
  const head = Buffer.allocUnsafe(22);
  head[0] = REQUEST_VERSION;
  head[1] = qos;
  head.writeUInt32BE(identifier ?? 0, 2);
  head.writeDoubleBE(askedAt, 6);
  head.writeDoubleBE(last, 14);
  return Buffer.concat([head, Buffer.from(filter)]);
}

export function decodeRequest(place: number, value: Buffer): RetainedRequest {
  checkVersion(value, REQUEST_VERSION);
  const identifier = value.readUInt32BE(2);
  return {
    place,
    last: value.readDoubleBE(14),
    filter: value.toString('utf8', 22),
    qos: value.readUInt8(1) as 0 | 1 | 2,
    identifier: identifier === 0 ? null : identifier,
    askedAt: value.readDoubleBE(6),
  };
}

/** [version, next place (8)], topic. */
export function encodePosition({ next, after }: RetainedPosition): Buffer {
  const head = Buffer.allocUnsafe(9);
  head[0] = POSITION_VERSION;
  head.writeDoubleBE(next, 1);
  return Buffer.concat([head, Buffer.from(after)]);
}

export function decodePosition(value: Buffer): RetainedPosition {
  checkVersion(value, POSITION_VERSION);
  return { next: value.readDoubleBE(1), after: value.toString('utf8', 9) };
}

/**
 * [version, protocol, created (8), last seen (8), expires (8), sent (8), expiry (8), login's length (2)], login, client id.
 * NaN is null.
 */
export function encodeSession(record: SessionRecord): Buffer {
  const login = Buffer.from(record.login);
  const head = Buffer.allocUnsafe(44);
  head[0] = SESSION_VERSION;
  head[1] = record.protocol;
  head.writeDoubleBE(record.createdAt, 2);
  head.writeDoubleBE(record.lastSeenAt, 10);
  head.writeDoubleBE(record.expiresAt ?? Number.NaN, 18);
  head.writeDoubleBE(record.sentSeq ?? Number.NaN, 26);
  head.writeDoubleBE(record.expiryMs ?? Number.NaN, 34);
  head.writeUInt16BE(login.length, 42);
  return Buffer.concat([head, login, Buffer.from(record.clientId)]);
}

/**
 * Version 1 ends, but for the login, with `expires`, version 2 with `sent`; those have the client id in their keys, and
 * `clientId` is that.
 */
export function decodeSession(value: Buffer, clientId = ''): SessionRecord {
  checkVersion(value, SESSION_VERSION);
  const version = value.readUInt8(0);
  const number = (offset: number) => dateOrNull(value.readDoubleBE(offset));
  const loginEnd = version < 3 ? value.length : 44 + value.readUInt16BE(42);
  return {
    clientId: version < 3 ? clientId : value.toString('utf8', loginEnd),
    login: value.toString('utf8', [26, 34, 44][version - 1], loginEnd),
    protocol: value.readUInt8(1) as 3 | 4 | 5,
    createdAt: value.readDoubleBE(2),
    lastSeenAt: value.readDoubleBE(10),
    expiresAt: number(18),
    expiryMs: version < 3 ? null : number(34),
    sentSeq: version < 2 ? null : number(26),
  };
}

const dateOrNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

/** A received QoS 2 packet id has nothing to say but that it is there: MessagePack's nil, which the library can read too. */
export const INCOMING_VALUE = Buffer.from([0xc0]);
