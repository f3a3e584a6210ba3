import { type FrameHeader, readFrameHeader } from '../connection/frames.js';
import {
  CONNACK,
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
