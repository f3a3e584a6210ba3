import type pg from 'pg';
import { UsageError } from '../../errors.js';
import type { Database, DatabaseBatch, ReadOptions, RowIterator } from '../database.js';
import { SCHEMA_VERSION, storedVersion } from '../schema.js';
import { iteratorOf, sortedRows } from './row-cursor.js';
import { isSchemaKey, placementOf, slotOfKey, slotOfRange } from './slots.js';

const everything = placementOf(1, 0, () => '');

/**
 * All rows as they are at one moment, beside the brokers that have them: nothing is locked, and nothing is written, also
 * when the store would tidy up.
 */
export class ReadingDatabase implements Database {
  readonly slotted = true;
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Throws when there is nothing, or nothing that this release can read without migrating it. */
  static async open(client: pg.Client): Promise<ReadingDatabase> {
    await client.query('begin isolation level repeatable read read only');
    const { rows } = await client.query("select to_regclass('iotlab_rows') is not null as made");
    const db = new ReadingDatabase(client);
    const version = rows[0].made === true ? await storedVersion(db, 'storage.url') : null;
    if (version === SCHEMA_VERSION) return db;
    await db.close();
    throw new UsageError(
      version === null
        ? 'storage.url: there is no store. It is made when the broker starts.'
        : `storage.url: the store has schema version ${version}, and this release reads ${SCHEMA_VERSION}: start this broker once.`,
      { code: 'E_STORE_OPEN' },
    );
  }

  async get(key: string): Promise<Buffer | undefined> {
    const values = [isSchemaKey(key) ? everything.slots : [slotOfKey(key, everything)], key];
    const text = 'select value from iotlab_rows where slot = any($1) and key = $2 limit 1';
    const { rows } = await this.#client.query({ text, values });
    return rows[0]?.value;
  }

  iterator(options: ReadOptions): RowIterator {
    const slot = slotOfRange(options);
    return iteratorOf(sortedRows(this.#client, options, slot === null ? everything.slots : [slot]));
  }

  batch(): DatabaseBatch {
    return { put: () => {}, del: () => {}, write: async () => {} };
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}
