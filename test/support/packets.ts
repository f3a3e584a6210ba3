/**
 * MQTT packets as bytes, for tests that must be able to say what no honest client would. Deliberately independent of
 * mqtt-packet and of the broker's own codec, and deliberately without validation.
 */

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;

export type Bytes = string | Uint8Array;
/** 3 is MQTT 3.1 (`MQIsdp`), 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type Level = 3 | 4 | 5;

export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit | 128 : digit);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A string, or any bytes in its place, behind a two-byte length. */
export function field(value: Bytes): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  return Buffer.concat([u16(bytes.length), bytes]);
}

/** One whole packet: the first byte as given, the remaining length as it is. */
export function packet(head: number, ...body: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(body);
  return Buffer.concat([Buffer.from([head]), varint(bytes.length), bytes]);
}

export interface WillOptions {
  readonly topic: Bytes;
  readonly payload?: Bytes;
  readonly qos?: number;
  readonly retain?: boolean;
  /** Of MQTT 5, with their length; none unless given. */
  readonly propertyBlock?: Uint8Array | undefined;
}

export interface ConnectOptions {
  readonly level?: Level;
  readonly clientId?: Bytes;
  readonly clean?: boolean;
  readonly keepaliveSeconds?: number;
  readonly login?: Bytes | undefined;
  readonly password?: Bytes | undefined;
  readonly will?: WillOptions | undefined;
  /** What the packet would not say by itself, for the tests of refusals. */
  /** Of MQTT 5, with their length; none unless given. */
  readonly propertyBlock?: Uint8Array | undefined;
  readonly protocolName?: Bytes;
  readonly levelByte?: number;
  readonly flags?: number;
}

export function connect(options: ConnectOptions = {}): Buffer {
  const { level = 4, clean = true, login, password, will } = options;
  let flags = clean ? 0x02 : 0;
  if (will) flags |= 0x04 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (login !== undefined) flags |= 0x80;
  const block = (bytes: Uint8Array = varint(0)) => (level === 5 ? [bytes] : []);
  const body = [
    field(options.protocolName ?? (level === 3 ? 'MQIsdp' : 'MQTT')),
    Buffer.from([options.levelByte ?? level, options.flags ?? flags]),
    u16(options.keepaliveSeconds ?? 60),
    ...block(options.propertyBlock),
    field(options.clientId ?? ''),
  ];
  if (will) body.push(...block(will.propertyBlock), field(will.topic), field(will.payload ?? ''));
  if (login !== undefined) body.push(field(login));
  if (password !== undefined) body.push(field(password));
  return packet(0x10, ...body);
}

export interface PublishOptions {
  readonly qos?: number;
  readonly id?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
}

export function publish(topic: Bytes, payload: Bytes = '', options: PublishOptions = {}): Buffer {
  const { qos = 0, id, retain = false, dup = false } = options;
  const head = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const identifier = id === undefined ? [] : [u16(id)];
  return packet(head, field(topic), ...identifier, Buffer.from(payload as Uint8Array));
}

export const puback = (id: number): Buffer => packet(0x40, u16(id));
export const pubrec = (id: number): Buffer => packet(0x50, u16(id));
export const pubrel = (id: number): Buffer => packet(0x62, u16(id));
export const pubcomp = (id: number): Buffer => packet(0x70, u16(id));
export const pingreq = (): Buffer => packet(0xc0);
export const disconnect = (): Buffer => packet(0xe0);

export const subscribe = (id: number, ...filters: readonly (readonly [filter: Bytes, qos: number])[]): Buffer =>
  packet(0x82, u16(id), ...filters.flatMap(([filter, qos]) => [field(filter), Buffer.from([qos])]));

export const unsubscribe = (id: number, ...filters: readonly Bytes[]): Buffer =>
  packet(0xa2, u16(id), ...filters.map((filter) => field(filter)));

/** A packet as it came in. */
export interface Packet {
  readonly type: number;
  /** The low four bits of the first byte. */
  readonly flags: number;
  /** What follows the remaining length. */
  readonly body: Buffer;
}

export interface Message {
  readonly topic: string;
  readonly payload: string;
  readonly payloadBytes: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 at QoS 0. */
  readonly id: number;
}

/** Reads a PUBLISH of MQTT 3.1 or 3.1.1. */
export const readMessage = (published: Packet): Message => messageIn(published, (at) => at);

/** `payloadStart` tells where the payload begins, given where it would without properties before it. */
export function messageIn({ type, flags, body }: Packet, payloadStart: (at: number) => number): Message {
  if (type !== PUBLISH) throw new Error(`Expected a PUBLISH, got packet type ${type}: ${body.toString('hex')}`);
  const topicEnd = 2 + body.readUInt16BE(0);
  const qos = (flags >> 1) & 3;
  const payloadBytes = body.subarray(payloadStart(qos > 0 ? topicEnd + 2 : topicEnd));
  return {
    topic: body.toString('utf8', 2, topicEnd),
    payload: payloadBytes.toString('utf8'),
    payloadBytes,
    qos,
    retain: (flags & 1) === 1,
    dup: (flags & 8) === 8,
    id: qos > 0 ? body.readUInt16BE(topicEnd) : 0,
  };
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(bytes: Buffer): Generator<Packet> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      let length = 0;
      let digits = 0;
      for (;;) {
        const byte = this.#rest[1 + digits];
        if (byte === undefined) return;
        length += (byte & 127) * 128 ** digits;
        digits += 1;
        if ((byte & 128) === 0) break;
        if (digits === 4) throw new Error('The broker sent a remaining length of more than four bytes');
      }
      const end = 1 + digits + length;
      if (this.#rest.length < end) return;
      const head = this.#rest[0] ?? 0;
      const body = this.#rest.subarray(1 + digits, end);
      this.#rest = this.#rest.subarray(end);
      yield { type: head >> 4, flags: head & 15, body };
    }
  }
}
