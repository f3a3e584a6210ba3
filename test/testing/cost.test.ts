import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measure } from '../support/measured-script.js';
import { nothingIsLeftOf } from '../support/nothing-left.js';
import { tempFolder } from '../support/temp-folder.js';

const deadline = { timeout: 120_000 };

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

nothingIsLeftOf(20, null);
