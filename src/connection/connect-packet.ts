import '../mqtt/buffer-slices.js';
import { type IConnectPacket, parser as makeParser, type Packet } from 'mqtt-packet';
import type { Qos } from '../mqtt/packets.js';
import type { WillMessage } from '../session/will.js';
import type { ConnectRequest } from './connect-request.js';
import { ProtocolError } from './protocol-error.js';
import type { Wire } from './wire.js';
import { wire31, wire31Bridge, wire311, wire311Bridge } from './wire3.js';

/** Another broker's client says by this bit of the level that it is one. */
const BRIDGE = 0x80;

/**
 * The protocol name and level of a CONNECT, before anything else of it is looked at: they decide in which language the
 * rest is written, and how a refusal must look. Null for a name that is not MQTT's [MQTT-3.1.2-1]. Version 5 has no wire
 * here: it makes one for each client.
 */
export function protocolOf(body: Buffer): { level: number; wire: Wire | null } | null {
  if (body.length < 2) return null;
  const end = 2 + body.readUInt16BE(0);
  if (body.length <= end || end > 8) return null;
  const name = body.latin1Slice(2, end);
  const level = body[end]!;
  if (name === 'MQTT') return { level, wire: level === 4 ? wire311 : level === (4 | BRIDGE) ? wire311Bridge : null };
  if (name === 'MQIsdp') return { level, wire: level === 3 ? wire31 : level === (3 | BRIDGE) ? wire31Bridge : null };
  return null;
}

/** Decodes a CONNECT of level 3 or 4, a bridge's too. `frame` is the whole packet. */
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
    clientId,
    clean: packet.clean ?? true,
    sessionExpirySeconds: (packet.clean ?? true) ? 0 : null,
    keepaliveSeconds: packet.keepalive ?? 0,
    username,
    password,
    will: will ? willOf(will) : null,
    wantsResponseInformation: false,
  };
}

function willOf({
  topic,
  payload,
  qos,
  retain,
}: Pick<WillMessage, 'topic' | 'payload' | 'qos' | 'retain'>): WillMessage {
  return { topic, payload: Buffer.from(payload), qos, retain, delaySeconds: 0, expirySeconds: null, properties: null };
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
