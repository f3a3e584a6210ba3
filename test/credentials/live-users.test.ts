import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { createBroker } from '../../src/broker.js';
import { runCli } from '../../src/cli/command-line.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { ensureCertificates } from '../../src/listener/certificate-files.js';
import { captureLog } from '../support/captured-log.js';
import { captureIo } from '../support/command-io.js';
import { tempFolder } from '../support/temp-folder.js';

async function setup(t: TestContext) {
  const folder = await tempFolder(t);
  const path = join(folder, 'users');
  const files = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key'), ca: join(folder, 'ca.pem') };
  await ensureCertificates(files);
  const user = async (action: string, login: string, password = ''): Promise<void> => {
    const args = action === 'remove' ? [] : ['--password-stdin'];
    const io = captureIo({}, password);
    assert.equal(await runCli(['user', action, login, '--file', path, ...args], io), 0, io.err());
  };
  await user('add', 'alice', 'secret one!');
  await user('add', 'bobby', 'x');
  const captured = captureLog();
  const config = defaultConfig({
    listener: { host: '127.0.0.1', port: 0, ...files },
    credentials: { file: { path } },
    storage: { path: 'memory' },
    admin: { port: 0, socket: '', auditFile: '', bansFile: '', tokenFile: '' },
  });
  const broker = await createBroker(config, { log: captured.log });
  await broker.start();
  t.after(() => broker.stop());
  const ca = await readFile(files.ca);
  /** A client after its CONNACK, or the code of its refusal. */
  const connect = async (username: string, password: string): Promise<MqttClient | number> => {
    const options = { ca, username, password, reconnectPeriod: 0, connectTimeout: 10_000 };
    const client = mqtt.connect(`mqtts://127.0.0.1:${broker.port}`, options);
    t.after(() => client.end(true));
    return new Promise((resolve, reject) => {
      client.once('connect', () => resolve(client));
      client.once('error', (error) => {
        const { code } = error as { code?: unknown };
        if (typeof code === 'number') resolve(code);
        else reject(error);
      });
    });
  };
  return { user, captured, connect };
}

function connected(client: MqttClient | number): MqttClient {
  assert.ok(typeof client !== 'number', `refused with code ${client}`);
  return client;
}

/** Resolves when the connection ends; rejects when it is still there after ten seconds. */
function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the connection is still open')), 10_000);
    client.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

test('users are added, changed and removed while the broker runs, and only their own sessions end', async (t) => {
  const { user, captured, connect } = await setup(t);
  const alice = connected(await connect('alice', 'secret one!'));
  const bobby = connected(await connect('bobby', 'x'));
  assert.equal(await connect('alice', 'wrong'), 5);
  assert.equal(await connect('carol', 'new here'), 5);

  captured.clear();
  await user('add', 'carol', 'new one');
  await captured.waitFor(/^users file read again$/);
  connected(await connect('carol', 'new one'));

  const aliceClosed = closed(alice);
  await user('passwd', 'alice', 'secret two!');
  await aliceClosed;
  assert.equal(await connect('alice', 'secret one!'), 5);
  connected(await connect('alice', 'secret two!'));
  assert.equal(bobby.connected, true);

  const bobbyClosed = closed(bobby);
  await user('remove', 'bobby');
  await bobbyClosed;
  assert.equal(await connect('bobby', 'x'), 5);
  for (const secret of ['secret one!', 'secret two!', 'new here', 'new one', '$scrypt$']) {
    assert.ok(!captured.text().includes(secret), `the log holds ${secret}`);
  }
});
