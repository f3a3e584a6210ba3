// Long, own process: loads a hundred thousand of each, and counts the processor time of all that is in it.
// What starting costs with much to load. Measured in processor time: the tests share their machine.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { silent } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

const payload = Buffer.alloc(100, 1);

async function filled(path: string, fill: (store: Store) => void): Promise<() => Promise<Store>> {
  const open = () => openStore({ config: { path, sessionExpiryMs: 1000 }, log: silent, clock: systemClock });
  const store = await open();
  fill(store);
  await store.close();
  return open;
}

/** Milliseconds of processor time until everything is loaded: the best of three, and what was there. */
async function loading(open: () => Promise<Store>) {
  let bestMs = Number.POSITIVE_INFINITY;
  const found = { sessions: 0, queued: 0, retained: 0 };
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    const store = await open();
    Object.assign(found, { sessions: 0, queued: 0, retained: store.retained.size });
    for await (const { outgoing } of store.loadSessions()) {
      found.sessions++;
      found.queued += outgoing.length;
    }
    const { user, system } = process.cpuUsage(before);
    bestMs = Math.min(bestMs, (user + system) / 1000);
    await store.close();
  }
  return { ...found, bestMs };
}

test('100 000 retained messages and 10 000 sessions load within 3 s', async (t) => {
  const open = await filled(join(await tempFolder(t), 'store'), (store) => {
    for (let n = 0; n < 100_000; n++) {
      const topic = `iotlab/user${n % 1000}/node${n}/temperature`;
      store.retained.set({ topic, payload, qos: 1, properties: null, storedAt: 1, owner: null, expiresAt: null });
    }
    for (let n = 0; n < 10_000; n++) {
      const clientId = `user${n % 1000}/client-${n}`;
      store.session(clientId).save(sessionRecord(clientId));
      const filters = [`iotlab/user${n % 1000}/#`, `iotlab/user${n % 1000}/+/status`];
      store.session(clientId).subscribe(filters.map((filter) => ({ filter, qos: 1, options: 0, identifier: null })));
    }
  });
  const { bestMs, ...found } = await loading(open);
  t.diagnostic(`${Math.round(bestMs)} ms of processor time`);
  assert.deepEqual(found, { sessions: 10_000, queued: 0, retained: 100_000 });
  assert.ok(bestMs < 3000, `${bestMs} ms`);
});

test('100 000 queued messages load within 2 s', async (t) => {
  const open = await filled(join(await tempFolder(t), 'store'), (store) => {
    for (let n = 0; n < 100; n++) {
      const clientId = `alice/client-${n}`;
      store.session(clientId).save(sessionRecord(clientId));
      for (let seq = 1; seq <= 1000; seq++) store.session(clientId).putOutgoing(outgoingRecord(seq, { payload }));
    }
  });
  const { bestMs, ...found } = await loading(open);
  t.diagnostic(`${Math.round(bestMs)} ms of processor time`);
  assert.deepEqual(found, { sessions: 100, queued: 100_000, retained: 0 });
  assert.ok(bestMs < 2000, `${bestMs} ms`);
});
