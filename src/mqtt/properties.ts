import './buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { lengthBytes, writeLength } from './packets.js';

/** The properties of MQTT 5 (2.2.2.2), by their identifiers. */
export const Property = {
  PAYLOAD_FORMAT_INDICATOR: 0x01,
  MESSAGE_EXPIRY_INTERVAL: 0x02,
  CONTENT_TYPE: 0x03,
  RESPONSE_TOPIC: 0x08,
  CORRELATION_DATA: 0x09,
  SUBSCRIPTION_IDENTIFIER: 0x0b,
  SESSION_EXPIRY_INTERVAL: 0x11,
  ASSIGNED_CLIENT_IDENTIFIER: 0x12,
  SERVER_KEEP_ALIVE: 0x13,
  AUTHENTICATION_METHOD: 0x15,
  AUTHENTICATION_DATA: 0x16,
  REQUEST_PROBLEM_INFORMATION: 0x17,
  WILL_DELAY_INTERVAL: 0x18,
  REQUEST_RESPONSE_INFORMATION: 0x19,
  RESPONSE_INFORMATION: 0x1a,
  SERVER_REFERENCE: 0x1c,
  REASON_STRING: 0x1f,
  RECEIVE_MAXIMUM: 0x21,
  TOPIC_ALIAS_MAXIMUM: 0x22,
  TOPIC_ALIAS: 0x23,
  MAXIMUM_QOS: 0x24,
  RETAIN_AVAILABLE: 0x25,
  USER_PROPERTY: 0x26,
  MAXIMUM_PACKET_SIZE: 0x27,
  WILDCARD_SUBSCRIPTION_AVAILABLE: 0x28,
  SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0x29,
  SHARED_SUBSCRIPTION_AVAILABLE: 0x2a,
} as const;

const BYTE = 1;
const TWO_BYTES = 2;
const FOUR_BYTES = 4;
const VARINT = 5;
const STRING = 6;
const BINARY = 7;
const PAIR = 8;

/** The type of each property's value, by its identifier; 0: there is no such property. */
const types = new Uint8Array(0x2b);
for (const [type, ids] of [
  [BYTE, [0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a]],
  [TWO_BYTES, [0x13, 0x21, 0x22, 0x23]],
  [FOUR_BYTES, [0x02, 0x11, 0x18, 0x27]],
  [VARINT, [0x0b]],
  [STRING, [0x03, 0x08, 0x12, 0x15, 0x1a, 0x1c, 0x1f]],
  [BINARY, [0x09, 0x16]],
  [PAIR, [0x26]],
] as const) {
  for (const id of ids) types[id] = type;
}

/** What is wrong with the properties of a packet: `malformed` (0x81) or a `protocol-error` (0x82). */
export class PropertyError extends Error {
  readonly kind: 'malformed' | 'protocol-error';

  constructor(kind: 'malformed' | 'protocol-error', message: string) {
    super(message);
    this.name = 'PropertyError';
    this.kind = kind;
  }
}

/**
 * Walks over the properties of a packet, one at a time, without copying any. `next` reads one and checks its form; what
 * it means, and whether it belongs there, is for whoever asks to say.
 */
export class PropertyReader {
  /** The property that `next` has read: from its identifier at `start` to the byte before `end`. */
  id = 0;
  start = 0;
  end = 0;
  /** Its value, if that is a number. */
  number = 0;
  /** Where its value is, if that is a string or binary data; of a pair, the name. */
  valueStart = 0;
  valueEnd = 0;

  #bytes: Buffer = Buffer.alloc(0);
  #limit = 0;

