import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/deadline.js';
import { FlawedDisk } from '../support/flawed-database.js';
import { freePort } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { startTestBroker } from '../support/test-broker.js';

test('a store that fails makes the broker unwell, and sends nobody elsewhere', async (t) => {
  const port = await freePort();
  const disk = new FlawedDisk();
  const broker = await startTestBroker({ config: { admin: { port } }, seams: { openDatabase: disk.open } });
  t.after(() => broker.stop());
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, await answer.json()] as [number, Record<string, unknown>];
  };
  assert.deepEqual(await ask('/ready'), [200, { ready: true }]);
  disk.writeError = new Error('no space left on device');
  await using client = await RawClient.connect(broker, { as: 'alice' });
  await client.publish('iotlab/alice/t', 'x', { retain: true });
  await eventually(5_000, 'the fault', async () => (await ask('/health'))[0] === 503);
  assert.equal((await ask('/health'))[1].store, 'E_STORE_WRITE');
  assert.deepEqual(await ask('/ready'), [200, { ready: true }]);
  disk.writeError = null;
  await eventually(5_000, 'its end', async () => (await ask('/health'))[0] === 200);
});
