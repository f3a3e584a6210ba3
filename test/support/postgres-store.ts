import assert from 'node:assert/strict';
import { systemClock } from '../../src/clock.js';
import { defaultConfig } from '../../src/config/defaults.js';
import type { Fault } from '../../src/errors.js';
import type { Log } from '../../src/observe/log.js';
import { openPostgres } from '../../src/store/postgres/open-postgres.js';
import { type OpenedStore, openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { committed, silent } from './open-store.js';

export interface WantedStore {
  readonly shards?: number;
  readonly shard?: number;
  readonly log?: Log;
  readonly onStandby?: () => void;
  readonly onFenced?: (fault: Fault) => void;
}

/** The store of a shard's broker in that database, as the broker opens it. */
export async function openPostgresStore(url: string, wanted: WantedStore = {}): Promise<OpenedStore> {
  const { shards = 1, shard = 0, log = silent, onStandby = () => {}, onFenced = () => assert.fail('fenced') } = wanted;
  const config = defaultConfig({ storage: { url }, cluster: { shards, shard } });
  const engine = await openPostgres(config, { log, clock: systemClock }, { onStandby, onFenced });
  return openStore({
    config: { path: 'postgres', sessionExpiryMs: 1_000 },
    ...{ log, clock: systemClock, open: engine!.open },
  });
}

/** A session with a queued message, and a retained one, for each of them. */
export function fill(store: OpenedStore, logins: readonly string[]): Promise<void> {
  for (const login of logins) {
    const clientId = `${login}/kept`;
    const writer = store.session(clientId);
    writer.save(sessionRecord(clientId));
    writer.subscribe([{ filter: `iotlab/${login}/#`, qos: 1, options: 0, identifier: null }]);
    writer.putOutgoing(outgoingRecord(1, { payload: Buffer.alloc(2_000, login) }), { contentId: 0 });
    const retained = {
      topic: `iotlab/${login}/r`,
      payload: Buffer.from(login),
      qos: 1,
      storedAt: 1,
      owner: login,
    } as const;
    store.retained.set({ ...retained, properties: null, expiresAt: null });
  }
  return committed(store);
}
