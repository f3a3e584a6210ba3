import AsyncLevelPersistence, {
  type LibraryPacket,
  type LibrarySubscription,
} from 'aedes-persistence-level/asyncPersistence.js';
import type { OutgoingRecord, StoredSubscription } from './contract.js';
import type { Database } from './database.js';
import { type KeyRange, loginOf, rangeOf } from './keys.js';
import { splitClientKey } from './keys-version-1.js';
import type { MigrationContext } from './migration.js';

/**
 * Version 0 is what aedes-persistence-level 9 writes by itself: MessagePack, queues by broker id and counter, a second
 * copy of each message by packet id, and no rows for sessions. A session's owner is known only where client ids are
 * `login/id`; the rows of others cannot be given to anybody and stay behind.
 */
export async function copyVersion0({ db, rows, log, clock, sessionExpiryMs }: MigrationContext): Promise<void> {
  const library = new AsyncLevelPersistence(readOnly(db));
  for await (const packet of library.createRetainedStream('#') as AsyncIterable<LibraryPacket>) {
    const { topic, qos } = packet;
    const payload = Buffer.from(packet.payload);
    await rows.retained({
      topic,
      qos,
      payload,
      properties: null,
      expiresAt: null,
      storedAt: clock.epochMs(),
      owner: null,
    });
  }
  const clients = new Set<string>();
  const dropped = new Set<string>();
  for (const kind of ['subscriptions', 'outgoing', 'incoming'] as const) {
    for await (const [key] of db.iterator(rangeOf(`${kind}:`))) {
      const clientId = decodeURIComponent(splitClientKey(key, kind).encodedId);
      (loginOf(clientId) === '' ? dropped : clients).add(clientId);
    }
  }
  for (const clientId of clients) {
    const now = clock.epochMs();
    const times = { createdAt: now, lastSeenAt: now, expiresAt: now + sessionExpiryMs };
    await rows.session({ clientId, login: loginOf(clientId), protocol: 4, ...times, expiryMs: null, sentSeq: null });
    for (const subscription of await library.subscriptionsByClient({ id: clientId })) {
      await rows.subscription(fromLibrary(subscription));
    }
    const packets: LibraryPacket[] = [];
    for await (const packet of library.outgoingStream({ id: clientId })) packets.push(packet);
    for (const record of numbered(packets)) await rows.outgoing(record);
    for await (const [key] of db.iterator(rangeOf(`incoming:${encodeURIComponent(clientId)}:`))) {
      await rows.incoming(Number(splitClientKey(key, 'incoming').rest));
    }
  }
  if (dropped.size > 0) log.warn({ clients: dropped.size }, 'sessions that belong to no login were left behind');
}

/** The queue in its order, where messages that were never sent get packet ids that are free. */
function numbered(packets: readonly LibraryPacket[]): OutgoingRecord[] {
  const taken = new Set(packets.map(({ messageId }) => messageId));
  let free = 1;
  return packets.map((packet, index) => {
    while (!packet.messageId && taken.has(free)) free++;
    return {
      seq: index + 1,
      packetId: packet.messageId || free++,
      qos: packet.qos === 2 || packet.cmd === 'pubrel' ? 2 : 1,
      retain: packet.retain,
      released: packet.cmd === 'pubrel',
      identifiers: null,
      topic: packet.topic,
      payload: Buffer.from(packet.payload ?? ''),
      properties: null,
      expiresAt: null,
    };
  });
}

/** The options byte of MQTT 5: no local, retain as published, retain handling (two bits). */
function fromLibrary(subscription: LibrarySubscription): StoredSubscription {
  const { topic, qos, nl, rap, rh, subscriptionIdentifier } = subscription;
  const options = (nl ? 1 << 2 : 0) | (rap ? 1 << 3 : 0) | ((rh ?? 0) << 4);
  return { filter: topic, qos, options, identifier: subscriptionIdentifier ?? null };
}

/** As much of abstract-level as the library needs for reading. */
const readOnly = (db: Database) => ({
  get: (key: string) => db.get(key),
  async *values(range: KeyRange) {
    for await (const [, value] of db.iterator(range)) yield value;
  },
});
