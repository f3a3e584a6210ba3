import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { UsageError } from '../errors.js';
import { type DamagedTable, findDamage, spoilDamage, tablesIn } from './damage.js';
import { isOpenSomewhere, repairLevel } from './level-database.js';
import { storeFault } from './store-fault.js';

/** Makes a store of what can be read in the folder, after a copy was made of all of it: what is lost is there. */
export async function copyAndRepair(path: string, clock: Clock): Promise<{ copy: string; damage: DamagedTable[] }> {
  // LevelDB's repair itself takes no lock.
  if (await isOpenSomewhere(path)) throw storeFault(path, { code: 'LEVEL_LOCKED' });
  const copy = `${path}.damaged-${new Date(clock.epochMs()).toISOString().replaceAll(':', '')}`;
  try {
    await cp(path, copy, { recursive: true, errorOnExist: true, force: false });
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    throw new UsageError(
      `${path}: the store is damaged, and not repaired, because it cannot be copied to ${copy} first (${(error as Error).message}). Make room for the copy, or move the folder to a larger disk, then: iotlab-broker storage repair --path ${path}`,
      { code: 'E_STORE_COPY', cause: error },
    );
  }
  const damage = await findDamage(path, await tablesIn(path));
  await spoilDamage(path, damage);
  await repairLevel(path);
  await rm(join(path, 'lost'), { recursive: true, force: true });
  return { copy, damage };
}
