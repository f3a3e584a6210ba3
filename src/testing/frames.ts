import { type FrameHeader, readFrameHeader } from '../connection/frames.js';
import {
  CONNACK,
  CONNECT,
  LARGEST_CONNECT_BYTES,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
} from '../mqtt/packets.js';
import type { PacketName } from './fault-api.js';

const types: Readonly<Record<PacketName, number>> = {
  connack: CONNACK,
  publish: PUBLISH,
  puback: PUBACK,
  pubrec: PUBREC,
  pubrel: PUBREL,
  pubcomp: PUBCOMP,
  subscribe: SUBSCRIBE,
  suback: SUBACK,
  unsubscribe: UNSUBSCRIBE,
  unsuback: UNSUBACK,
  pingreq: PINGREQ,
  pingresp: PINGRESP,
};

export function packetType(name: PacketName): number {
  if (!Object.hasOwn(types, name)) throw new RangeError(`${name}: not one of ${Object.keys(types).join(', ')}`);
  return types[name];
}

/** PUBACK, PUBREC and PUBCOMP: what tells a publisher that it may forget. */
export function isAcknowledgement(type: number): boolean {
  return type === PUBACK || type === PUBREC || type === PUBCOMP;
}

/** A whole frame, or the part of one that has come so far. */
export interface Piece {
  /** The control packet type of the frame. */
  readonly type: number;
  readonly bytes: Buffer;
  /** The frame ends with it. */
  readonly last: boolean;
}

/**
 * Cuts a stream of bytes where its frames end, without waiting for whole ones: a broker must see what clients send as
 * they send it.
 */
export class FrameCutter {
  #type = 0;
  #left = 0;
  #begun: Buffer | null = null;
  #broken = false;

  cut(chunk: Buffer): Piece[] {
    const pieces: Piece[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#broken) {
        pieces.push({ type: 0, bytes: chunk.subarray(at), last: false });
        break;
      }
      if (this.#left === 0 && !this.#begin(chunk, at)) {
        // The length field is not whole yet, or malformed: the bytes pass, and count as the beginning of a frame.
        pieces.push({ type: this.#type, bytes: chunk.subarray(at), last: false });
        break;
      }
      const end = Math.min(chunk.length, at + this.#left);
      this.#left -= end - at;
      pieces.push({ type: this.#type, bytes: chunk.subarray(at, end), last: this.#left === 0 });
      at = end;
    }
    return pieces;
  }

  /** Reads the header that begins, or goes on, at `at`. False while it is incomplete. */
  #begin(chunk: Buffer, at: number): boolean {
    const earlier = this.#begun;
    const head = earlier === null ? chunk.subarray(at, at + 5) : Buffer.concat([earlier, chunk.subarray(at, at + 5)]);
    const header: FrameHeader = { bodyStart: 0, end: 0 };
    this.#type = head[0]! >> 4;
    const start = readFrameHeader(head, 0, head.length, header);
    if (start < 0) {
      this.#begun = head;
      this.#broken = head.length >= 5;
      return false;
    }
    this.#begun = null;
    this.#left = header.end - (earlier?.length ?? 0);
    return true;
  }
}

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

/** A DISCONNECT, which only MQTT 5 lets a server send. */
export function goodbye(level: number, reasonCode: number): Buffer {
  return Buffer.from(level === 5 ? [0xe0, 1, reasonCode] : []);
}

/** A CONNACK that refuses, in the client's version of the protocol. */
export function refusal(level: number, code: number): Buffer {
  return Buffer.from(level === 5 ? [0x20, 3, 0, code, 0] : [0x20, 2, 0, code]);
}
