import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { measure } from './measured-script.js';
import { tempFolder } from './temp-folder.js';

const timeout = 120_000;

/** A test. `bytesEach`: null where too few are started to tell what is left of them from what the engine has learnt. */
export function nothingIsLeftOf(count: number, bytesEach: number | null): void {
  const what = `no handle and no file is left${bytesEach === null ? '' : ', and no memory'}`;
  test(`${count} brokers started, used and stopped: ${what}`, {
    timeout,
  }, async (t) => {
    const folder = await tempFolder(t);
    const measured = await measure(
      folder,
      `
      async function once() {
        const broker = await startBroker({ users: { alice: 'secret' } });
        const socket = tls.connect({ host: broker.host, port: broker.port, ca: broker.ca });
        socket.on('error', () => {});
        // CONNECT of alice as "c", SUBSCRIBE to iotlab/alice/#.
        socket.write(Buffer.from([16, 28, 0, 4, 77, 81, 84, 84, 4, 194, 0, 0, 0, 1, 99, 0, 5, ...Buffer.from('alice'), 0, 6, ...Buffer.from('secret')]));
        socket.write(Buffer.from([130, 19, 0, 1, 0, 14, ...Buffer.from('iotlab/alice/#'), 0]));
        await broker.waitForSubscription('iotlab/alice/#');
        const heard = new Promise((resolve) => socket.on('data', (bytes) => bytes.includes('iotlab/alice/x') && resolve()));
        broker.faults.delayDelivery(1);
        await broker.publish('alice', 'iotlab/alice/x', Buffer.alloc(10_000));
        await heard;
        const closed = new Promise((resolve) => socket.once('close', resolve));
        await broker.stop();
        socket.destroy();
        await closed;
      }
      async function settled() {
        for (let i = 0; i < 10; i++) {
          await new Promise((resolve) => setImmediate(resolve));
          gc();
        }
        const { heapUsed, external, arrayBuffers } = process.memoryUsage();
        return heapUsed + external + arrayBuffers;
      }
      for (let i = 0; i < ${count / 4}; i++) await once();
      const before = await settled();
      const listenersBefore = process.listenerCount('exit');
      for (let i = 0; i < ${count}; i++) await once();
      const after = await settled();
      const resources = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
      console.log(JSON.stringify({
        resources: resources.length,
        listeners: process.listenerCount('exit') - listenersBefore,
        bytesPerBroker: Math.round((after - before) / ${count}),
      }));`,
    );
    t.diagnostic(JSON.stringify(measured));
    assert.equal(measured.resources, 0);
    assert.equal(measured.listeners, 0);
    // The caches of the engine grow a little; a broker that is kept, or only its message, would be 10 000 and more.
    const most = bytesEach ?? Number.POSITIVE_INFINITY;
    assert.ok(measured.bytesPerBroker! < most, `${measured.bytesPerBroker} bytes are left of each broker`);
    assert.deepEqual(await readdir(folder), ['script.mjs']);
  });
}
