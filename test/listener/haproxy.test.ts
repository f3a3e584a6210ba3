import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { DeepPartial } from '../../src/config/defaults.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { checkHaproxy, startHaproxy } from '../support/haproxy.js';
import { startClient } from '../support/mosquitto-clients.js';
import { freePort } from '../support/ports.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

/** A broker behind a real HAProxy that ends TLS for it, `server` being how the one reaches the other. */
async function behindHaproxy(
  t: TestContext,
  folder: string,
  proxy: DeepPartial<Config['listener']['proxy']>,
  server: string,
) {
  const broker = await startTestBroker({ config: { listener: { proxy: { exclusive: true, ...proxy } } } });
  t.after(() => broker.stop());
  const authority = makeAuthority();
  const { cert, key } = authority.issue();
  await writeFile(join(folder, 'front.pem'), cert + key, { mode: 0o600 });
  await writeFile(join(folder, 'clients.pem'), authority.cert);
  await writeFile(join(folder, 'broker-ca.pem'), broker.ca);
  const port = await freePort();
  const config = `
global
  nbthread 1
defaults
  mode tcp
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend mqtts
  bind 127.0.0.1:${port} ssl crt front.pem ssl-min-ver TLSv1.2
  default_backend broker
backend broker
  server a ${server} send-proxy-v2 check inter 50ms
`;
  await startHaproxy(t, folder, config, port);
  assert.equal(await checkHaproxy(join(folder, 'haproxy.cfg')), '');
  return { broker, front: { host: '127.0.0.1', port, ca: authority.cert }, caFile: join(folder, 'clients.pem') };
}

/** What a user does, by mosquitto's own clients and from an address of its own; and what the log says of it. */
async function use(t: TestContext, { broker, front, caFile }: Awaited<ReturnType<typeof behindHaproxy>>) {
  const home = await tempFolder(t);
  const as = (login: string) => ['-u', login, '-P', passwordOf(login)];
  const where = ['--cafile', caFile, '-h', 'localhost', '-p', String(front.port), '-A', '127.0.0.9'];
  const topic = 'iotlab/alice/t';
  const subscribed = startClient('mosquitto_sub', [...where, ...as('alice'), '-t', topic, '-C', '2', '-d'], { home });
  await subscribed.line(/SUBACK/);
  for (const message of ['one', 'two']) {
    const args = [...where, ...as('alice'), '-t', topic, '-q', '1', '-m', message];
    assert.equal((await startClient('mosquitto_pub', args, { home }).finished()).code, 0);
  }
  const { stdout } = await subscribed.finished();
  assert.match(stdout, /^one$[\s\S]*^two$/m);
  await broker.logs.waitFor(/^connected$/);
  const comings = broker.logs.lines().filter(({ msg }) => msg === 'connected');
  assert.deepEqual([...new Set(comings.map(({ address }) => address))], ['127.0.0.9']);

  // Large ones, both ways and in pieces.
  await using client = await RawClient.connect(front, { as: 'bob' });
  await client.subscribe(['iotlab/bob/big', 1]);
  const big = randomBytes(150_000).toString('hex');
  await client.publish('iotlab/bob/big', big, { qos: 1 });
  assert.ok((await client.receive()).payload === big, 'it came back as it was');
}

/** HAProxy checks with a LOCAL header, twenty times a second here. */
function nothingSaidOfChecks(broker: TestBroker): void {
  const said = broker.logs.lines().filter(({ msg }) => /before CONNECT|Connection closed/.test(String(msg)));
  assert.deepEqual(said, []);
}

test('HAProxy hands clients over on a Unix socket, with their addresses', async (t) => {
  const folder = await tempFolder(t);
  const socket = join(folder, 'broker.sock');
  const scene = await behindHaproxy(t, folder, { socket }, `unix@${socket}`);
  await use(t, scene);
  nothingSaidOfChecks(scene.broker);
});

test('HAProxy hands clients over by TLS, with a certificate of its own, and without it nobody', async (t) => {
  const folder = await tempFolder(t);
  const proxies = makeAuthority({ name: 'proxies' });
  const { cert, key } = proxies.issue({ names: ['front'], purpose: 'proxy' });
  await mkdir(join(folder, 'tls'));
  await writeFile(join(folder, 'tls/proxies.pem'), proxies.cert);
  await writeFile(join(folder, 'tls/front.pem'), cert + key, { mode: 0o600 });
  const port = await freePort();
  const proxy = { port, host: '127.0.0.1', ca: join(folder, 'tls/proxies.pem'), names: ['front'] };
  const verified = 'ssl verify required ca-file broker-ca.pem verifyhost localhost';
  const scene = await behindHaproxy(t, folder, proxy, `127.0.0.1:${port} ${verified} crt tls/front.pem`);
  await use(t, scene);
  nothingSaidOfChecks(scene.broker);

  const other = join(folder, 'other');
  await mkdir(other);
  await copyFile(join(folder, 'front.pem'), join(other, 'front.pem'));
  const frontPort = await freePort();
  const bare = `
defaults
  mode tcp
  timeout connect 1s
  timeout client 2s
  timeout server 2s
listen mqtts
  bind 127.0.0.1:${frontPort} ssl crt front.pem
  server a 127.0.0.1:${port} ssl verify none send-proxy-v2
`;
  await startHaproxy(t, other, bare, frontPort);
  await assert.rejects(RawClient.connect({ ...scene.front, port: frontPort }, { as: 'bob' }));
  await scene.broker.logs.waitFor(/showed no certificate/);
});

test("HAProxy that does not find the broker's certificate good is told of with what helps", async (t) => {
  const folder = await tempFolder(t);
  const proxies = makeAuthority({ name: 'proxies' });
  const { cert, key } = proxies.issue({ names: ['front'], purpose: 'proxy' });
  await writeFile(join(folder, 'proxies.pem'), proxies.cert);
  await writeFile(join(folder, 'shown.pem'), cert + key, { mode: 0o600 });
  const port = await freePort();
  const proxy = { port, host: '127.0.0.1', ca: join(folder, 'proxies.pem') };
  const verified = 'ssl verify required ca-file broker-ca.pem verifyhost broker-b.example.org crt shown.pem';
  const { broker, front } = await behindHaproxy(t, folder, proxy, `127.0.0.1:${port} ${verified}`);
  await assert.rejects(RawClient.connect(front, { as: 'bob' }));
  const { reason } = await broker.logs.waitFor(/Connection closed on listener\.proxy\.port/);
  assert.match(String(reason), /does not accept the broker's certificate.*have the name of cluster\.machines/);
});
