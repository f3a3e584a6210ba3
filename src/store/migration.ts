import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { OutgoingRecord, RetainedMessage, SessionRecord, StoredSubscription } from './contract.js';
import type { Database, DatabaseBatch } from './database.js';
import { contentKey, RETAINED } from './keys.js';
import { contentBytes, encodeContent, encodeOutgoing, encodeReleased } from './outgoing-rows.js';
import { encodeRetained, encodeSession, encodeSubscription, INCOMING_VALUE } from './rows.js';
import { SessionRows } from './session-rows.js';
import { APART_BYTES } from './shared-contents.js';

export interface MigrationContext {
  readonly db: Database;
  readonly rows: NewRows;
  readonly log: Log;
  readonly clock: Clock;
  /** What a session that tells no expiry gets. */
  readonly sessionExpiryMs: number;
}

/** Written at once. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_ROWS = 20_000;
const PROGRESS_MS = 5_000;

/** What a migration makes: rows of today's layout, written a few at a time beside the former ones. */
export class NewRows {
  readonly #db: Database;
  readonly #log: Log;
  readonly #clock: Clock;
  #batch: DatabaseBatch;
  #batchRows = 0;
  #batchBytes = 0;
  #session = new SessionRows(0);
  #lastContent = 0;
  #written = 0;
  #toldMs: number;

  constructor({ db, log, clock }: { db: Database; log: Log; clock: Clock }) {
    this.#db = db;
    this.#log = log;
    this.#clock = clock;
    this.#batch = db.batch();
    this.#toldMs = clock.monotonicMs();
  }

  /** What follows belongs to it. */
  async session(record: SessionRecord): Promise<void> {
    this.#session = new SessionRows(this.#session.number + 1);
    await this.#put(this.#session.key, encodeSession(record));
  }

  async subscription(subscription: StoredSubscription): Promise<void> {
    await this.#put(this.#session.subscription(subscription.filter), encodeSubscription(subscription));
  }

  async incoming(packetId: number): Promise<void> {
    await this.#put(this.#session.incoming(packetId), INCOMING_VALUE);
  }

  async outgoing(record: OutgoingRecord): Promise<void> {
    let contentId = 0;
    if (!record.released && contentBytes(record) >= APART_BYTES) {
      contentId = ++this.#lastContent;
      await this.#put(contentKey(contentId), encodeContent(record));
    }
    const value = record.released ? encodeReleased(record.packetId) : encodeOutgoing(record, contentId);
    await this.#put(this.#session.message(record.seq), value);
  }

  async retained(message: RetainedMessage): Promise<void> {
    await this.#put(RETAINED + message.topic, encodeRetained(message));
  }

  /** The last of them are written, with the rows that say so. */
  async end(last: ReadonlyMap<string, Buffer>): Promise<number> {
    for (const [key, value] of last) this.#batch.put(key, value);
    await this.#batch.write({ sync: true });
    return this.#written + this.#batchRows;
  }

  async #put(key: string, value: Buffer): Promise<void> {
    this.#batch.put(key, value);
    this.#batchRows++;
    this.#batchBytes += key.length + value.length;
    if (this.#batchRows < BATCH_ROWS && this.#batchBytes < BATCH_BYTES) return;
    // Synced: what is written last must not be on disk before the rest.
    await this.#batch.write({ sync: true });
    this.#batch = this.#db.batch();
    this.#written += this.#batchRows;
    this.#batchRows = 0;
    this.#batchBytes = 0;
    if (this.#clock.monotonicMs() - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = this.#clock.monotonicMs();
    this.#log.info({ rows: this.#written }, 'the store is being migrated');
  }
}
