import { type FrameHeader, readFrameHeader } from '../connection/frames.js';
import { CONNECT, LARGEST_CONNECT_BYTES } from '../mqtt/packets.js';

/** What a CONNECT says about who sends it. */
export interface ConnectIdentity {
  readonly level: number;
  readonly clientId: string;
  readonly login: string | undefined;
}

/**
 * Reads the CONNECT that a connection begins with. `incomplete` while more is needed, null when it is no CONNECT (the
 * broker will say what it thinks of that).
 */
export function readConnect(bytes: Buffer): ConnectIdentity | 'incomplete' | null {
  if (bytes[0]! >> 4 !== CONNECT) return null;
  const header: FrameHeader = { bodyStart: 0, end: 0 };
  const start = readFrameHeader(bytes, 0, bytes.length, header);
  if (start === -1) return 'incomplete';
  if (start < 0 || header.end > LARGEST_CONNECT_BYTES) return null;
  if (bytes.length < header.end) return 'incomplete';
  try {
    return parse(bytes.subarray(start, header.end));
  } catch {
    return null;
  }
}

/** [MQTT-3.1.2] and [MQTT-3.1.3]; RangeError where the body ends too early. */
function parse(body: Buffer): ConnectIdentity {
  let at = 0;
  const field = (): Buffer => {
    const start = at + 2;
    at = start + body.readUInt16BE(at);
    if (at > body.length) throw new RangeError('a field that is longer than the packet');
    return body.subarray(start, at);
  };
  const properties = (): void => {
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = body.readUInt8(at++);
      length |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127 && shift < 28);
    at += length;
  };
  field(); // MQTT or MQIsdp
  const level = body.readUInt8(at);
  const flags = body.readUInt8(at + 1);
  at += 4; // with the keepalive
  if (level === 5) properties();
  const clientId = field().toString();
  if (flags & 4) {
    if (level === 5) properties();
    field();
    field();
  }
  return { level, clientId, login: flags & 0x80 ? field().toString() : undefined };
}

/** A CONNACK that refuses, in the client's version of the protocol. */
export function refusal(level: number, code: number): Buffer {
  return Buffer.from(level === 5 ? [0x20, 3, 0, code, 0] : [0x20, 2, 0, code]);
}
