import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { test } from 'node:test';
import tls from 'node:tls';
import { type ClientOptions, createWebSocketStream, WebSocket } from 'ws';
import { makeAuthority } from '../../src/listener/certificates.js';
import { askAdmin } from '../support/admin.js';
import { eventually, within } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { connectPacket, freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker({ seams: { web: true }, config: { web: { origins: ['https://board.example.org'] } } });

const urlOf = (path = '/mqtt') => `wss://localhost:${broker.webPort}${path}`;

function dial(subprotocols: string[] = ['mqtt'], options: ClientOptions = {}, path = '/mqtt'): WebSocket {
  return new WebSocket(urlOf(path), subprotocols, { ca: broker.ca, ...options });
}

async function open(subprotocols?: string[], options?: ClientOptions): Promise<WebSocket> {
  const webSocket = dial(subprotocols, options);
  await within(5_000, 'a WebSocket', once(webSocket, 'open'));
  return webSocket;
}

/** The status with which a WebSocket is refused. */
function refusal(subprotocols?: string[], options?: ClientOptions, path?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const webSocket = dial(subprotocols, options, path);
    webSocket.on('error', () => {});
    webSocket.once('open', () => reject(new Error('it was let in')));
    webSocket.once('unexpected-response', (_, { statusCode }) => {
      webSocket.terminate();
      resolve(statusCode ?? 0);
    });
  });
}

const closeCode = async (webSocket: WebSocket): Promise<number> =>
  (await within(5_000, 'the close', once(webSocket, 'close')))[0] as number;

async function lastEnd(clientId: string | null): Promise<{ reason: string; detail: string | null } | undefined> {
  const path = `/v1/connections?login=alice&state=closed&limit=1000`;
  const { body } = await askAdmin(`${broker.folder}/admin.sock`, path);
  const { connections } = body as { connections: { client: string; reason: string; detail: string | null }[] };
  return connections.find(({ client }) => client === clientId);
}

test('[MQTT-6.0.0-3] [MQTT-6.0.0-4] the subprotocol is mqtt, or mqttv3.1, and the broker names it', async () => {
  for (const [asked, named] of [
    [['mqtt'], 'mqtt'],
    [['mqttv3.1'], 'mqttv3.1'],
    [['chat', 'mqtt'], 'mqtt'],
  ] as const) {
    const webSocket = await open([...asked]);
    assert.equal(webSocket.protocol, named);
    assert.equal(webSocket.extensions, '', 'no compression');
    webSocket.terminate();
  }
  assert.equal(await refusal([]), 400);
  assert.equal(await refusal(['chat']), 400);
  assert.equal(await refusal(['mqtt'], {}, '/other'), 404);
  assert.equal(await refusal(['mqtt'], { protocolVersion: 8 }), 426);
});

test('pages of this port and of web.origins may connect, others may not', async () => {
  for (const origin of [`https://localhost:${broker.webPort}`, 'https://board.example.org']) {
    (await open(['mqtt'], { origin })).terminate();
  }
  for (const origin of ['https://evil.example.org', 'http://board.example.org', 'null']) {
    assert.equal(await refusal(['mqtt'], { origin }), 403, origin);
  }
  await broker.reload({ web: { origins: ['https://other.example.org'] } });
  (await open(['mqtt'], { origin: 'https://other.example.org' })).terminate();
  assert.equal(await refusal(['mqtt'], { origin: 'https://board.example.org' }), 403);
  await broker.reload();
});

test('[MQTT-6.0.0-1] a text frame closes the connection, and the history says why', async () => {
  const webSocket = await open();
  const clientId = freshId();
  webSocket.send(connectPacket({ clientId }));
  await within(5_000, 'CONNACK', once(webSocket, 'message'));
  const closing = closeCode(webSocket);
  webSocket.send('as text');
  assert.equal(await closing, 1003);
  await eventually(5_000, 'the end in the history', async () => (await lastEnd(clientId))?.reason === 'protocol-error');
  assert.match((await lastEnd(clientId))?.detail ?? '', /a text frame, where MQTT is binary \[MQTT-6\.0\.0-1\]/);
});

test('pings are answered, and a flood of them ends the connection', async () => {
  const webSocket = await open();
  const pong = once(webSocket, 'pong');
  webSocket.ping('are you there?');
  assert.equal(String((await within(5_000, 'the pong', pong))[0]), 'are you there?');
  const closing = closeCode(webSocket);
  for (let i = 0; i < 200; i++) webSocket.ping();
  assert.equal(await closing, 1002);
});

