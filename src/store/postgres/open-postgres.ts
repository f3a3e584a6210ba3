import type { Clock } from '../../clock.js';
import type { Config } from '../../config/config.js';
import type { Fault } from '../../errors.js';
import { treeOwner } from '../../mqtt/user-trees.js';
import type { Log } from '../../observe/log.js';
import { parsePostgresUrl } from '../../postgres-url.js';
import type { OpenDatabase } from '../database.js';
import { placementOf } from './slots.js';

type Settings = Pick<Config, 'storage' | 'cluster' | 'acl'>;
type Tools = { readonly log: Log; readonly clock: Clock };

export interface PostgresEngine {
  readonly open: OpenDatabase;
  /** Ends the wait of a standby, too. */
  close(): Promise<void>;
}

/**
 * The rows of this broker's slots in the database that `storage.url` names; null when it names none. The driver is loaded
 * only then. `open` waits, as a standby, for as long as another broker has the slots.
 */
export async function openPostgres(
  { storage, cluster, acl }: Settings,
  { log, clock }: Tools,
  events: { readonly onStandby: () => void; readonly onFenced: (fault: Fault) => void },
): Promise<PostgresEngine | null> {
  if (storage.url === '') return null;
  const [{ opener }, { SlotOwner }] = await Promise.all([import('./postgres-database.js'), import('./owner.js')]);
  const placement = placementOf(cluster.shards, cluster.shard, ownerIn(acl));
  const place = parsePostgresUrl(storage.url);
  const owner = new SlotOwner({ place, slots: placement.slots, log, clock, ...events });
  return { open: opener(owner, placement, clock), close: () => owner.close() };
}

/** The rows of all shards, for commands: to read them beside the brokers, or, with none of them running, to write them. */
export async function openAllRows(
  { storage, acl }: Settings,
  { log, clock }: Tools,
  use: 'read' | 'write',
): Promise<OpenDatabase> {
  const place = parsePostgresUrl(storage.url);
  if (use === 'read') {
    const [{ ReadingDatabase }, { findPrimary }] = await Promise.all([
      import('./reading-database.js'),
      import('./primary.js'),
    ]);
    return async () => {
      const { client } = await findPrimary({ place, clock, untilMs: clock.monotonicMs(), over: () => false });
      return ReadingDatabase.open(client);
    };
  }
  const [{ PostgresDatabase }, { SlotOwner }] = await Promise.all([
    import('./postgres-database.js'),
    import('./owner.js'),
  ]);
  const placement = placementOf(1, 0, ownerIn(acl));
  const onFenced = (fault: Fault) => {
    throw fault;
  };
  const owner = new SlotOwner({ place, slots: placement.slots, log, clock, onStandby: () => {}, onFenced });
  return async (mode) => {
    owner.reopen();
    if (mode === 'create') await owner.acquireNow();
    return new PostgresDatabase(owner, placement, clock);
  };
}

const ownerIn = (acl: Config['acl']) => treeOwner(acl.map(({ topic }) => topic));
