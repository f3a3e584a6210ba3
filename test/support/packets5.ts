import * as mqtt from './packets.js';
import { type Bytes, field, type Packet, packet, u16, varint, type WillOptions } from './packets.js';

/*
 * Packets of MQTT 5 as bytes, beside those of earlier versions in packets.ts: independent of the broker's own codec, and
 * without validation.
 */

export const AUTH = 15;

/** One property: its identifier and its value's bytes. */
export type Property = readonly [id: number, value: Uint8Array];

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Properties by their names in the standard. */
export const p = {
  payloadFormat: (value: number): Property => [0x01, Buffer.from([value])],
  messageExpiry: (seconds: number): Property => [0x02, u32(seconds)],
  contentType: (value: Bytes): Property => [0x03, field(value)],
  responseTopic: (value: Bytes): Property => [0x08, field(value)],
  correlationData: (value: Bytes): Property => [0x09, field(value)],
  subscriptionIdentifier: (value: number): Property => [0x0b, varint(value)],
  sessionExpiry: (seconds: number): Property => [0x11, u32(seconds)],
  assignedClientIdentifier: (value: Bytes): Property => [0x12, field(value)],
  serverKeepAlive: (seconds: number): Property => [0x13, u16(seconds)],
  authenticationMethod: (value: Bytes): Property => [0x15, field(value)],
  authenticationData: (value: Bytes): Property => [0x16, field(value)],
  requestProblemInformation: (value: number): Property => [0x17, Buffer.from([value])],
  willDelay: (seconds: number): Property => [0x18, u32(seconds)],
  requestResponseInformation: (value: number): Property => [0x19, Buffer.from([value])],
  responseInformation: (value: Bytes): Property => [0x1a, field(value)],
  serverReference: (value: Bytes): Property => [0x1c, field(value)],
  reasonString: (value: Bytes): Property => [0x1f, field(value)],
  receiveMaximum: (value: number): Property => [0x21, u16(value)],
  topicAliasMaximum: (value: number): Property => [0x22, u16(value)],
  topicAlias: (value: number): Property => [0x23, u16(value)],
  maximumQos: (value: number): Property => [0x24, Buffer.from([value])],
  userProperty: (name: Bytes, value: Bytes): Property => [0x26, Buffer.concat([field(name), field(value)])],
  maximumPacketSize: (value: number): Property => [0x27, u32(value)],
} as const;

export function properties(list: readonly Property[] = []): Buffer {
  const bytes = Buffer.concat(list.flatMap(([id, value]) => [Buffer.from([id]), value]));
  return Buffer.concat([varint(bytes.length), bytes]);
}

export interface Connect5Options {
  readonly clientId?: Bytes;
  readonly cleanStart?: boolean;
  readonly keepaliveSeconds?: number;
  readonly login?: Bytes | undefined;
  readonly password?: Bytes | undefined;
  readonly will?: (WillOptions & { readonly properties?: readonly Property[] }) | undefined;
  readonly properties?: readonly Property[];
  readonly flags?: number;
}

export function connect({ cleanStart, will, properties: own, ...options }: Connect5Options = {}): Buffer {
  return mqtt.connect({
    ...options,
    level: 5,
    clean: cleanStart ?? true,
    propertyBlock: properties(own),
    will: will && { ...will, propertyBlock: properties(will.properties) },
  });
}

export interface Publish5Options {
  readonly qos?: number;
  readonly id?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: readonly Property[];
}

export function publish(topic: Bytes, payload: Bytes = '', options: Publish5Options = {}): Buffer {
  const { qos = 0, id, retain = false, dup = false } = options;
  const head = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const identifier = id === undefined ? [] : [u16(id)];
  return packet(head, field(topic), ...identifier, properties(options.properties), Buffer.from(payload as Uint8Array));
}

/** Without a reason code: success. */
const acknowledgement =
  (head: number) =>
  (id: number, code?: number, list?: readonly Property[]): Buffer =>
    packet(
      head,
      u16(id),
      ...(code === undefined ? [] : [Buffer.from([code])]),
      ...(list === undefined ? [] : [properties(list)]),
    );
export const puback = acknowledgement(0x40);
export const pubrec = acknowledgement(0x50);
export const pubrel = acknowledgement(0x62);
export const pubcomp = acknowledgement(0x70);

export const auth = (code = 0x18, list: readonly Property[] = []): Buffer =>
  packet(0xf0, Buffer.from([code]), properties(list));

export const disconnect = (code?: number, list?: readonly Property[]): Buffer =>
  packet(0xe0, ...(code === undefined ? [] : [Buffer.from([code])]), ...(list === undefined ? [] : [properties(list)]));

export function subscribe(
  id: number,
  filters: readonly (readonly [filter: Bytes, options: number])[],
  list: readonly Property[] = [],
): Buffer {
  const each = filters.flatMap(([filter, options]) => [field(filter), Buffer.from([options])]);
  return packet(0x82, u16(id), properties(list), ...each);
}

