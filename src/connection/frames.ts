import { ProtocolError } from './protocol-error.js';

/** The start of a frame: where its body begins and ends. */
export interface FrameHeader {
  bodyStart: number;
  end: number;
}

/** Of which there are not enough bytes yet. */
export const INCOMPLETE = -1;

/**
 * Reads the Remaining Length field [MQTT-2.2.3] of the frame that starts at `at`. Returns the offset of its body, or
 * INCOMPLETE; throws for a field of more than four bytes. The length itself is left in `header`.
 */
export function readFrameHeader(buffer: Buffer, at: number, limit: number, header: FrameHeader): number {
  let i = at + 1;
  if (i >= limit) return INCOMPLETE;
  let byte = buffer[i++]!;
  let length = byte & 127;
  let shift = 7;
  while (byte & 128) {
    if (shift === 28) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
    if (i >= limit) return INCOMPLETE;
    byte = buffer[i++]!;
    length |= (byte & 127) << shift;
    shift += 7;
  }
  header.bodyStart = i;
  header.end = i + length;
  return i;
}

/** Throws for a frame that is larger than `limit`. */
export function checkSize(bytes: number, limit: number): void {
  if (bytes > limit) throw new ProtocolError('too-large', `a packet of ${bytes} bytes; ${limit} are allowed`);
}

/** By how much the memory of a partial frame grows, when it has to. */
const GROWTH = 4;

/**
 * A frame that has not arrived whole. Memory grows with what has arrived, never with what the length field claims, and is
 * four times as much each time that it grows: a firmware image in 32-byte segments is copied a few times, not once per
 * segment, and leaves a third of its size as garbage.
 */
export class PartialFrame {
  #buffer: Buffer;
  #used: number;
  /** Bytes of the whole frame; 0 while its length field is incomplete. */
  #needed: number;

  constructor(chunk: Buffer, start: number, needed: number) {
    const have = chunk.length - start;
    this.#buffer = Buffer.allocUnsafe(Math.min(Math.max(have * GROWTH, 64), needed || 64));
    chunk.copy(this.#buffer, 0, start);
    this.#used = have;
    this.#needed = needed;
  }

  /** Bytes of memory that it takes. */
  get bytes(): number {
    return this.#buffer.length;
  }

  /** The frame, once it is whole. */
  get frame(): Buffer | null {
    return this.#needed > 0 && this.#used === this.#needed ? this.#buffer.subarray(0, this.#used) : null;
  }

  /** The bytes so far, to read the length field from, while that is incomplete. */
  get head(): Buffer | null {
    return this.#needed === 0 ? this.#buffer.subarray(0, this.#used) : null;
  }

  /** The length field is complete now. */
  setNeeded(bytes: number): void {
    this.#needed = bytes;
  }

  /** Takes what belongs to this frame from `chunk`, from `at` on, and returns the offset behind it. */
  take(chunk: Buffer, at: number): number {
    const want = this.#needed === 0 ? 1 : this.#needed - this.#used;
    const end = Math.min(chunk.length, at + want);
    const after = this.#used + (end - at);
    if (after > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(after, Math.min(this.#buffer.length * GROWTH, this.#needed || 64)));
      this.#buffer.copy(larger, 0, 0, this.#used);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#used, at, end);
    this.#used = after;
    return end;
  }
}
