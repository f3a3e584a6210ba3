import type { Clock } from '../clock.js';
import { Fault, UsageError } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { Database } from './database.js';
import { CONTENTS, RETAINED, rangeOf, SCHEMA_KEY, SESSIONS } from './keys.js';
import { FORMER_PREFIXES } from './keys-version-1.js';
import { copyVersion0 } from './migrate-version-0.js';
import { copyVersion1 } from './migrate-version-1.js';
import { type MigrationContext, NewRows } from './migration.js';

/** The version of the layout that this code writes. */
export const SCHEMA_VERSION = 3;

/** There as long as rows of a former version are. */
const FORMER_KEY = 'schema:former';
const DELETED_AT_ONCE = 10_000;

/** What has its rows where they are by now; version 3 knows more kinds of them. */
const SAME_ROWS = 2;

/** By the version they start from. */
const copiers = new Map<number, (context: MigrationContext) => Promise<void>>([
  [0, copyVersion0],
  [1, copyVersion1],
]);

export interface SchemaOptions {
  readonly db: Database;
  readonly path: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly sessionExpiryMs: number;
}

/**
 * Brings the database to this code's version, or refuses one that a later release has written. Today's rows are written
 * beside those of the former version, which is in force until all of them are there: one write then changes the version,
 * and what is left of the former one goes. Whenever the process is killed, the next start begins anew or goes on.
 */
export async function ensureSchema(options: SchemaOptions): Promise<void> {
  const { db, path, log } = options;
  const stored = await storedVersion(db, path);
  if (stored === null) {
    await new NewRows(options).end(versionRows());
    return;
  }
  if (stored > SCHEMA_VERSION) {
    throw new UsageError(
      `${path}: the store has schema version ${stored}, and this release knows versions up to ${SCHEMA_VERSION}. Start the newer release, or set storage.path to another folder.`,
      { code: 'E_STORE_NEWER' },
    );
  }
  if (stored === SAME_ROWS) {
    await new NewRows(options).end(versionRows());
  } else if (stored < SCHEMA_VERSION) {
    // What a migration has left that did not come to its end.
    await clear(db, [SESSIONS, CONTENTS, RETAINED]);
    const rows = new NewRows(options);
    await copiers.get(stored)!({ ...options, rows });
    const written = await rows.end(new Map([...versionRows(), [FORMER_KEY, Buffer.from(String(stored))]]));
    log.info({ path, from: stored, to: SCHEMA_VERSION, rows: written }, 'the store was migrated');
  }
  if ((await db.get(FORMER_KEY)) !== undefined) {
    await clear(db, FORMER_PREFIXES);
    for (const { gte, lt } of FORMER_PREFIXES.map(rangeOf)) await db.compactRange?.(gte, lt);
    const batch = db.batch();
    batch.del(FORMER_KEY);
    await batch.write({ sync: true });
  }
}

const versionRows = () => new Map([[SCHEMA_KEY, Buffer.from(String(SCHEMA_VERSION))]]);

async function clear(db: Database, prefixes: readonly string[]): Promise<void> {
  for (const prefix of prefixes) {
    const iterator = db.iterator({ ...rangeOf(prefix), values: false });
    try {
      for (let rows = await iterator.nextv(DELETED_AT_ONCE); rows.length > 0; ) {
        const batch = db.batch();
        for (const [key] of rows) batch.del(key);
        await batch.write({ sync: false });
        rows = await iterator.nextv(DELETED_AT_ONCE);
      }
    } finally {
      await iterator.close();
    }
  }
}

/** 0: rows, but no version, as aedes-persistence-level writes them by itself; null: nothing at all. */
export async function storedVersion(db: Database, path: string): Promise<number | null> {
  const stored = await db.get(SCHEMA_KEY);
  if (stored === undefined) {
    for await (const _ of db.iterator({ gte: '', lt: '~' })) return 0;
    return null;
  }
  const version = Number(stored.toString());
  if (Number.isInteger(version) && version >= 0) return version;
  throw new Fault(
    'E_STORE_SCHEMA',
    `${path}: the store's schema version cannot be read: ${JSON.stringify(stored.toString())}`,
  );
}
