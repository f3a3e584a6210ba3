import type { Database } from './database.js';
import { rangeOf } from './keys.js';
import { FORMER_RETAINED, splitClientKey } from './keys-version-1.js';
import type { MigrationContext } from './migration.js';
import { decodeHead, messageIn, recordOf } from './outgoing-rows.js';
import { type Row, RowReader } from './row-reader.js';
import { decodeRetained, decodeSession, decodeSubscription } from './rows.js';

const CHUNK_ROWS = 1_000;
const CHUNK_BYTES = 64 * 1024;

/**
 * Version 1 has the percent-encoded client id in every key, kind by kind, and every message in each queue's own row. One
 * pass over the four kinds of rows at once: their keys sort by client alike. Rows without a session stay behind.
 */
export async function copyVersion1({ db, rows }: MigrationContext): Promise<void> {
  for await (const [key, value] of entriesOf(db, FORMER_RETAINED)) {
    await rows.retained(decodeRetained(key.slice(FORMER_RETAINED.length), value));
  }
  const readers = (['subscriptions', 'outgoing', 'incoming'] as const).map(
    (kind) => new RowReader(chunksOf(db, `${kind}:`), kind),
  );
  const [subscriptions, outgoing, incoming] = readers as [RowReader, RowReader, RowReader];
  try {
    for await (const [key, value] of entriesOf(db, 'session:')) {
      const { encodedId } = splitClientKey(key, 'session');
      await rows.session(decodeSession(value, decodeURIComponent(encodedId)));
      for (let row = await subscriptions.next(encodedId); row !== null; row = await subscriptions.next(encodedId)) {
        await rows.subscription(decodeSubscription(row.rest, row.value));
      }
      for (let row = await outgoing.next(encodedId); row !== null; row = await outgoing.next(encodedId)) {
        await rows.outgoing(messageOf(row));
      }
      for (let row = await incoming.next(encodedId); row !== null; row = await incoming.next(encodedId)) {
        await rows.incoming(Number(row.rest));
      }
    }
  } finally {
    for (const reader of readers) await reader.close();
  }
}

export function messageOf({ rest, value }: Pick<Row, 'rest' | 'value'>) {
  const head = decodeHead(value);
  return recordOf(Number(rest), head, messageIn(value, head));
}

async function* chunksOf(db: Database, prefix: string): AsyncGenerator<[string, Buffer][]> {
  const iterator = db.iterator({ ...rangeOf(prefix), highWaterMarkBytes: CHUNK_BYTES });
  try {
    for (let rows = await iterator.nextv(CHUNK_ROWS); rows.length > 0; rows = await iterator.nextv(CHUNK_ROWS)) {
      yield rows;
    }
  } finally {
    await iterator.close();
  }
}

async function* entriesOf(db: Database, prefix: string): AsyncGenerator<[string, Buffer]> {
  for await (const rows of chunksOf(db, prefix)) yield* rows;
}
