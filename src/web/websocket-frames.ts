import { ProtocolError } from '../connection/protocol-error.js';

/** Opcodes (RFC 6455, 5.2). */
const CONTINUATION = 0;
const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** Why a WebSocket is closed (RFC 6455, 7.4.1). */
export const CloseCode = { NORMAL: 1000, PROTOCOL: 1002, UNSUPPORTED: 1003 } as const;

/** What the peer did that WebSocket, or MQTT over it, does not allow. */
export class WebSocketViolation extends ProtocolError {
  readonly code: number;

  constructor(tag: string, message: string, code: number = CloseCode.PROTOCOL) {
    super(tag, message);
    this.code = code;
  }
}

/** Of a frame, before its payload: two bytes, up to eight for a length, four for the mask. */
const LONGEST_HEADER = 14;
/** The payload of a control frame. */
const LONGEST_CONTROL = 125;

/** Hears what frames say that are not data. */
export interface FrameListener {
  pinged(payload: Buffer): void;
  /** A frame came that brings no data: each is work all the same. */
  idle(): void;
}

/**
 * Takes the frames of a client off what arrives, whatever their size and wherever the bytes are cut: payloads are handed
 * on as they come, so that nothing is kept but the header of one frame, or the 125 bytes of a control frame.
 */
export class FrameDecoder {
  /** The peer has said that it is done; what it sends after that is not looked at. */
  closed = false;
  readonly #listener: FrameListener;
  readonly #header = Buffer.allocUnsafe(LONGEST_HEADER);
  #headerBytes = 0;
  #opcode = BINARY;
  #final = true;
  /** A message is begun, and its last frame has not come. */
  #fragmented = false;
  /** Of the payload at hand. */
  #left = 0;
  #masked = 0;
  #inPayload = false;
  readonly #mask = [0, 0, 0, 0];
  readonly #control = Buffer.allocUnsafe(LONGEST_CONTROL);
  #controlBytes = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** The data in `chunk`, which is changed. Throws `WebSocketViolation`; nothing may be read after that. */
  read(chunk: Buffer): Buffer {
    let i = 0;
    let out = 0;
    while (i < chunk.length && !this.closed) {
      if (!this.#inPayload) {
        i = this.#readHeader(chunk, i);
        // It is not whole, or there is no payload.
        if (!this.#inPayload) continue;
      }
      const end = Math.min(chunk.length, i + this.#left);
      // Payloads move up to each other: however many frames there are, what they bring is handled in one go.
      const to = this.#opcode < CLOSE ? out : i;
      this.#unmask(chunk, i, end, to);
      if (this.#opcode < CLOSE) out += end - i;
      else this.#controlBytes += chunk.copy(this.#control, this.#controlBytes, i, end);
      this.#left -= end - i;
      i = end;
      if (this.#left === 0) this.#endFrame();
    }
    // Who keeps a few bytes must not keep all the others with them.
    return out * 2 < chunk.length ? Buffer.from(chunk.subarray(0, out)) : chunk.subarray(0, out);
  }

  #readHeader(chunk: Buffer, at: number): number {
    let i = at;
    const header = this.#header;
    while (i < chunk.length && this.#headerBytes < 2) header[this.#headerBytes++] = chunk[i++]!;
    if (this.#headerBytes < 2) return i;
    const needed = headerBytes(header[1]!);
    while (i < chunk.length && this.#headerBytes < needed) header[this.#headerBytes++] = chunk[i++]!;
    if (this.#headerBytes === needed) this.#beginFrame(needed);
    return i;
  }

  #beginFrame(bytes: number): void {
    const header = this.#header;
    const first = header[0]!;
    const opcode = first & 15;
    this.#final = (first & 128) !== 0;
    if ((first & 112) !== 0) throw new WebSocketViolation('RFC 6455, 5.2', 'a frame with reserved bits');
    if ((header[1]! & 128) === 0) throw new WebSocketViolation('RFC 6455, 5.1', 'a frame that is not masked');
    this.#left = lengthOf(header);
    if (opcode >= CLOSE) this.#checkControl(opcode);
    else this.#checkData(opcode);
    this.#opcode = opcode;
    for (let k = 0; k < 4; k++) this.#mask[k] = header[bytes - 4 + k]!;
    this.#masked = 0;
    this.#controlBytes = 0;
    this.#headerBytes = 0;
    this.#inPayload = true;
    if (opcode >= CLOSE || this.#left === 0) this.#listener.idle();
    if (this.#left === 0) this.#endFrame();
  }

  #checkControl(opcode: number): void {
    if (opcode > PONG) throw new WebSocketViolation('RFC 6455, 5.2', `a frame of kind ${opcode}`);
    if (!this.#final) throw new WebSocketViolation('RFC 6455, 5.4', 'a control frame in pieces');
    if (this.#left > LONGEST_CONTROL) throw new WebSocketViolation('RFC 6455, 5.5', 'a control frame that is too long');
  }

  #checkData(opcode: number): void {
    if (opcode === TEXT) {
      throw new WebSocketViolation('MQTT-6.0.0-1', 'a text frame, where MQTT is binary', CloseCode.UNSUPPORTED);
    }
    if (opcode > BINARY) throw new WebSocketViolation('RFC 6455, 5.2', `a frame of kind ${opcode}`);
    if ((opcode === CONTINUATION) !== this.#fragmented) {
      throw new WebSocketViolation('RFC 6455, 5.4', 'a message in pieces that are out of order');
    }
    this.#fragmented = !this.#final;
  }

  #endFrame(): void {
    this.#inPayload = false;
    const payload = this.#control.subarray(0, this.#controlBytes);
    if (this.#opcode === PING) this.#listener.pinged(Buffer.from(payload));
    else if (this.#opcode === CLOSE) this.closed = true;
  }

  #unmask(chunk: Buffer, from: number, end: number, to: number): void {
    const mask = this.#mask;
    const turn = this.#masked;
    const a = mask[turn & 3]!;
    const b = mask[(turn + 1) & 3]!;
    const c = mask[(turn + 2) & 3]!;
    const d = mask[(turn + 3) & 3]!;
    let i = from;
    let o = to;
    for (; i + 4 <= end; i += 4, o += 4) {
      chunk[o] = chunk[i]! ^ a;
      chunk[o + 1] = chunk[i + 1]! ^ b;
      chunk[o + 2] = chunk[i + 2]! ^ c;
      chunk[o + 3] = chunk[i + 3]! ^ d;
    }
    for (let k = turn; i < end; i++, o++, k++) chunk[o] = chunk[i]! ^ mask[k & 3]!;
    this.#masked = (turn + end - from) & 3;
  }
}

function headerBytes(second: number): number {
  const length = second & 127;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second & 128 ? 4 : 0);
}

function lengthOf(header: Buffer): number {
  const length = header[1]! & 127;
  if (length === 126) return header.readUInt16BE(2);
  if (length < 126) return length;
  const high = header.readUInt32BE(2);
  // More than a number counts exactly; nobody will ever send so much.
  if (high > 0x1fffff) throw new WebSocketViolation('RFC 6455, 5.2', 'a frame of a length that cannot be');
  return high * 2 ** 32 + header.readUInt32BE(6);
}

/** What stands before the payload of a frame of the broker: it is whole and not masked. */
export function frameHeader(opcode: number, bytes: number): Buffer {
  const header = Buffer.allocUnsafe(bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10);
  header[0] = 128 | opcode;
  if (bytes < 126) header[1] = bytes;
  else if (bytes < 65_536) {
    header[1] = 126;
    header.writeUInt16BE(bytes, 2);
  } else {
    header[1] = 127;
    header.writeBigUInt64BE(BigInt(bytes), 2);
  }
  return header;
}

export function closeFrame(code: number): Buffer {
  const frame = Buffer.from([128 | CLOSE, 2, 0, 0]);
  frame.writeUInt16BE(code, 2);
  return frame;
}
