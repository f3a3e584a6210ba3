import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/clock.js';
import type { Store } from '../../src/store/contract.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord, sessionRecord } from '../contract/store.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { silent, wholeSessions } from '../support/open-store.js';

type Step =
  | { kind: 'put' | 'delete' | 'release' | 'receive' | 'complete'; client: number; number: number }
  | { kind: 'retain' | 'unretain' | 'remove' | 'wait'; client: number; number: number };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'put',
    'put',
    'put',
    'delete',
    'delete',
    'release',
    'receive',
    'complete',
    'retain',
    'unretain',
    'remove',
    'wait',
    'wait',
  ),
  client: fc.nat(2),
  number: fc.integer({ min: 1, max: 6 }),
});

const clientIds = ['alice/a', 'alice/b', 'bob/a'];

/** What the store holds, as text that can be compared. */
class Model {
  readonly rows = new Map<string, string>();

  apply({ kind, client, number }: Step): void {
    const id = clientIds[client]!;
    const key = `${id} ${number}`;
    if (kind === 'put') this.rows.set(`out ${key}`, 'waiting');
    else if (kind === 'release') this.rows.set(`out ${key}`, 'released');
    else if (kind === 'delete') this.rows.delete(`out ${key}`);
    else if (kind === 'receive') this.rows.set(`in ${key}`, '');
    else if (kind === 'complete') this.rows.delete(`in ${key}`);
    else if (kind === 'retain') this.rows.set(`retained ${number}`, id);
    else if (kind === 'unretain') this.rows.delete(`retained ${number}`);
    else if (kind === 'remove') {
      for (const row of this.rows.keys()) if (row.includes(` ${id} `)) this.rows.delete(row);
    }
  }

  toString(): string {
    return [...this.rows]
      .map((row) => row.join(' = '))
      .sort()
      .join('\n');
  }
}

function apply(store: Store, { kind, client, number }: Step): void {
  const id = clientIds[client]!;
  const writer = store.session(id);
  if (kind === 'put') {
    writer.save(sessionRecord(id));
    writer.putOutgoing(outgoingRecord(number, { qos: 2 }));
  } else if (kind === 'release') {
    writer.save(sessionRecord(id));
    writer.releaseOutgoing(outgoingRecord(number, { qos: 2 }));
  } else if (kind === 'receive') {
    writer.save(sessionRecord(id));
    writer.putIncoming(number);
  } else if (kind === 'delete') writer.deleteOutgoing(number);
  else if (kind === 'complete') writer.deleteIncoming(number);
  else if (kind === 'remove') writer.remove();
  else if (kind === 'unretain') store.retained.delete(`topic/${number}`);
  else if (kind === 'retain') {
    store.retained.set({
      topic: `topic/${number}`,
      payload: Buffer.from(id),
      qos: 1,
      properties: null,
      storedAt: 0,
      owner: null,
      expiresAt: null,
    });
  }
}

async function contents(store: Store): Promise<string> {
  const model = new Model();
  for (const { session, outgoing, incoming } of await wholeSessions(store)) {
    for (const { seq, released } of outgoing) {
      model.rows.set(`out ${session.clientId} ${seq}`, released ? 'released' : 'waiting');
    }
    for (const packetId of incoming) model.rows.set(`in ${session.clientId} ${packetId}`, '');
  }
  for (const { topic, payload } of store.retained) {
    model.rows.set(`retained ${topic.slice('topic/'.length)}`, payload.toString());
  }
  return String(model);
}

describe('power loss', () => {
  test('what is found afterwards is all that was acknowledged, and a state that there was', async () => {
    const config = { path: '/nowhere', sessionExpiryMs: 1000 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.nat(3), { maxLength: 20 }),
        fc.constantFrom(0, 0.1),
        async (steps, delays, ripenMs) => {
          const disk = new FlawedDisk();
          disk.ripenMs = ripenMs;
          const options = { config, log: silent, clock: systemClock, open: disk.open };
          const turns = [...delays];
          disk.pause = async () => {
            for (let left = turns.shift() ?? 1; left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
          };
          const store = await openStore(options);
          const model = new Model();
          const states = [String(model)];
          let acknowledged = 0;
          for (const each of steps) {
            if (each.kind === 'wait') {
              await new Promise((resolve) => setImmediate(resolve));
              continue;
            }
            apply(store, each);
            model.apply(each);
            const reached = states.push(String(model)) - 1;
            store.committed((fault) => {
              assert.equal(fault, null);
              assert.ok(reached > acknowledged, 'acknowledged out of order');
              acknowledged = reached;
            });
          }
          const promised = acknowledged;
          disk.cutPower();
          const after = await openStore(options);
          const found = await contents(after);
          await after.close();
          assert.ok(states.slice(promised).includes(found), `promised:\n${states[promised]}\nfound:\n${found}`);
        },
      ),
      { numRuns: 400 },
    );
  });
});
