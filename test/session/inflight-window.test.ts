// What was sent and is not acknowledged: which acknowledgement ends which flow, and what the window costs its user.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import { Message } from '../../src/mqtt/publication.js';
import { SafetyTicket } from '../../src/mqtt/safety-ticket.js';
import { Counters } from '../../src/observe/counters.js';
import { InflightWindow } from '../../src/session/inflight-window.js';
import { type Entry, liveEntry } from '../../src/session/outgoing-entry.js';
import { BYTES_KEPT } from '../../src/session/user-account.js';
import type { SessionWriter } from '../../src/store/contract.js';
import { newLedger, newScheduler, userAccount } from '../support/accounts.js';
import { RecordingOutlet } from '../support/queue-under-test.js';

const keptBytes = Message.of('iotlab/alice/x', Buffer.alloc(500)).bytes + BYTES_KEPT;

function setup({
  persistent = true,
  inflightMessages = 20,
  queuedBytesPerUser = 10_000,
  memoryPerUser = 1_000_000,
} = {}) {
  const account = userAccount('alice', newLedger(memoryPerUser));
  const limits = { ...defaultConfig().limits, inflightMessages, queuedBytesPerUser };
  account.limits = limits;
  /** What the store was told, in order. */
  const stored: string[] = [];
  const writer = {
    releaseOutgoing: ({ seq }: { seq: number }) => stored.push(`released ${seq}`),
    deleteOutgoing: (seq: number) => stored.push(`deleted ${seq}`),
  } as unknown as SessionWriter;
  const onDisk: (() => void)[] = [];
  const window = new InflightWindow(
    {
      ...{ limits, account, scheduler: newScheduler(), counters: new Counters() },
      whenStored: (callback) => onDisk.push(callback),
    },
    persistent ? writer : null,
  );
  const add = (id: number, qos: 1 | 2, ticket: SafetyTicket | null = null): Entry => {
    const entry = liveEntry(id, id, qos, false, null, ticket);
    entry.message = Message.of('iotlab/alice/x', Buffer.alloc(500));
    window.add(entry);
    return entry;
  };
  const outlet = new RecordingOutlet();
  return {
    ...{ window, account, stored, add, outlet },
    pubrec: (id: number) => window.pubrec(id, () => outlet),
    /** What was handed to the store is on disk. */
    write: () => {
      for (const callback of onDisk.splice(0)) callback();
    },
  };
}

describe('an acknowledgement', () => {
  test('ends the flow that it belongs to, wherever that is in the window', () => {
    const { window, add, stored, account } = setup();
    for (const id of [1, 2, 3]) add(id, 1);
    assert.equal(window.puback(2), 'done');
    assert.deepEqual(
      [...window].map(({ packetId }) => packetId),
      [1, 3],
    );
    assert.deepEqual([window.puback(1), window.puback(3)], ['done', 'done']);
    assert.deepEqual(stored, ['deleted 2', 'deleted 1', 'deleted 3']);
    assert.equal(account.queuedBytes, 0);
  });

  test('of an id that is not in flight is tolerated', () => {
    const { window, add, pubrec, outlet } = setup();
    add(1, 1);
    assert.deepEqual([window.puback(2), window.pubcomp(2), window.refused(2)], ['unknown', 'unknown', 'unknown']);
    assert.equal(pubrec(2), 'unknown');
    assert.deepEqual(outlet.take(), [{ what: 'PUBREL', id: 2 }], 'and its sender is told to go on');
    assert.equal(window.size, 1);
  });

  test('of another kind than the flow expects changes nothing', () => {
    const { window, add, pubrec, stored, outlet } = setup();
    add(1, 1);
    add(2, 2);
    assert.deepEqual([window.pubcomp(1), pubrec(1), window.refused(1)], ['wrong-kind', 'wrong-kind', 'wrong-kind']);
    assert.deepEqual([window.puback(2), window.pubcomp(2)], ['wrong-kind', 'wrong-kind']);
    assert.equal(pubrec(2), 'done');
    assert.deepEqual([window.puback(2), window.refused(2)], ['wrong-kind', 'wrong-kind']);
    assert.equal(window.size, 2);
    assert.deepEqual(stored, ['released 2']);
    assert.deepEqual(outlet.take(), []);
  });
});