  /** Begins with the property length at `at`, in a packet that ends at `end`. Returns where the properties end. */
  open(bytes: Buffer, at: number, end: number): number {
    this.#bytes = bytes;
    this.#limit = end;
    const length = this.#varint(at);
    this.end = this.valueEnd;
    this.#limit = this.end + length;
    if (this.#limit > end) throw new PropertyError('malformed', 'properties that are longer than their packet');
    return this.#limit;
  }

  /** Goes through properties whose length is kept elsewhere. */
  over(bytes: Buffer): this {
    this.#bytes = bytes;
    this.#limit = bytes.length;
    this.end = 0;
    return this;
  }

  /** False at the end. */
  next(): boolean {
    const start = this.end;
    if (start >= this.#limit) return false;
    const bytes = this.#bytes;
    const id = bytes[start]!;
    this.id = id;
    this.start = start;
    switch (types[id] ?? 0) {
      case BYTE:
        this.#fixed(start + 1, 1);
        this.number = bytes[start + 1]!;
        break;
      case TWO_BYTES:
        this.#fixed(start + 1, 2);
        this.number = bytes.readUInt16BE(start + 1);
        break;
      case FOUR_BYTES:
        this.#fixed(start + 1, 4);
        this.number = bytes.readUInt32BE(start + 1);
        break;
      case VARINT:
        this.number = this.#varint(start + 1);
        this.end = this.valueEnd;
        break;
      case STRING:
        this.#field(start + 1);
        this.#checkText();
        break;
      case BINARY:
        this.#field(start + 1);
        break;
      case PAIR: {
        this.#field(start + 1);
        this.#checkText();
        const nameStart = this.valueStart;
        const nameEnd = this.valueEnd;
        this.#field(this.end);
        this.#checkText();
        this.valueStart = nameStart;
        this.valueEnd = nameEnd;
        break;
      }
      default:
        throw new PropertyError('malformed', `a property with the unknown identifier ${id}`); // [MQTT-2.2.2-2]
    }
    return true;
  }

  /** The value, of a string. */
  get text(): string {
    return this.#bytes.utf8Slice(this.valueStart, this.valueEnd);
  }

  /** The value of a flag: 0 or 1, anything else is a protocol error. */
  get flag(): boolean {
    if (this.number > 1) throw new PropertyError('protocol-error', `property ${this.id} with the value ${this.number}`);
    return this.number === 1;
  }

  #fixed(at: number, bytes: number): void {
    this.end = at + bytes;
    if (this.end > this.#limit) throw new PropertyError('malformed', 'the properties end in the middle of one');
  }

  #field(at: number): void {
    const bytes = this.#bytes;
    this.valueStart = at + 2;
    this.valueEnd = at + 2 > this.#limit ? at + 2 : at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
    this.end = this.valueEnd;
    if (this.end > this.#limit) throw new PropertyError('malformed', 'the properties end in the middle of one');
  }

  /** [MQTT-1.5.4-1] [MQTT-1.5.4-2] */
  #checkText(): void {
    const text = this.#bytes.subarray(this.valueStart, this.valueEnd);
    if (!isUtf8(text)) throw new PropertyError('malformed', `property ${this.id} is not UTF-8`);
    if (text.includes(0)) throw new PropertyError('malformed', `U+0000 in property ${this.id}`);
  }

  /** A variable byte integer at `at`; `valueEnd` is where it ends. Its form must be the shortest [MQTT-1.5.5-1]. */
  #varint(at: number): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let i = 0; i < 4; i++) {
      if (at + i >= this.#limit) throw new PropertyError('malformed', 'the packet ends within a length');
      const byte = bytes[at + i]!;
      value += (byte & 127) * 128 ** i;
      if (byte < 128) {
        if (byte === 0 && i > 0) throw new PropertyError('malformed', 'a variable byte integer that is too long');
        this.valueEnd = at + i + 1;
        return value;
      }
    }
    throw new PropertyError('malformed', 'a variable byte integer of more than four bytes');
  }
}

/** The properties of a packet that is being made. Their length is put before them by `block`. */
export class PropertyWriter {
  readonly #parts: Buffer[] = [];
  bytes = 0;

  byte(id: number, value: number): this {
    return this.raw(Buffer.from([id, value]));
  }

  twoBytes(id: number, value: number): this {
    return this.raw(Buffer.from([id, value >> 8, value & 255]));
  }

  fourBytes(id: number, value: number): this {
    const part = Buffer.allocUnsafe(5);
    part[0] = id;
    part.writeUInt32BE(value, 1);
    return this.raw(part);
  }

  varint(id: number, value: number): this {
    const part = Buffer.allocUnsafe(1 + lengthBytes(value));
    part[0] = id;
    writeLength(part, value, 1);
    return this.raw(part);
  }

  text(id: number, value: string): this {
    const text = Buffer.from(value);
    return this.raw(Buffer.concat([Buffer.from([id, text.length >> 8, text.length & 255]), text]));
  }

  /** Properties that are written already. */
  raw(part: Buffer): this {
    this.#parts.push(part);
    this.bytes += part.length;
    return this;
  }

  /** Length and properties, as they stand in a packet. */
  block(): Buffer {
    const length = Buffer.allocUnsafe(lengthBytes(this.bytes));
    writeLength(length, this.bytes, 0);
    return Buffer.concat([length, ...this.#parts], length.length + this.bytes);
  }
}
