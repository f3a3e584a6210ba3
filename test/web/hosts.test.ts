import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { makeAuthority } from '../../src/listener/certificates.js';
import { eventually } from '../support/deadline.js';
import { startTestBroker, type TestBroker, useTestBroker } from '../support/test-broker.js';
import { WebUser } from '../support/web-user.js';

const config = { web: { names: ['Broker.lab'], operators: ['bob'] } };
const broker = useTestBroker({ seams: { web: true }, config });

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the port is reached. */
  readonly at?: string;
}

/** What a browser is answered that believes to be at `host`. */
function statusAt(to: TestBroker, host: string, { path = '/me', method = 'GET', headers, at }: Asked = {}) {
  return new Promise<number>((resolve, reject) => {
    const target = { host: at ?? 'localhost', port: to.webPort, path, method, agent: false, rejectUnauthorized: false };
    const asking = request({ ...target, servername: '', headers: { ...headers, host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.on('error', reject);
    asking.end(method === 'GET' ? '' : '{}');
  });
}

test('names of the certificate and of web.names, localhost and addresses are answered', async () => {
  for (const host of [
    ...['localhost', 'LOCALHOST', 'localhost.', 'mqtt.iot-lab.info', 'broker.lab', 'BROKER.LAB:443', 'x.localhost'],
    ...['127.0.0.1', '192.168.17.4:8443', '[::1]', '[fe80::1]:8443', `localhost:${broker.webPort}`, 'localhost:1'],
  ]) {
    assert.equal(await statusAt(broker, host), 200, host);
  }
});

test('a name that somebody else has lead here (DNS rebinding) is answered nothing, and the log says what helps', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  for (const host of [
    ...[
      'evil.example.org',
      'localhost.evil.example.org',
      'evillocalhost',
      '127.0.0.1.evil.example.org',
      'broker.lab.x',
    ],
    ...['[evil]', '2130706433', 'localhost:x', 'localhost:1:2', 'mqtt.iot-lab.info@evil.example.org'],
  ]) {
    assert.equal(await statusAt(broker, host), 421, host);
  }
  const host = `evil.example.org:${broker.webPort}`;
  const own = { origin: `https://${host}`, 'sec-fetch-site': 'same-origin', cookie: user.cookie };
  assert.equal(await statusAt(broker, host, { path: '/v1/me', headers: own }), 421);
  const post = { ...own, 'content-type': 'application/json' };
  assert.equal(await statusAt(broker, host, { path: '/v1/me/ticket', method: 'POST', headers: post }), 421);
  const line = broker.logs.lines().find((each) => each.host === 'evil.example.org');
  assert.match(String(line?.msg), /^request for another host refused; .*web\.names/);
});

test('neither is a WebSocket of such a name opened', async () => {
  const dial = async (host: string): Promise<number> => {
    const options = { ca: broker.ca, servername: 'localhost', headers: { host }, origin: `https://${host}` };
    const webSocket = new WebSocket(`wss://localhost:${broker.webPort}/mqtt`, ['mqtt'], options);
    webSocket.on('error', () => {});
    const opened = once(webSocket, 'open').then(() => 101);
    const refused = once(webSocket, 'unexpected-response').then(([, { statusCode }]) => statusCode as number);
    opened.catch(() => {});
    refused.catch(() => {});
    const status = await Promise.race([opened, refused]);
    webSocket.terminate();
    return status;
  };
  assert.equal(await dial('evil.example.org'), 421);
  assert.equal(await dial('broker.lab'), 101);
});

test('web.names is taken over while the broker runs', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  assert.equal(await statusAt(own, 'other.lab'), 421);
  await own.reload({ web: { names: ['other.lab'] } });
  assert.equal(await statusAt(own, 'other.lab'), 200);
});

test('the pages are there over IPv6, log-in and all', async () => {
  const host = `[::1]:${broker.webPort}`;
  assert.equal(await statusAt(broker, host, { at: '::1' }), 200);
  const headers = { origin: `https://${host}`, 'content-type': 'application/json' };
  // Neither a foreign origin nor another host: only the login is missing.
  assert.equal(await statusAt(broker, host, { at: '::1', path: '/v1/log-in', method: 'POST', headers }), 400);
});

test('another certificate is shown to new connections, and its names count; pages and clients that are there go on', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const user = await WebUser.logIn(own, 'alice');
  const stream = await user.follow('/v1/me/events');
  await stream.says(/here/);
  const { connectAsync } = await import('mqtt');
  const { ticket } = (await user.ask('/v1/me/ticket', { method: 'POST', body: {} })).body;
  const settings = { ca: own.ca, username: 'alice', password: ticket, reconnectPeriod: 0 };
  const client = await connectAsync(`wss://localhost:${own.webPort}/mqtt`, settings);
  assert.equal(await statusAt(own, 'renewed.lab'), 421);
  const authority = makeAuthority();
  const { cert, key } = authority.issue({ names: ['localhost', 'renewed.lab'] });
  await Promise.all([
    writeFile(`${own.folder}/server.pem`, cert),
    writeFile(`${own.folder}/server.key`, key, { mode: 0o600 }),
    writeFile(`${own.folder}/ca.pem`, authority.cert),
  ]);
  await own.reload();
  assert.equal(await statusAt(own, 'renewed.lab'), 200);
  assert.equal(await statusAt(own, 'mqtt.iot-lab.info'), 421, 'a name of the former certificate');
  await client.publishAsync('iotlab/alice/renewed', '', { qos: 1 });
  await stream.says(/iotlab\/alice\/renewed/);
  const renewed = new WebUser({ ...own, webPort: own.webPort, ca: authority.cert } as TestBroker);
  renewed.cookie = user.cookie;
  assert.equal((await renewed.ask('/v1/me')).status, 200, 'still logged in');
  await assert.rejects(user.ask('/v1/me'), /certificate/);
  assert.match((await renewed.ask('/ca.pem')).text, /BEGIN CERTIFICATE/);
  assert.equal((await renewed.ask('/ca.pem')).text.trim(), authority.cert.trim());
  await client.endAsync();
  stream.close();
  await eventually(5_000, 'the stream to end', () => stream.ended);
});
