import * as mqtt from '../../support/packets.js';

/** A packet of the broker. */
export interface Answer {
  readonly type: number;
  readonly flags: number;
  /** Of the whole body. */
  readonly bytes: number;
  /** The body's beginning: of a message only the topic, the packet id and a little of the payload. */
  readonly head: Buffer;
}

/** Where the payload of a message is in the head, and its packet id (0 at QoS 0). */
export function messageOf({ flags, head, bytes }: Answer): { id: number; payload: Buffer; payloadBytes: number } {
  const topicEnd = 2 + head.readUInt16BE(0);
  const start = flags & 6 ? topicEnd + 2 : topicEnd;
  return {
    id: flags & 6 ? head.readUInt16BE(topicEnd) : 0,
    payload: head.subarray(start),
    payloadBytes: bytes - start,
  };
}

const payloadHeadBytes = 16;

/** Cuts what comes in into packets, and passes over the payloads: a thousand readers of large messages cost little. */
export class AnswerReader {
  #rest: Buffer = Buffer.alloc(0);
  #skip = 0;

  *read(chunk: Buffer): Generator<Answer> {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    let bytes = chunk.subarray(skipped);
    if (this.#rest.length > 0) bytes = Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (;;) {
      const start = bodyStart(bytes, at);
      if (start === null) break;
      const length = remainingLength(bytes, at);
      const wanted = headBytes(bytes[at]!, length, bytes, start);
      if (wanted === null || start + wanted > bytes.length) break;
      const head = bytes.subarray(start, start + wanted);
      yield { type: bytes[at]! >> 4, flags: bytes[at]! & 15, bytes: length, head };
      at = start + length;
      if (at > bytes.length) {
        this.#skip = at - bytes.length;
        at = bytes.length;
      }
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }
}

/** Offset behind the remaining length, once that is complete. */
function bodyStart(bytes: Buffer, at: number): number | null {
  for (let digit = 1; digit <= 4; digit += 1) {
    const byte = bytes[at + digit];
    if (byte === undefined) return null;
    if (byte < 128) return at + digit + 1;
  }
  throw new Error('the broker sent a remaining length of more than four bytes');
}

function remainingLength(bytes: Buffer, at: number): number {
  let length = 0;
  for (let digit = 0; ; digit += 1) {
    const byte = bytes[at + 1 + digit]!;
    length += (byte & 127) * 128 ** digit;
    if (byte < 128) return length;
  }
}

function headBytes(first: number, length: number, bytes: Buffer, start: number): number | null {
  if (first >> 4 !== mqtt.PUBLISH) return length;
  if (start + 2 > bytes.length) return null;
  return Math.min(length, 2 + bytes.readUInt16BE(start) + 2 + payloadHeadBytes);
}
