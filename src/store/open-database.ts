import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { Database, OpenMode } from './database.js';
import { openLevel } from './level-database.js';
import { removeAbandonedCopies } from './reading-copy.js';
import { copyAndRepair } from './repair.js';
import { storeFault } from './store-fault.js';
import { ensureFolder, refuseAbsent, refuseHeadless } from './store-folder.js';

/**
 * Opens the folder `path`, or an empty database in memory when `path` is `memory`. LevelDB replays its log by itself
 * after a crash; when it cannot make sense of its files all the same, they are copied and repaired at start.
 */
export async function openDatabase(options: {
  path: string;
  log: Log;
  clock: Clock;
  mode: OpenMode;
}): Promise<Database> {
  const { path, log, clock, mode } = options;
  if (path === 'memory') {
    // Only who wants it loads it.
    const { MemoryLevel } = await import('memory-level');
    return new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  }
  if (mode === 'create') {
    await ensureFolder(path);
    await refuseHeadless(path);
    await removeAbandonedCopies(path);
  } else {
    await refuseAbsent(path);
  }
  try {
    return await openLevel(path, mode);
  } catch (error) {
    if (storeFault(path, error).code !== 'E_STORE_DAMAGED' || mode !== 'create') throw error;
    log.error(
      { path, err: error },
      'the store is damaged: it is copied and then repaired; what is lost is in the copy',
    );
    const { copy } = await copyAndRepair(path, clock);
    log.warn({ path, copy }, 'the store was repaired');
    return await openLevel(path, 'existing');
  }
}
