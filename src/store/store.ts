import type { Clock } from '../clock.js';
import type { StorageConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import type { Store } from './contract.js';
import type { OpenDatabase } from './database.js';
import { GroupCommit } from './group-commit.js';
import { CONTENTS, SESSIONS } from './keys.js';
import { LongValues } from './long-values.js';
import { measuring, type OnWritten } from './measured-database.js';
import { Numbers } from './numbering.js';
import { openDatabase } from './open-database.js';
import { encodeContent } from './outgoing-rows.js';
import { loadRetained } from './retained-messages.js';
import { ensureSchema } from './schema.js';
import { loadSessions } from './session-loader.js';
import { SessionNumbers } from './session-rows.js';
import { StoredSessionWriter } from './session-writer.js';
import { SharedContents } from './shared-contents.js';
import { StoredUsers } from './stored-users.js';
import { StoredWills } from './stored-wills.js';
import { Sweeper } from './sweeper.js';

export interface OpenedStore extends Store {
  /** What aedes asks of a persistence before it starts; it gets nothing to keep. */
  readonly persistence: { setup(broker: { id: string }): Promise<void> };
}

/**
 * Opens the store, creating or migrating it as needed. Throws `UsageError` when the folder is in use by another process,
 * not writable, not a folder, or of a newer schema, and `Fault` E_STORE_OPEN otherwise. `open` replaces LevelDB: the
 * seam where tests inject faults.
 */
export async function openStore(options: {
  config: Pick<StorageConfig, 'path' | 'sessionExpiryMs'>;
  log: Log;
  clock: Clock;
  open?: OpenDatabase;
  onWritten?: OnWritten;
}): Promise<OpenedStore> {
  const { config, log, clock, onWritten } = options;
  const memory = config.path === 'memory';
  const unseen: OpenDatabase = options.open ?? ((mode) => openDatabase({ path: config.path, log, clock, mode }));
  const long = new LongValues();
  const open = long.opening(onWritten === undefined ? unseen : measuring(unseen, onWritten));
  const db = await open('create');
  try {
    await ensureSchema({ db, path: config.path, log, clock, sessionExpiryMs: config.sessionExpiryMs });
    const group = new GroupCommit({ db, open, durable: !memory, log, clock });
    const numbers = new SessionNumbers(await Numbers.after(db, SESSIONS));
    const contents = new SharedContents(group, await Numbers.after(db, CONTENTS));
    const sweeper = new Sweeper({ group, contents, log });
    const sessions = { group, numbers, contents, sweeper };
    const retained = await loadRetained(group, long);
    const wills = new StoredWills(group);
    const users = new StoredUsers(group);
    return {
      persistence: { setup: async () => {} },
      inMemory: memory,
      loadSessions: () => loadSessions(sessions, log),
      session: (clientId) => new StoredSessionWriter(sessions, clientId),
      retained,
      get longBytes() {
        return long.longBytes;
      },
      async prepareContent(content, place) {
        const row = encodeContent(content);
        await long.prepare(row);
        place.row = row;
      },
      discardContent(place) {
        if (place.row) long.discard(place.row);
        place.row = null;
      },
      putWill: (clientId, will) => wills.put(clientId, will),
      deleteWill: (clientId) => wills.delete(clientId),
      loadWills: () => wills.load(),
      putUser: (login, record) => users.put(login, record),
      deleteUser: (login) => users.delete(login),
      loadUsers: () => users.load(),
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
      swept: () => sweeper.idle(),
      async close() {
        await sweeper.close();
        await group.close();
      },
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}
