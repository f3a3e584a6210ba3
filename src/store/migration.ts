import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { Database, DatabaseBatch } from './database.js';

export interface MigrationContext {
  readonly db: Database;
  readonly batch: DatabaseBatch;
  readonly log: Log;
  readonly clock: Clock;
  /** What a session that tells no expiry gets. */
  readonly sessionExpiryMs: number;
}
