// Long: a hundred thousand messages, read twice.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { BrokerProcess } from '../support/broker-process.js';
import { eventually } from '../support/deadline.js';
import { ExactSubscriber } from '../support/exact-clients.js';
import { silent } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

const limits = { queuedMessages: 1_000_000, queuedBytes: 1_000_000_000, queuedBytesPerUser: 1_000_000_000 };

test('100 000 messages are queued: the first comes within 2 s of the start', async (t) => {
  const folder = await tempFolder(t);
  const broker = await BrokerProcess.prepare(folder, { alice: 'secret' }, limits);
  t.after(() => broker.kill());
  const config = { path: join(folder, 'store'), sessionExpiryMs: 1_000_000 };
  const store = await openStore({ config, log: silent, clock: systemClock });
  const writer = store.session('alice/away');
  const now = Date.now();
  writer.save(sessionRecord('alice/away', { createdAt: now, lastSeenAt: now }));
  writer.subscribe([{ filter: 'iotlab/alice/#', qos: 2, options: 0, identifier: null }]);
  const count = 100_000;
  for (let seq = 1; seq <= count; seq++) {
    const message = { topic: 'iotlab/alice/x', payload: Buffer.from(`${seq}`), packetId: ((seq - 1) % 65_535) + 1 };
    writer.putOutgoing(outgoingRecord(seq, message));
  }
  await store.close();

  const violations: string[] = [];
  const subscriber = new ExactSubscriber(
    { clientId: 'away', username: 'alice', password: 'secret' },
    violations,
    [],
    2,
  );
  const times: number[] = [];
  for (const round of ['first', 'second']) {
    const seen = subscriber.deliveries;
    const startedAt = performance.now();
    const address = await broker.start();
    await subscriber.connect(address);
    await eventually(30_000, 'the first message', () => subscriber.deliveries > seen);
    const wallMs = Math.round(performance.now() - startedAt);
    const cpuMs = (await processorMs(broker.pid)) ?? wallMs;
    times.push(cpuMs);
    t.diagnostic(`${round}: ${wallMs} ms, of which ${cpuMs} ms of processor time`);
    if (round === 'first') await broker.kill();
  }
  assert.ok(Math.min(...times) < 2000, `${times} ms of processor time`);
  await eventually(30_000, 'many more, in order', () => (subscriber.last.get('iotlab/alice/x') ?? 0) > 20_000);
  assert.deepEqual(violations, []);
  subscriber.leave(true);
});

/** What a process has used so far, where the system tells: the tests share their machine. */
async function processorMs(pid: number): Promise<number | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}