export const unsubscribe = (id: number, filters: readonly Bytes[], list: readonly Property[] = []): Buffer =>
  packet(0xa2, u16(id), properties(list), ...filters.map((filter) => field(filter)));

/** Properties as they were read: numbers, strings and bytes by their names; user properties in order. */
export interface ReadProperties {
  readonly payloadFormat?: number;
  readonly messageExpiry?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly subscriptionIdentifiers?: number[];
  readonly sessionExpiry?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly responseInformation?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumPacketSize?: number;
  readonly user?: [string, string][];
  readonly [other: string]: unknown;
}

const names: Record<number, readonly [name: string, type: 1 | 2 | 4 | 'varint' | 'text' | 'bytes' | 'pair']> = {
  1: ['payloadFormat', 1],
  2: ['messageExpiry', 4],
  3: ['contentType', 'text'],
  8: ['responseTopic', 'text'],
  9: ['correlationData', 'bytes'],
  11: ['subscriptionIdentifiers', 'varint'],
  17: ['sessionExpiry', 4],
  18: ['assignedClientIdentifier', 'text'],
  19: ['serverKeepAlive', 2],
  21: ['authenticationMethod', 'text'],
  24: ['willDelay', 4],
  26: ['responseInformation', 'text'],
  28: ['serverReference', 'text'],
  31: ['reasonString', 'text'],
  33: ['receiveMaximum', 2],
  34: ['topicAliasMaximum', 2],
  35: ['topicAlias', 2],
  36: ['maximumQos', 1],
  37: ['retainAvailable', 1],
  38: ['user', 'pair'],
  39: ['maximumPacketSize', 4],
  40: ['wildcardSubscriptionAvailable', 1],
  41: ['subscriptionIdentifierAvailable', 1],
  42: ['sharedSubscriptionAvailable', 1],
};

function readVarint(body: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; ; i++) {
    const byte = body[at + i];
    if (byte === undefined || i > 3) throw new Error('The broker sent a variable byte integer that does not end');
    value += (byte & 127) * 128 ** i;
    if (byte < 128) return { value, end: at + i + 1 };
  }
}

/** Reads the properties that begin, with their length, at `at`. */
export function readProperties(body: Buffer, at: number): { properties: ReadProperties; end: number } {
  const { value: length, end: start } = readVarint(body, at);
  const end = start + length;
  if (end > body.length) throw new Error('The broker sent properties that are longer than their packet');
  const read: Record<string, unknown> = {};
  let i = start;
  const text = (): Buffer => {
    const from = i + 2;
    i = from + body.readUInt16BE(i);
    return body.subarray(from, i);
  };
  while (i < end) {
    const [name, type] = names[body[i]!] ?? [];
    if (name === undefined) throw new Error(`The broker sent the unknown property ${body[i]}`);
    if (read[name] !== undefined && name !== 'user' && name !== 'subscriptionIdentifiers') {
      throw new Error(`The broker sent ${name} twice`);
    }
    i++;
    if (type === 1 || type === 2 || type === 4) {
      read[name] = body.readUIntBE(i, type);
      i += type;
    } else if (type === 'varint') {
      const { value, end: next } = readVarint(body, i);
      read[name] = [...((read[name] as number[]) ?? []), value];
      i = next;
    } else if (type === 'pair') {
      read[name] = [...((read[name] as unknown[]) ?? []), [text().toString(), text().toString()]];
    } else read[name] = text().toString(type === 'bytes' ? 'latin1' : 'utf8');
  }
  if (i !== end) throw new Error('The broker sent properties that end in the middle of one');
  return { properties: read, end };
}

/** Reason code and properties of PUBACK, PUBREC, PUBREL, PUBCOMP. */
export function readAcknowledgement({ body }: Packet): { id: number; code: number; properties: ReadProperties } {
  const id = body.readUInt16BE(0);
  const code = body.length > 2 ? body[2]! : 0;
  return { id, code, properties: body.length > 3 ? readProperties(body, 3).properties : {} };
}

/** Reason code and properties of DISCONNECT. */
export function readDisconnect({ body }: Packet): { code: number; properties: ReadProperties } {
  return { code: body[0] ?? 0, properties: body.length > 1 ? readProperties(body, 1).properties : {} };
}

/** SUBACK and UNSUBACK. */
export function readAnswers({ body }: Packet): { id: number; codes: number[]; properties: ReadProperties } {
  const { properties: read, end } = readProperties(body, 2);
  return { id: body.readUInt16BE(0), codes: [...body.subarray(end)], properties: read };
}

export interface Message5 extends mqtt.Message {
  readonly properties: ReadProperties;
}

export function readMessage(published: Packet): Message5 {
  let read: ReadProperties = {};
  const message = mqtt.messageIn(published, (at) => {
    const { properties: found, end } = readProperties(published.body, at);
    read = found;
    return end;
  });
  return { ...message, properties: read };
}
