import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tempFolder } from '../support/temp-folder.js';

const run = promisify(execFile);
const testing = fileURLToPath(new URL('../../src/testing/index.js', import.meta.url));
const deadline = { timeout: 120_000 };

/** Runs a script in a process of its own, with a folder for temporary files of its own, and parses what it prints. */
async function measure(folder: string, script: string): Promise<Record<string, number>> {
  const file = join(folder, 'script.mjs');
  await writeFile(
    file,
    `const total = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1_000; };
    const nodeMs = total();
    const { default: tls } = await import('node:tls');
    const { startBroker } = await import(${JSON.stringify(testing)});
    const loadingMs = total() - nodeMs;
    ${script}`,
  );
  const { stdout } = await run(process.execPath, ['--expose-gc', file], {
    env: { ...process.env, TMPDIR: folder },
    timeout: 90_000,
  });
  return JSON.parse(stdout);
}

// In CPU time, and beside something else of the same process: how busy the machine is changes neither.
test(
  'a start costs no more than a few TLS handshakes, the first of a process a few starts of Node.js',
  deadline,
  async (t) => {
    const folder = await tempFolder(t);
    const measured = await measure(
      folder,
      `
    const cpuMs = async (work) => {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1_000;
    };
    const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
    const coldMs = loadingMs + (await cpuMs(async () => (await startBroker()).stop()));
    const starts = [];
    for (let i = 0; i < 15; i++) starts.push(await cpuMs(async () => (await startBroker()).stop()));
    const broker = await startBroker();
    const handshakes = [];
    for (let i = 0; i < 15; i++) {
      handshakes.push(await cpuMs(async () => {
        const socket = tls.connect({ host: broker.host, port: broker.port, ca: broker.ca });
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.destroy();
        await closed;
      }));
    }
    await broker.stop();
    console.log(JSON.stringify({ nodeMs, coldMs, warmMs: median(starts), handshakeMs: median(handshakes) }));`,
    );
    t.diagnostic(JSON.stringify(measured));
    const { nodeMs, coldMs, warmMs, handshakeMs } = measured;
    assert.ok(warmMs! <= 5 * handshakeMs!, `${warmMs} ms for a start, ${handshakeMs} ms for a handshake`);
    assert.ok(coldMs! <= 15 * nodeMs!, `${coldMs} ms for the first start, ${nodeMs} ms for Node.js`);
  },
);

test('200 brokers started, used and stopped: no handle, no file and no memory left', deadline, async (t) => {
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
    for (let i = 0; i < 50; i++) await once();
    const before = await settled();
    const listenersBefore = process.listenerCount('exit');
    for (let i = 0; i < 200; i++) await once();
    const after = await settled();
    const resources = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
    console.log(JSON.stringify({
      resources: resources.length,
      listeners: process.listenerCount('exit') - listenersBefore,
      bytesPerBroker: Math.round((after - before) / 200),
    }));`,
  );
  t.diagnostic(JSON.stringify(measured));
  assert.equal(measured.resources, 0);
  assert.equal(measured.listeners, 0);
  // The caches of the engine grow a little; a broker that is kept, or only its message, would be 10 000 and more.
  assert.ok(measured.bytesPerBroker! < 5_000, `${measured.bytesPerBroker} bytes are left of each broker`);
  assert.deepEqual(await readdir(folder), ['script.mjs']);
});
