import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { openStore } from '../../src/store/store.js';
import { outgoingRecord } from '../contract/store.js';
import { silent, temporaryFolder } from '../support/open-store.js';

test('messages that are acknowledged within a moment are hardly ever written', async () => {
  const folder = await temporaryFolder();
  let operations = 0;
  const onWritten = (count: number) => {
    operations += count;
  };
  const config = { path: `${folder.path}/store`, sessionExpiryMs: 1000 };
  try {
    const store = await openStore({ config, log: silent, clock: systemClock, onWritten });
    const queue = store.session('alice/a');
    for (let seq = 1; seq <= 4_000; seq++) {
      queue.putOutgoing(outgoingRecord(seq));
      // As long as a receiver on the same machine takes.
      if (seq % 20 === 0) await new Promise(setImmediate);
      if (seq > 20) queue.deleteOutgoing(seq - 20, 0, true);
    }
    // Some 40 are; written at once, as while one group is on its way the next gathers, 1 200.
    assert.ok(operations < 600, `${operations} operations`);
    const { messages } = await queue.readOutgoing(1, 4_000, { messages: 100, bytes: 100_000 });
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      Array.from({ length: 20 }, (_, n) => 3_981 + n),
    );
    await store.close();
  } finally {
    await folder.remove();
  }
});
