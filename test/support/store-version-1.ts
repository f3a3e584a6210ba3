import type { SessionRecord, StoredSubscription } from '../../src/store/contract.js';

/** What a session had in the stores of schema version 1. */
export interface FormerSession {
  readonly session: SessionRecord;
  readonly subscriptions: StoredSubscription[];
  readonly outgoing: readonly FormerMessage[];
  readonly incoming: number[];
}

export interface FormerMessage {
  readonly seq: number;
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly released: boolean;
  readonly topic: string;
  readonly payload: Buffer;
  readonly properties: Buffer | null;
}

const pad = (value: number): string => String(value).padStart(16, '0');

function double(value: number | null): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value ?? Number.NaN);
  return bytes;
}

const number = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};

/** The rows of a session, as the release of that time wrote them. Its first rows had no `sentSeq`. */
export function* formerRows({
  session,
  subscriptions,
  outgoing,
  incoming,
}: FormerSession): Generator<[string, Buffer]> {
  const id = encodeURIComponent(session.clientId);
  const { protocol, createdAt, lastSeenAt, expiresAt, sentSeq } = session;
  const times = [double(createdAt), double(lastSeenAt), double(expiresAt)];
  const head =
    sentSeq === null ? [Buffer.from([1, protocol]), ...times] : [Buffer.from([2, protocol]), ...times, double(sentSeq)];
  yield [`session:${id}:`, Buffer.concat([...head, Buffer.from(session.login)])];
  for (const { filter, qos, options, identifier } of subscriptions) {
    yield [
      `subscriptions:${id}:${filter}`,
      Buffer.concat([Buffer.from([1, qos, options]), number(identifier ?? 0, 4)]),
    ];
  }
  for (const message of outgoing) yield [`outgoing:${id}:${pad(message.seq)}`, formerMessage(message)];
  for (const packetId of incoming) yield [`incoming:${id}:${pad(packetId)}`, Buffer.from([0xc0])];
}

function formerMessage({ packetId, qos, retain, released, topic, payload, properties }: FormerMessage): Buffer {
  if (released) return Buffer.concat([Buffer.from([1, 0b1010]), number(packetId, 2)]);
  const flags = qos | (retain ? 0b100 : 0) | (properties === null ? 0 : 0b10000);
  const topicBytes = Buffer.from(topic);
  return Buffer.concat([
    ...[Buffer.from([1, flags]), number(packetId, 2), number(topicBytes.length, 2), topicBytes],
    ...(properties === null ? [] : [number(properties.length, 4), properties]),
    payload,
  ]);
}

/** A retained message's row: the first ones had no owner. */
export function formerRetained(topic: string, payload: Buffer, owner: string | null): [string, Buffer] {
  const ownerBytes = Buffer.from(owner ?? '');
  const head = [Buffer.from([owner === null ? 1 : 2, 1]), double(1_700_000_000_000)];
  if (owner !== null) head.push(number(ownerBytes.length, 2), ownerBytes);
  return [`retained:${topic}`, Buffer.concat([...head, payload])];
}

export const formerVersion: [string, Buffer] = ['schema:version', Buffer.from('1')];
