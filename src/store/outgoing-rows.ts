import type { OutgoingRecord, StoredContent } from './contract.js';
import { checkVersion, EXPIRES, IDENTIFIERS, PROPERTIES, QOS, RETAIN } from './rows.js';

/**
 * The rows of a queue. Optional fields are there when a flag says so, dates are doubles, and what comes before the
 * topic is enough to know what the row is, without the message.
 */
const VERSION = 2;

const RELEASED = 1 << 3;
/** What the message says is in a row of its own. */
const APART = 1 << 7;

/** In the place of the number of identifiers: a longer one follows. None without any says that it has some. */
const MANY = 0;

const EMPTY = Buffer.alloc(0);

/** What is known of a row without the message. */
export interface OutgoingHead {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly released: boolean;
  readonly expiresAt: number | null;
  readonly identifiers: readonly number[] | null;
  /** Topic, payload and properties. */
  readonly bytes: number;
  /** The row that has the message; 0: this one. */
  readonly contentId: number;
  /** Where the message begins in this row. */
  readonly offset: number;
}

/**
 * [version, flags, packet id (2)] then, unless released: [expires (8)], [how many identifiers (1; 0 and 4 beyond 255),
 * each (4)], and [topic length (2), topic], [properties length (4), properties], payload; or [content (6), its bytes (4)].
 */
export function encodeOutgoing(record: OutgoingRecord, contentId: number): Buffer {
  const { topic, payload, properties, expiresAt, identifiers } = record;
  const topicBytes = Buffer.byteLength(topic);
  let flags: number = record.qos;
  if (record.retain) flags |= RETAIN;
  if (expiresAt !== null) flags |= EXPIRES;
  if (identifiers !== null) flags |= IDENTIFIERS;
  if (contentId !== 0) flags |= APART;
  else if (properties !== null) flags |= PROPERTIES;
  const many = identifiers !== null && identifiers.length > 255;
  const identifierBytes = identifiers === null ? 0 : (many ? 5 : 1) + 4 * identifiers.length;
  const headBytes = 4 + (expiresAt === null ? 0 : 8) + identifierBytes;
  const bytes = contentId === 0 ? messageBytes(topicBytes, payload, properties) : 10;
  const value = Buffer.allocUnsafe(headBytes + bytes);
  writeHead(value, flags, record.packetId);
  let offset = 4;
  if (expiresAt !== null) offset = value.writeDoubleBE(expiresAt, offset);
  if (identifiers !== null) {
    offset = value.writeUInt8(many ? MANY : identifiers.length, offset);
    if (many) offset = value.writeUInt32BE(identifiers.length, offset);
    for (const identifier of identifiers) offset = value.writeUInt32BE(identifier, offset);
  }
  if (contentId === 0) {
    writeMessage(value, offset, topic, topicBytes, payload, properties);
  } else {
    offset = value.writeUIntBE(contentId, offset, 6);
    value.writeUInt32BE(topicBytes + payload.length + (properties?.length ?? 0), offset);
  }
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

/** Version 1 is the same, without the flags that came later. */
export function decodeHead(value: Buffer): OutgoingHead {
  checkVersion(value, VERSION);
  const flags = value.readUInt8(1);
  const packetId = (value[2]! << 8) | value[3]!;
  const qos = (flags & QOS) as 1 | 2;
  const retain = (flags & RETAIN) !== 0;
  if ((flags & RELEASED) !== 0) {
    return {
      packetId,
      qos,
      retain,
      released: true,
      expiresAt: null,
      identifiers: null,
      bytes: 0,
      contentId: 0,
      offset: 4,
    };
  }
  let offset = 4;
  let expiresAt: number | null = null;
  if ((flags & EXPIRES) !== 0) {
    expiresAt = value.readDoubleBE(offset);
    offset += 8;
  }
  let identifiers: number[] | null = null;
  if ((flags & IDENTIFIERS) !== 0) {
    identifiers = [];
    let left = value.readUInt8(offset++);
    if (left === MANY) {
      left = value.readUInt32BE(offset);
      offset += 4;
    }
    for (; left > 0; left--, offset += 4) identifiers.push(value.readUInt32BE(offset));
  }
  const apart = (flags & APART) !== 0;
  const contentId = apart ? value.readUIntBE(offset, 6) : 0;
  const lengthBytes = (flags & PROPERTIES) === 0 ? 2 : 6;
  const bytes = apart ? value.readUInt32BE(offset + 6) : value.length - offset - lengthBytes;
  return { packetId, qos, retain, released: false, expiresAt, identifiers, bytes, contentId, offset };
}

/** `content` is that of the row that the head names, if it names one. */
export function recordOf(
  seq: number,
  head: OutgoingHead,
  { topic, payload, properties }: Omit<StoredContent, 'expiresAt'>,
): OutgoingRecord {
  const { packetId, qos, retain, released, expiresAt, identifiers } = head;
  return { seq, packetId, qos, retain, released, identifiers, topic, payload, properties, expiresAt };
}

const NOTHING = { topic: '', payload: EMPTY, properties: null };

/** What the row itself says, behind its head. */
export const messageIn = (value: Buffer, { released, offset }: OutgoingHead) =>
  released ? NOTHING : readMessage(value, offset, (value.readUInt8(1) & PROPERTIES) !== 0);

/** [version, flags], [topic length (2), topic], [properties length (4), properties], payload. */
export function encodeContent({ topic, payload, properties }: StoredContent): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const value = Buffer.allocUnsafe(2 + messageBytes(topicBytes, payload, properties));
  value[0] = VERSION;
  value[1] = properties === null ? 0 : PROPERTIES;
  writeMessage(value, 2, topic, topicBytes, payload, properties);
  return value;
}

export function decodeContent(value: Buffer): { topic: string; payload: Buffer; properties: Buffer | null } {
  checkVersion(value, VERSION);
  return readMessage(value, 2, (value.readUInt8(1) & PROPERTIES) !== 0);
}

/** What a message counts as: topic, payload and properties. */
export const contentBytes = ({ topic, payload, properties }: Omit<StoredContent, 'expiresAt'>): number =>
  Buffer.byteLength(topic) + payload.length + (properties?.length ?? 0);

const messageBytes = (topicBytes: number, payload: Buffer, properties: Buffer | null): number =>
  2 + topicBytes + (properties === null ? 0 : 4 + properties.length) + payload.length;

function writeMessage(
  value: Buffer,
  start: number,
  topic: string,
  topicBytes: number,
  payload: Buffer,
  properties: Buffer | null,
): void {
  value[start] = topicBytes >>> 8;
  value[start + 1] = topicBytes;
  value.write(topic, start + 2);
  let offset = start + 2 + topicBytes;
  if (properties !== null) {
    offset = value.writeUInt32BE(properties.length, offset);
    value.set(properties, offset);
    offset += properties.length;
  }
  value.set(payload, offset);
}

function readMessage(value: Buffer, start: number, hasProperties: boolean) {
  const topicEnd = start + 2 + value.readUInt16BE(start);
  const topic = value.toString('utf8', start + 2, topicEnd);
  if (!hasProperties) return { topic, payload: value.subarray(topicEnd), properties: null };
  const end = topicEnd + 4 + value.readUInt32BE(topicEnd);
  return { topic, payload: value.subarray(end), properties: value.subarray(topicEnd + 4, end) };
}
