import AsyncLevelPersistence, {
  type LibraryPacket,
  type LibrarySubscription,
} from 'aedes-persistence-level/asyncPersistence.js';
import type { OutgoingRecord, StoredSubscription } from './contract.js';
import type { Database } from './database.js';
import { clientPrefix, type KeyRange, loginOf, padNumber, RETAINED, rangeOf, splitClientKey } from './keys.js';
import type { MigrationContext } from './migration.js';
import { encodeOutgoing, encodeReleased, encodeRetained, encodeSession, encodeSubscription } from './rows.js';

/**
 * Version 0 is what aedes-persistence-level 9 writes by itself: MessagePack, queues by broker id and counter, a second
 * copy of each message by packet id, and no rows for sessions. A session's owner is known only where client ids are
 * `login/id`; the rows of others cannot be given to anybody and go.
 */
export async function migrateFromLibrary(context: MigrationContext): Promise<void> {
  const { db, batch, log, clock } = context;
  const library = new AsyncLevelPersistence(readOnly(db));
  for await (const packet of library.createRetainedStream('#') as AsyncIterable<LibraryPacket>) {
    const { topic, qos } = packet;
    const message = {
      topic,
      qos,
      payload: Buffer.from(packet.payload),
      properties: null,
      expiresAt: null,
      storedAt: clock.epochMs(),
      owner: null,
    };
    batch.put(RETAINED + topic, encodeRetained(message));
  }
  const clients = new Set<string>();
  const dropped = new Set<string>();
  for (const kind of ['subscriptions', 'outgoing', 'incoming'] as const) {
    for await (const [key] of db.iterator(rangeOf(`${kind}:`))) {
      const clientId = decodeURIComponent(splitClientKey(key, kind).encodedId);
      const owned = loginOf(clientId) !== '';
      (owned ? clients : dropped).add(clientId);
      if (!owned || kind === 'outgoing') batch.del(key);
    }
  }
  for await (const [key] of db.iterator(rangeOf('outgoing-id:'))) batch.del(key);
  for (const clientId of clients) {
    const now = clock.epochMs();
    const times = { createdAt: now, lastSeenAt: now, expiresAt: now + context.sessionExpiryMs };
    const session = {
      clientId,
      login: loginOf(clientId),
      protocol: 4,
      ...times,
      expiryMs: null,
      sentSeq: null,
    } as const;
    batch.put(clientPrefix('session', clientId), encodeSession(session));
    for (const subscription of await library.subscriptionsByClient({ id: clientId })) {
      const key = clientPrefix('subscriptions', clientId) + subscription.topic;
      batch.put(key, encodeSubscription(fromLibrary(subscription)));
    }
    const packets: LibraryPacket[] = [];
    for await (const packet of library.outgoingStream({ id: clientId })) packets.push(packet);
    for (const record of numbered(packets)) {
      const value = record.released ? encodeReleased(record.packetId) : encodeOutgoing(record);
      batch.put(clientPrefix('outgoing', clientId) + padNumber(record.seq), value);
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
