import type { Log } from '../observe/log.js';
import type {
  OutgoingRecord,
  SessionRecord,
  SessionWriter,
  StoredMessage,
  StoredSession,
  StoredSubscription,
} from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { type ClientKind, clientPrefix, padNumber, rangeOf, splitClientKey } from './keys.js';
import { type Row, RowReader } from './row-reader.js';
import {
  decodeOutgoing,
  decodeSession,
  decodeSubscription,
  encodeOutgoing,
  encodeReleased,
  encodeSession,
  encodeSubscription,
  INCOMING_VALUE,
} from './rows.js';

/** Which rows a session has, so that `remove` can delete all of them in one group without reading. */
class SessionRows {
  readonly subscriptions = new Set<string>();
  readonly outgoing = new Set<number>();
  readonly incoming = new Set<number>();
  gone = false;
}

export class SessionTable {
  readonly group: GroupCommit;
  readonly #log: Log;
  readonly #rows = new Map<string, SessionRows>();

  constructor(options: { group: GroupCommit; log: Log }) {
    this.group = options.group;
    this.#log = options.log;
  }

  writer(clientId: string): StoredSessionWriter {
    return new StoredSessionWriter(this, clientId);
  }

  rowsOf(clientId: string): SessionRows {
    let rows = this.#rows.get(clientId);
    if (rows === undefined) {
      rows = new SessionRows();
      this.#rows.set(clientId, rows);
    }
    return rows;
  }

  forget(clientId: string, rows: SessionRows): void {
    rows.gone = true;
    if (this.#rows.get(clientId) === rows) this.#rows.delete(clientId);
  }

  /** One pass over the four kinds of rows at once: their keys sort by client alike. */
  async *load(): AsyncGenerator<StoredSession> {
    const read = (kind: ClientKind) => new RowReader(this.group.chunks(rangeOf(`${kind}:`)), kind);
    const subscriptions = read('subscriptions');
    const outgoing = read('outgoing');
    const incoming = read('incoming');
    let orphans = 0;
    const orphan = (row: Row) => {
      this.group.delete(row.key);
      orphans++;
    };
    try {
      for await (const [key, value] of this.group.entries(rangeOf('session:'))) {
        const { encodedId } = splitClientKey(key, 'session');
        const clientId = decodeURIComponent(encodedId);
        const rows = this.rowsOf(clientId);
        const stored: StoredSession = {
          session: decodeSession(clientId, value),
          subscriptions: [],
          outgoing: [],
          incoming: [],
        };
        await subscriptions.take(encodedId, orphan, (row) => {
          rows.subscriptions.add(row.rest);
          stored.subscriptions.push(decodeSubscription(row.rest, row.value));
        });
        await outgoing.take(encodedId, orphan, (row) => {
          const seq = Number(row.rest);
          rows.outgoing.add(seq);
          const record = decodeOutgoing(seq, row.value);
          stored.outgoing.push({ ...record, sent: wasSent(record, stored.session) });
        });
        await incoming.take(encodedId, orphan, (row) => {
          rows.incoming.add(Number(row.rest));
          stored.incoming.push(Number(row.rest));
        });
        yield stored;
      }
      for (const reader of [subscriptions, outgoing, incoming]) await reader.rest(orphan);
    } finally {
      for (const reader of [subscriptions, outgoing, incoming]) await reader.close();
    }
    if (orphans > 0) this.#log.warn({ rows: orphans }, 'rows without a session were removed from the store');
  }
}

/** A record that was saved as its client left says what was sent; after it nothing was, until the client came back. */
function wasSent({ seq, released }: OutgoingRecord, { expiresAt, sentSeq }: SessionRecord): StoredMessage['sent'] {
  if (released) return 'yes';
  if (expiresAt === null || sentSeq === null) return 'unknown';
  return seq <= sentSeq ? 'yes' : 'no';
}

/** Several may exist for one session: they share its rows. */
export class StoredSessionWriter implements SessionWriter {
  readonly #table: SessionTable;
  readonly #group: GroupCommit;
  readonly #clientId: string;
  readonly #sessionKey: string;
  readonly #subscriptionPrefix: string;
  readonly #outgoingPrefix: string;
  readonly #incomingPrefix: string;
  #known: SessionRows;

  constructor(table: SessionTable, clientId: string) {
    this.#table = table;
    this.#group = table.group;
    this.#clientId = clientId;
    this.#sessionKey = clientPrefix('session', clientId);
    this.#subscriptionPrefix = clientPrefix('subscriptions', clientId);
    this.#outgoingPrefix = clientPrefix('outgoing', clientId);
    this.#incomingPrefix = clientPrefix('incoming', clientId);
    this.#known = NO_ROWS;
  }

  #rows(): SessionRows {
    if (this.#known.gone) this.#known = this.#table.rowsOf(this.#clientId);
    return this.#known;
  }

  save(record: SessionRecord): void {
    this.#rows();
    this.#group.put(this.#sessionKey, encodeSession(record));
  }

  subscribe(subscriptions: readonly StoredSubscription[]): void {
    for (const subscription of subscriptions) {
      this.#rows().subscriptions.add(subscription.filter);
      this.#group.put(this.#subscriptionPrefix + subscription.filter, encodeSubscription(subscription));
    }
  }

  unsubscribe(filters: readonly string[]): void {
    for (const filter of filters) {
      this.#rows().subscriptions.delete(filter);
      this.#group.delete(this.#subscriptionPrefix + filter);
    }
  }

  putOutgoing(record: OutgoingRecord): void {
    const { outgoing } = this.#rows();
    const before = outgoing.size;
    outgoing.add(record.seq);
    const value = encodeOutgoing(record);
    this.#group.put(this.#outgoingPrefix + padNumber(record.seq), value, outgoing.size > before);
  }

  releaseOutgoing(record: OutgoingRecord): void {
    const { outgoing } = this.#rows();
    const before = outgoing.size;
    outgoing.add(record.seq);
    const value = encodeReleased(record.packetId);
    this.#group.put(this.#outgoingPrefix + padNumber(record.seq), value, outgoing.size > before);
  }

  deleteOutgoing(seq: number): void {
    if (this.#rows().outgoing.delete(seq)) this.#group.delete(this.#outgoingPrefix + padNumber(seq));
  }

  putIncoming(packetId: number): void {
    const { incoming } = this.#rows();
    const before = incoming.size;
    incoming.add(packetId);
    this.#group.put(this.#incomingPrefix + padNumber(packetId), INCOMING_VALUE, incoming.size > before);
  }

  deleteIncoming(packetId: number): void {
    if (this.#rows().incoming.delete(packetId)) this.#group.delete(this.#incomingPrefix + padNumber(packetId));
  }

  remove(): void {
    const rows = this.#rows();
    this.#group.delete(this.#sessionKey);
    this.unsubscribe([...rows.subscriptions]);
    for (const seq of rows.outgoing) this.#group.delete(this.#outgoingPrefix + padNumber(seq));
    for (const packetId of rows.incoming) this.#group.delete(this.#incomingPrefix + padNumber(packetId));
    this.#table.forget(this.#clientId, rows);
  }
}

/** Of a writer that has written nothing yet: sessions that are only looked at cost the table nothing. */
const NO_ROWS = new SessionRows();
NO_ROWS.gone = true;
