import * as mqtt from '../../support/packets.js';
import type { ConnectStep, Level, PacketStep, PropertyRow, PublishStep } from './program.js';
import { type Names, oneText, texts } from './text.js';

/** What the connection knows that sends. */
export interface Sender {
  readonly level: Level;
  readonly names: Names;
  nextId(): number;
  /** That many answers of this type have to come. */
  expect(type: number, count: number): void;
}

/** Small packets are sent together, as a client would that wants to be quick. */
const blockBytes = 16 * 1024;

export function connectPacket(step: ConnectStep, names: Names, clientId: string, password: string): Buffer {
  const { will } = step;
  return mqtt.connect({
    level: step.level ?? 4,
    clientId,
    clean: step.clean ?? true,
    keepaliveSeconds: step.keepaliveSeconds ?? 0,
    propertyBlock: propertyBlock(step.properties),
    login: step.login === undefined ? names.user : oneText(step.login, names),
    password: step.password ?? password,
    will: will && {
      topic: oneText(will.topic, names),
      payload: payload(will.bytes ?? 0),
      qos: will.qos ?? 0,
      retain: will.retain ?? false,
    },
  });
}

/** The bytes of a step, in blocks. A text that is too long for its length field goes out wrong, as from a bad client. */
export function* blocksOf(step: PacketStep, sender: Sender): Generator<Buffer[]> {
  let block: Buffer[] = [];
  let bytes = 0;
  for (const part of partsOf(step, sender)) {
    block.push(part);
    bytes += part.length;
    if (bytes < blockBytes) continue;
    yield joined(block);
    block = [];
    bytes = 0;
  }
  if (bytes > 0) yield joined(block);
}

/** One write for many small parts; large ones are not copied. */
const joined = (parts: Buffer[]): Buffer[] =>
  parts.every(({ length }) => length < blockBytes) ? [Buffer.concat(parts)] : parts;

function* partsOf(step: PacketStep, sender: Sender): Generator<Buffer> {
  const { level, names } = sender;
  const given = 'properties' in step ? step.properties : undefined;
  const properties = level === 5 ? [propertyBlock(given)] : [];
  switch (step.do) {
    case 'subscribe':
    case 'unsubscribe':
      for (const filters of packs(texts(step.filters, names), step.perPacket)) {
        const subscribes = step.do === 'subscribe';
        const options = step.do === 'subscribe' && level === 5 ? (step.options ?? 0) : 0;
        const qos = step.do === 'subscribe' ? [Buffer.from([(step.qos ?? 0) | options])] : [];
        const body = filters.flatMap((filter) => [mqtt.field(filter), ...qos]);
        sender.expect(subscribes ? mqtt.SUBACK : mqtt.UNSUBACK, 1);
        yield mqtt.packet(subscribes ? 0x82 : 0xa2, mqtt.u16(sender.nextId()), ...properties, ...body);
      }
      return;
    case 'publish':
      yield* publishes(step, sender, properties);
      return;
    case 'ping':
      sender.expect(mqtt.PINGRESP, step.count);
      for (let sent = 0; sent < step.count; sent += blockBytes / 2) {
        yield Buffer.alloc(2 * Math.min(blockBytes / 2, step.count - sent), 'c000', 'hex');
      }
      return;
    case 'raw':
      for (let sent = 0; sent < (step.times ?? 1); sent += 1) yield Buffer.from(step.hex, 'hex');
  }
}

/** The width of a property's number in bytes, by its identifier; of any other it is a variable byte integer or a text. */
const widths: Readonly<Record<number, number>> = { 1: 1, 2: 4, 17: 4, 23: 1, 25: 1, 33: 2, 34: 2, 35: 2, 39: 4 };

/** Properties with their length. */
function propertyBlock(rows: readonly PropertyRow[] = []): Buffer {
  const parts: Buffer[] = [];
  for (const { id, number, bytes = 0, count = 1 } of rows) {
    const text = mqtt.field(payload(bytes));
    let value = id === 38 ? Buffer.concat([mqtt.field('k'), text]) : text;
    if (number !== undefined) {
      const width = widths[id];
      if (width === undefined) value = mqtt.varint(number);
      else {
        value = Buffer.alloc(width);
        value.writeUIntBE(number, 0, width);
      }
    }
    for (let written = 0; written < count; written += 1) parts.push(Buffer.from([id]), value);
  }
  const all = Buffer.concat(parts);
  return Buffer.concat([mqtt.varint(all.length), all]);
}

function* publishes(step: PublishStep, sender: Sender, properties: readonly Buffer[]): Generator<Buffer> {
  const { bytes = 0, qos = 0, retain = false } = step;
  const head = Buffer.from([0x30 | (qos << 1) | (retain ? 1 : 0)]);
  for (const topic of texts(step.topics, sender.names)) {
    if (qos > 0) sender.expect(qos === 1 ? mqtt.PUBACK : mqtt.PUBCOMP, 1);
    const id = qos > 0 ? [mqtt.u16(sender.nextId())] : [];
    const variable = Buffer.concat([mqtt.field(topic), ...id, ...properties]);
    yield Buffer.concat([head, mqtt.varint(variable.length + bytes), variable]);
    yield payload(bytes);
  }
}

function* packs(all: Iterable<string>, size = Number.POSITIVE_INFINITY): Generator<string[]> {
  let pack: string[] = [];
  for (const text of all) {
    pack.push(text);
    if (pack.length < size) continue;
    yield pack;
    pack = [];
  }
  if (pack.length > 0) yield pack;
}

const payloads = new Map<number, Buffer>();
function payload(bytes: number): Buffer {
  const known = payloads.get(bytes) ?? Buffer.alloc(bytes, 'x');
  payloads.set(bytes, known);
  return known;
}
