import '../mqtt/buffer-slices.js';
import { type IConnectPacket, parser as makeParser, type Packet } from 'mqtt-packet';
import { CONNACK, type ProtocolLevel, type Qos, SUBACK, UNSUBACK } from '../mqtt/packets.js';

/** What a frame breaks: the connection is closed, and the log says why. */
export class ProtocolError extends Error {
  /** The normative statement, `MQTT-3.1.2-3`, or a word where the standard has no number for it. */
  readonly tag: string;

  constructor(tag: string, message: string) {
    super(message);
    this.name = 'ProtocolError';
    this.tag = tag;
  }
}

export interface ConnectRequest {
  readonly level: 3 | 4;
  readonly clientId: string;
  readonly clean: boolean;
  readonly keepaliveSeconds: number;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: WillRequest | null;
}

export interface WillRequest {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
}

export interface SubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly { readonly filter: string; readonly qos: Qos }[];
}

export interface UnsubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly string[];
}

export const pingresp: Buffer = Buffer.from([0xd0, 0]);
/** A v5 client is told in its own language that version 5 is not spoken here (0x84). */
export const connackVersion5Refused: Buffer = Buffer.from([0x20, 3, 0, 0x84, 0]);

export function connack(code: number, sessionPresent: boolean): Buffer {
  return Buffer.from([CONNACK << 4, 2, sessionPresent ? 1 : 0, code]);
}

export function suback(packetId: number, codes: readonly number[]): Buffer {
  return withLength(SUBACK << 4, [packetId >> 8, packetId & 255, ...codes]);
}

export function unsuback(packetId: number): Buffer {
  return Buffer.from([UNSUBACK << 4, 2, packetId >> 8, packetId & 255]);
}

function withLength(head: number, body: readonly number[]): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from([head, ...length, ...body]);
}

/**
 * The protocol name and level of a CONNECT, before anything else of it is looked at: they decide in which language the
 * rest is written, and how a refusal must look. Null for a name that is not MQTT's [MQTT-3.1.2-1].
 */
export function protocolLevel(body: Buffer): { level: number; supported: ProtocolLevel | null } | null {
  if (body.length < 2) return null;
  const end = 2 + body.readUInt16BE(0);
  if (body.length <= end || end > 8) return null;
  const name = body.latin1Slice(2, end);
  const level = body[end]!;
  if (name === 'MQTT') return { level, supported: level === 4 || level === 5 ? level : null };
  if (name === 'MQIsdp') return { level, supported: level === 3 ? 3 : null };
  return null;
}

/** Decodes a CONNECT of level 3 or 4. `frame` is the whole packet. */
export function decodeConnect(frame: Buffer, bodyStart: number): ConnectRequest {
  const packet = decode(frame) as IConnectPacket & {
    will?: { topic: string; payload: Buffer; qos: Qos; retain: boolean };
  };
  const flags = frame[bodyStart + 2 + frame.readUInt16BE(bodyStart) + 1]!;
  const hasUsername = (flags & 0x80) !== 0;
  const hasPassword = (flags & 0x40) !== 0;
  if (hasPassword && !hasUsername) throw new ProtocolError('MQTT-3.1.2-22', 'a password without a user name');
  if ((flags & 0x18) === 0x18) throw new ProtocolError('MQTT-3.1.2-14', 'Will QoS 3');
  const { clientId, username, will } = packet;
  const password = packet.password as Buffer | undefined;
  checkText(frame, clientId, 'client id');
  if (username !== undefined) checkText(frame, username, 'user name');
  if (will) checkText(frame, will.topic, 'Will topic');
  const bytes =
    bodyStart +
    (2 + frame.readUInt16BE(bodyStart) + 4) +
    field(clientId) +
    (will ? field(will.topic) + 2 + will.payload.length : 0) +
    (username === undefined ? 0 : field(username)) +
    (password === undefined ? 0 : 2 + password.length);
  if (bytes !== frame.length) throw new ProtocolError('MQTT-3.1.3-1', 'bytes behind the last field of CONNECT');
  return {
    level: packet.protocolVersion as 3 | 4,
    clientId,
    clean: packet.clean ?? true,
    keepaliveSeconds: packet.keepalive ?? 0,
    username,
    password,
    will: will ? { topic: will.topic, payload: Buffer.from(will.payload), qos: will.qos, retain: will.retain } : null,
  };
}

/**
 * How many filters a SUBSCRIBE or UNSUBSCRIBE has, told from their length fields alone: decoding millions of them would
 * hold up everybody. `extraBytes` is what follows each.
 */
export function countFilters(frame: Buffer, bodyStart: number, extraBytes: number): number {
  let count = 0;
  for (let i = bodyStart + 2; i + 2 <= frame.length; count++) i += 2 + frame.readUInt16BE(i) + extraBytes;
  return count;
}

export function decodeSubscribe(frame: Buffer): SubscribeRequest {
  const packet = decode(frame);
  if (packet.cmd !== 'subscribe') throw new ProtocolError('malformed', 'not a SUBSCRIBE');
  const packetId = nonZero(packet.messageId);
  if (packet.subscriptions.length === 0) throw new ProtocolError('MQTT-3.8.3-3', 'SUBSCRIBE without a filter');
  const filters = packet.subscriptions.map(({ topic, qos }) => {
    checkText(frame, topic, 'topic filter');
    return { filter: topic, qos };
  });
  return { packetId, filters };
}

export function decodeUnsubscribe(frame: Buffer): UnsubscribeRequest {
  const packet = decode(frame);
  if (packet.cmd !== 'unsubscribe') throw new ProtocolError('malformed', 'not an UNSUBSCRIBE');
  const packetId = nonZero(packet.messageId);
  if (packet.unsubscriptions.length === 0) throw new ProtocolError('MQTT-3.10.3-2', 'UNSUBSCRIBE without a filter');
  for (const filter of packet.unsubscriptions) checkText(frame, filter, 'topic filter');
  return { packetId, filters: packet.unsubscriptions };
}

/** mqtt-packet on one whole frame: synchronous, a fresh parser each time, since an error leaves the old one half-way. */
function decode(frame: Buffer): Packet {
  const parser = makeParser();
  let result: Packet | Error | null = null;
  parser.on('packet', (packet: Packet) => {
    result ??= packet;
  });
  parser.on('error', (error: Error) => {
    result ??= error;
  });
  parser.parse(frame);
  const outcome = result as Packet | Error | null;
  if (outcome === null) throw new ProtocolError('malformed', 'the packet ends in the middle of a field');
  if (outcome instanceof Error) throw new ProtocolError('malformed', outcome.message);
  return outcome;
}

function nonZero(packetId: number | undefined): number {
  if (!packetId) throw new ProtocolError('MQTT-2.3.1-1', 'packet id 0');
  return packetId;
}

/** Bytes of a string field with its length. */
function field(text: string): number {
  return 2 + Buffer.byteLength(text);
}

/**
 * The library decodes leniently: what is not UTF-8 becomes U+FFFD. A text with that character is well-formed only if
 * its bytes stand in the frame as they would be written [MQTT-1.5.3-1]; U+0000 is never allowed [MQTT-1.5.3-2].
 */
function checkText(frame: Buffer, text: string, what: string): void {
  if (text.includes('\0')) throw new ProtocolError('MQTT-1.5.3-2', `U+0000 in the ${what}`);
  if (!text.includes('\uFFFD')) return;
  const bytes = Buffer.from(text);
  const written = Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  if (!frame.includes(written)) throw new ProtocolError('MQTT-1.5.3-1', `the ${what} is not UTF-8`);
}
