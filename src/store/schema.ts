import type { Clock } from '../clock.js';
import { Fault, UsageError } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { Database } from './database.js';
import { SCHEMA_KEY } from './keys.js';

/** The version of the layout that this code writes. */
export const SCHEMA_VERSION = 1;

/** Brings the database to this code's version, or refuses one that a later release has written. */
export async function ensureSchema(options: { db: Database; path: string; log: Log; clock: Clock }): Promise<void> {
  const { db, path } = options;
  const stored = await db.get(SCHEMA_KEY);
  const version = stored === undefined ? SCHEMA_VERSION : Number(stored.toString());
  if (!Number.isInteger(version)) {
    throw new Fault('E_STORE_SCHEMA', `${path}: the store's schema version cannot be read (${stored})`);
  }
  if (version > SCHEMA_VERSION) {
    throw new UsageError(
      `${path}: the store has schema version ${version}, and this release knows versions up to ${SCHEMA_VERSION}. Start the newer release, or set storage.path to another folder.`,
      { code: 'E_STORE_NEWER' },
    );
  }
  if (stored === undefined) {
    const batch = db.batch();
    batch.put(SCHEMA_KEY, Buffer.from(String(SCHEMA_VERSION)));
    await batch.write({ sync: true });
  }
}
