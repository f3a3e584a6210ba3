import type { Clock } from '../clock.js';
import { Fault, UsageError } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { Database, DatabaseBatch } from './database.js';
import { SCHEMA_KEY } from './keys.js';
import { migrateFromLibrary } from './migrate-version-0.js';
import type { MigrationContext } from './migration.js';

/** The version of the layout that this code writes. */
export const SCHEMA_VERSION = 1;

/** By the version they start from. Each writes into the batch alone: a migration happens as a whole or not at all. */
const migrations = new Map<number, (context: MigrationContext) => Promise<void>>([[0, migrateFromLibrary]]);

/** Brings the database to this code's version, or refuses one that a later release has written. */
export async function ensureSchema(options: {
  db: Database;
  path: string;
  log: Log;
  clock: Clock;
  sessionExpiryMs: number;
}): Promise<void> {
  const { db, path, log } = options;
  const stored = await storedVersion(db, path);
  if (stored === null) {
    const batch = db.batch();
    await writeVersion(batch, SCHEMA_VERSION);
    return;
  }
  if (stored > SCHEMA_VERSION) {
    throw new UsageError(
      `${path}: the store has schema version ${stored}, and this release knows versions up to ${SCHEMA_VERSION}. Start the newer release, or set storage.path to another folder.`,
      { code: 'E_STORE_NEWER' },
    );
  }
  for (let version = stored; version < SCHEMA_VERSION; version++) {
    const batch = db.batch();
    await migrations.get(version)!({ ...options, batch });
    await writeVersion(batch, version + 1);
    log.info({ path, from: version, to: version + 1 }, 'the store was migrated');
  }
}

async function writeVersion(batch: DatabaseBatch, version: number): Promise<void> {
  batch.put(SCHEMA_KEY, Buffer.from(String(version)));
  await batch.write({ sync: true });
}

/** 0: rows, but no version, as the library writes them by itself; null: nothing at all. */
async function storedVersion(db: Database, path: string): Promise<number | null> {
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