describe('the flow of QoS 2', () => {
  test('goes on when the disk has it, and is told so once, however often PUBREC comes', () => {
    const { window, add, pubrec, write, outlet, stored } = setup();
    add(1, 2);
    assert.deepEqual([pubrec(1), pubrec(1)], ['done', 'done']);
    assert.deepEqual(outlet.take(), []);
    write();
    assert.deepEqual(outlet.take(), [{ what: 'PUBREL', id: 1 }]);
    assert.equal(pubrec(1), 'done');
    assert.deepEqual(outlet.take(), [{ what: 'PUBREL', id: 1 }], 'from then on at once');
    assert.equal(window.pubcomp(1), 'done');
    assert.deepEqual(stored, ['released 1', 'deleted 1']);
  });

  test('needs no disk in a session that is not kept', () => {
    const { window, add, pubrec, outlet } = setup({ persistent: false });
    add(1, 2);
    pubrec(1);
    assert.deepEqual(outlet.take(), [{ what: 'PUBREL', id: 1 }]);
    assert.equal(window.pubcomp(1), 'done');
  });

  test('is over when the session ends before the disk has it', () => {
    const { window, add, pubrec, write, outlet } = setup();
    add(1, 2);
    pubrec(1);
    window.clear();
    write();
    assert.deepEqual(outlet.take(), []);
  });

  test('ends with a refusal', () => {
    const { window, add, stored } = setup();
    add(1, 2);
    assert.equal(window.refused(1), 'done');
    assert.deepEqual([window.size, stored], [0, ['deleted 1']]);
  });
});

describe('what is in flight', () => {
  test('counts for its user until the receiver has it: at QoS 2 that is PUBREC', () => {
    const { window, add, pubrec, account } = setup();
    add(1, 1);
    add(2, 2);
    assert.equal(account.queuedBytes, 2 * keptBytes);
    pubrec(2);
    assert.equal(account.queuedBytes, keptBytes);
    window.clear();
    assert.deepEqual([account.queuedBytes, account.heldBytes, window.size], [0, 0, 0]);
  });

  test('is not kept for a session that is not', () => {
    const { window, add, account } = setup({ persistent: false });
    assert.equal(add(1, 1).message, null);
    assert.equal(account.queuedBytes, 0);
    window.puback(1);
    assert.equal(account.queuedBytes, 0);
  });

  test('has room for as many as are allowed, and for as much as the user may queue', () => {
    const { window, add, account } = setup({ inflightMessages: 2, queuedBytesPerUser: 2_000 });
    assert.equal(window.hasRoom(2_000 - BYTES_KEPT), true);
    assert.equal(window.hasRoom(2_001 - BYTES_KEPT), false);
    add(1, 1);
    assert.equal(window.hasRoom(2_000 - keptBytes - BYTES_KEPT), true);
    assert.equal(window.hasRoom(2_001 - keptBytes - BYTES_KEPT), false);
    account.balances.retained.add(999_000);
    assert.equal(window.hasRoom(200), false, 'memory counts too');
    account.balances.retained.add(-999_000);
    add(2, 1);
    assert.equal(window.hasRoom(0), false);
    window.puback(1);
    window.limit = 1;
    assert.equal(window.hasRoom(0), false, 'the client takes no more');
  });

  test('has room for anything in a session that is not kept: nothing stays', () => {
    const { window } = setup({ persistent: false, queuedBytesPerUser: 1_000 });
    assert.equal(window.hasRoom(1_000_000), true);
  });

  test('is answered for to its publishers: acknowledged, released, or its session over', () => {
    const { window, add, pubrec } = setup();
    const answered: number[] = [];
    const ticket = (id: number) => {
      const made = new SafetyTicket().add();
      made.whenSafe((failed) => answered.push(failed ? -id : id));
      return made;
    };
    add(1, 1, ticket(1));
    add(2, 2, ticket(2));
    add(3, 1, ticket(3));
    window.puback(1);
    assert.deepEqual(answered, [1]);
    pubrec(2);
    assert.deepEqual(answered, [1, 2]);
    window.clear();
    assert.deepEqual(answered, [1, 2, 3]);
  });

  test('is taken back when the client takes less at a time than before; what is released stays', () => {
    const { window, add, pubrec, account } = setup();
    for (const id of [1, 2, 3, 4]) add(id, 2);
    pubrec(3);
    window.limit = 1;
    assert.deepEqual(
      window.takeSurplus().map(({ packetId }) => packetId),
      [2, 4],
    );
    assert.deepEqual(
      [...window].map(({ packetId }) => packetId),
      [1, 3],
    );
    assert.equal(account.queuedBytes, keptBytes, 'whoever has taken them counts them');
  });
});
