import type { Clock } from '../clock.js';
import type { StorageConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import type { Store } from './contract.js';
import { type OpenDatabase, openDatabase } from './database.js';
import { GroupCommit } from './group-commit.js';
import { LevelPersistence } from './level-persistence.js';
import { loadRetained } from './retained-index.js';
import { ensureSchema } from './schema.js';
import { SessionTable } from './session-table.js';
import { loadWills, storeWill } from './wills.js';

/** The store, and aedes's persistence contract over the same data. */
export interface OpenedStore extends Store {
  /**
   * Its `subscriptionsByTopic` tells the truth, every session's subscriptions: who queues through `session()` must not
   * let aedes queue through this too.
   */
  readonly persistence: LevelPersistence;
}

/**
 * Opens the store, creating or migrating it as needed. Throws `UsageError` when the folder is in use by another process,
 * not writable, not a folder, or of a newer schema, and `Fault` E_STORE_OPEN otherwise. `open` replaces LevelDB: the
 * seam where tests inject faults.
 */
export async function openStore(options: {
  config: StorageConfig;
  log: Log;
  clock: Clock;
  open?: OpenDatabase;
}): Promise<OpenedStore> {
  const { config, log, clock } = options;
  const memory = config.path === 'memory';
  const open = options.open ?? ((mode) => openDatabase({ path: config.path, log, clock, mode }));
  const db = await open('create');
  try {
    await ensureSchema({ db, path: config.path, log, clock, sessionExpiryMs: config.sessionExpiryMs });
    const group = new GroupCommit({ db, open, durable: !memory, log, clock });
    const sessions = new SessionTable({ group, log });
    const retained = await loadRetained(group);
    const persistence = new LevelPersistence({ group, sessions, retained, clock });
    return {
      persistence,
      loadSessions: () => sessions.load(),
      session: (clientId) => sessions.writer(clientId),
      retained,
      putWill: (clientId, will) => storeWill(persistence, clientId, will),
      deleteWill: (clientId) => persistence.forgetWill(clientId),
      loadWills: () => loadWills(persistence),
      committed: (callback) => group.committed(callback),
      whenStored: (callback) => group.whenStored(callback),
      get idle() {
        return group.idle;
      },
      get fault() {
        return group.fault;
      },
      onFault: (callback) => group.onFault(callback),
      onRecovered: (callback) => group.onRecovered(callback),
      close: () => group.close(),
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}