test("the client's close is answered, and its DISCONNECT before it is heard", async () => {
  const webSocket = await open();
  const clientId = freshId();
  webSocket.send(connectPacket({ clientId }));
  await within(5_000, 'CONNACK', once(webSocket, 'message'));
  webSocket.send(mqtt.disconnect());
  webSocket.close(1000);
  assert.equal(await closeCode(webSocket), 1000);
  await eventually(5_000, 'the end in the history', async () => (await lastEnd(clientId))?.reason === 'disconnect');
});

test('a frame of any length is handled as it comes, and nothing of it is kept', async () => {
  await using receiver = await RawClient.connect(broker);
  await receiver.subscribe(['iotlab/alice/long', 1]);
  const socket = tls.connect({ port: broker.webPort!, ca: broker.ca, servername: 'localhost' });
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`,
  );
  // One frame of a terabyte: its first megabytes are packets like any others.
  const header = Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([header, connectPacket()]));
  for (let i = 0; i < 300; i++) {
    socket.write(mqtt.publish('iotlab/alice/long', Buffer.alloc(10_000, i), { qos: 1, id: i + 1 }));
    assert.equal((await receiver.receive()).payloadBytes[0], i & 255);
  }
  socket.destroy();
});

test('the ledger has what WebSockets keep, and nothing when they are gone', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const held = () => [...own.parts().ledger.accounts].filter((account) => account.balances.connections.bytes > 0);
  const silent = tls.connect({ port: own.webPort!, ca: own.ca, servername: 'localhost' });
  await once(silent, 'secureConnect');
  await eventually(5_000, 'the visit is charged', () => held().length === 1);
  assert.equal(held()[0]?.name, '127.0.0.1');
  const webSocket = new WebSocket(`wss://localhost:${own.webPort}/mqtt`, 'mqtt', { ca: own.ca });
  const stream = createWebSocketStream(webSocket);
  stream.on('error', () => {});
  stream.write(connectPacket());
  await within(5_000, 'CONNACK', once(stream, 'data'));
  assert.deepEqual(
    held()
      .map(({ name }) => name)
      .sort(),
    ['127.0.0.1', 'alice'],
  );
  const opened = [...own.parts().counters.connectionsOpened].filter(([, count]) => count > 0);
  assert.deepEqual(opened, [['websocket 3.1.1', 1]]);
  webSocket.terminate();
  silent.destroy();
  await eventually(5_000, 'everything is given back', () => held().length === 0);
});

test('limits.connectionsPerAddress counts both ports, and handshakes have their deadline', async () => {
  await using own = await startTestBroker({
    seams: { web: true },
    config: { limits: { connectionsPerAddress: 2, handshakeTimeoutMs: 300 } },
  });
  await using _first = await RawClient.connect(own);
  const second = tls.connect({ port: own.webPort!, ca: own.ca, servername: 'localhost' });
  await once(second, 'secureConnect');
  await assert.rejects(RawClient.connect(own));
  second.destroy();
  await eventually(5_000, 'room for another one', async () => {
    const webSocket = new WebSocket(`wss://localhost:${own.webPort}/mqtt`, 'mqtt', { ca: own.ca });
    webSocket.on('error', () => {});
    const [opened] = await Promise.race([once(webSocket, 'open').then(() => [true]), once(webSocket, 'close')]);
    webSocket.terminate();
    return opened === true;
  });
});

test('the certificate is the one of the listener, a renewed one too', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const shown = async (ca: string) => {
    const socket = tls.connect({ port: own.webPort!, ca, servername: 'localhost' });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = await shown(own.ca);
  const authority = makeAuthority();
  const { cert, key } = authority.issue();
  await Promise.all([
    writeFile(`${own.folder}/server.pem`, cert),
    writeFile(`${own.folder}/server.key`, key),
    writeFile(`${own.folder}/ca.pem`, authority.cert),
  ]);
  await askAdmin(`${own.folder}/admin.sock`, '/v1/certificates/reload', { method: 'POST' });
  assert.notEqual(await shown(authority.cert), before);
});

test('anything else over HTTPS is not there', async () => {
  const asking = request({ host: 'localhost', port: broker.webPort, ca: broker.ca, path: '/nothing' }).end();
  const [response] = await within(5_000, 'the answer', once(asking, 'response'));
  response.resume();
  assert.equal(response.statusCode, 404);
});
