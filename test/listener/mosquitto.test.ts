import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type TestListener, testListener } from '../support/test-listener.js';

/** Says yes to a CONNECT and nothing more: enough for mosquitto_pub at QoS 0. */
function sayYes(socket: Socket): void {
  socket.once('data', () => socket.write(Buffer.from([0x20, 2, 0, 0]))).on('end', () => socket.end());
}

async function publish(tested: TestListener, t: TestContext, ...args: string[]) {
  const all = ['-h', 'localhost', '-p', String(tested.port), '-t', 'a', '-m', 'b', ...args];
  const child = spawn('mosquitto_pub', all, { timeout: 10_000 });
  t.after(() => child.kill());
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  child.stderr.on('data', (data) => {
    text += data;
  });
  const [code] = await once(child, 'close');
  return { code, text };
}

for (const keyType of ['ec', 'rsa'] as const) {
  for (const version of ['tlsv1.2', 'tlsv1.3']) {
    test(`mosquitto_pub trusts an ${keyType} certificate of the development CA over ${version}`, async (t) => {
      const tested = await testListener(t, { certificate: { keyType }, onConnection: sayYes });
      const { code, text } = await publish(tested, t, '--cafile', tested.files.ca, '--tls-version', version);
      assert.equal(code, 0, text);
      assert.equal(tested.accepted.length, 1);
    });
  }
}

test('mosquitto_pub without TLS is closed, and the log says what to do', async (t) => {
  const tested = await testListener(t, { onConnection: sayYes });
  const { code } = await publish(tested, t);
  assert.notEqual(code, 0);
  await tested.waitFor(/sent MQTT without TLS; clients must use TLS/);
  assert.equal(tested.accepted.length, 0);
});

test('mosquitto_pub with another name than the certificate holds is refused by itself', async (t) => {
  const tested = await testListener(t, { certificate: { names: ['mqtt.iot-lab.info'] }, onConnection: sayYes });
  const { code } = await publish(tested, t, '--cafile', tested.files.ca);
  assert.notEqual(code, 0);
  await tested.waitFor(/TLS handshake with 127\.0\.0\.1 failed: .* does not hold the name they connect to/);
});
