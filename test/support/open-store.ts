import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { MemoryLevel } from 'memory-level';
import { pino } from 'pino';
import { systemClock } from '../../src/clock.js';
import type { OutgoingRecord, QueuedMessage, Store, StoredSession } from '../../src/store/contract.js';
import type { Database, OpenDatabase } from '../../src/store/database.js';
import { messagesOf } from '../../src/store/export-import.js';
import { type OpenedStore, openStore } from '../../src/store/store.js';

export const silent = pino({ level: 'silent' });

/** A store that can be closed and opened again, and a folder that goes with it. */
export interface StoreUnderTest {
  readonly name: string;
  open(): Promise<OpenedStore>;
  cleanUp(): Promise<void>;
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'iotlab-broker-store-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export async function diskStore(open?: (path: string) => OpenDatabase): Promise<StoreUnderTest> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'store');
  const config = { path, sessionExpiryMs: 1000 };
  const seam = open === undefined ? {} : { open: open(path) };
  return {
    name: 'disk',
    open: () => openStore({ config, log: silent, clock: systemClock, ...seam }),
    cleanUp: folder.remove,
  };
}

/** Memory that outlives its store, as if the process went on: closing the database is the one thing it does not do. */
export async function memoryStore(): Promise<StoreUnderTest> {
  const memory: Database = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const kept: Database = {
    get: (key) => memory.get(key),
    iterator: (range) => memory.iterator(range),
    batch: () => memory.batch(),
    close: async () => {},
  };
  const config = { path: 'memory', sessionExpiryMs: 1000 };
  return {
    name: 'memory',
    open: () => openStore({ config, log: silent, clock: systemClock, open: async () => kept }),
    cleanUp: () => memory.close(),
  };
}

export const openLevel = async (path: string): Promise<Level<string, Buffer>> => {
  const level = new Level<string, Buffer>(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  await level.open();
  return level;
};

export const committed = (store: Store): Promise<void> =>
  new Promise((resolve, reject) => {
    store.committed((fault) => (fault === null ? resolve() : reject(fault)));
  });

/** A session with what its queue says. */
export interface WholeSession extends Omit<StoredSession, 'outgoing'> {
  readonly outgoing: (OutgoingRecord & Pick<QueuedMessage, 'sent'>)[];
}

export async function wholeSessions(store: Store): Promise<WholeSession[]> {
  const list: WholeSession[] = [];
  for (const stored of await collect(store.loadSessions())) {
    const messages = await collect(messagesOf(store, stored.session.clientId, stored.outgoing));
    const outgoing = messages.map(({ contentId: _, bytes: __, ...record }) => {
      const { sent } = stored.outgoing.find(({ seq }) => seq === record.seq)!;
      return { ...record, sent };
    });
    list.push({ ...stored, outgoing });
  }
  return list;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
