import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { type HealthState, openHealth } from '../../src/observe/health.js';
import { createLog } from '../../src/observe/log.js';

const log = createLog({ level: 'silent', format: 'json' });
const fine: HealthState = { connections: 3, storeFault: null, credentialsFault: null, stopping: false };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Port 0 turns it off, so a free one is looked for; somebody else may take it first. */
async function open(state: () => HealthState, metrics: () => Record<string, number> = () => ({})) {
  for (;;) {
    const port = await freePort();
    try {
      const health = await openHealth({ config: { host: '127.0.0.1', port }, log, state, metrics });
      return { health, url: `http://127.0.0.1:${port}` };
    } catch (error) {
      if (!/in use/.test((error as Error).message)) throw error;
    }
  }
}

test('GET /health: 200 while the broker does its work, 503 when it does not', async () => {
  let state = fine;
  const { health, url } = await open(() => state);
  const ask = async (change: Partial<HealthState>) => {
    state = { ...fine, ...change };
    const response = await fetch(`${url}/health?verbose`);
    const { uptime, ...body } = (await response.json()) as Record<string, unknown>;
    assert.equal(uptime, 0);
    return [response.status, body];
  };
  const body = { status: 'ok', connections: 3, store: 'ok', credentials: 'ok' };
  assert.deepEqual(await ask({}), [200, body]);
  const down = { ...body, status: 'degraded', credentials: 'E_LDAP_TIMEOUT' };
  assert.deepEqual(await ask({ credentialsFault: 'E_LDAP_TIMEOUT' }), [200, down]);
  assert.deepEqual(await ask({ storeFault: 'E_STORE' }), [503, { ...body, status: 'failing', store: 'E_STORE' }]);
  assert.deepEqual(await ask({ stopping: true }), [503, { ...body, status: 'stopping' }]);
  await health.close();
  await assert.rejects(fetch(`${url}/health`));
});

test('GET /metrics: the text format of Prometheus', async () => {
  const { health, url } = await open(
    () => fine,
    () => ({ published_total: 7, 'odd-name': 1 }),
  );
  const response = await fetch(`${url}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.equal(
    await response.text(),
    '# TYPE iotlab_broker_uptime_seconds gauge\niotlab_broker_uptime_seconds 0\n' +
      '# TYPE iotlab_broker_connections gauge\niotlab_broker_connections 3\n' +
      '# TYPE iotlab_broker_published_total counter\niotlab_broker_published_total 7\n' +
      '# TYPE iotlab_broker_odd_name gauge\niotlab_broker_odd_name 1\n',
  );
  await health.close();
});

test('everything else is refused', async () => {
  const { health, url } = await open(() => fine);
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/health/x`)).status, 404);
  const post = await fetch(`${url}/health`, { method: 'POST', body: 'x'.repeat(100_000) });
  assert.equal(post.status, 405);
  await post.text();
  const head = await fetch(`${url}/health`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.equal((await fetch(`${url}/health`, { headers: { long: 'x'.repeat(8_000) } })).status, 431);
  await health.close();
});

test('close ends connections that say nothing', { timeout: 10_000 }, async () => {
  const { health, url } = await open(() => fine);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await health.close();
  await closed;
});

/** Connects `count` times from `from` and sends a request of which one more byte comes each time that it is asked for. */
async function slowConnections(port: number, count: number, from: string) {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 1) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from });
    socket.on('error', () => {});
    await once(socket, 'connect');
    sockets.push(socket);
  }
  let at = 0;
  return {
    drip: () => {
      for (const socket of sockets) if (socket.writable) socket.write('GET /health HTTP/1.1\r\nhost: slow'[at]!);
      at += 1;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('slow connections do not keep anybody from an answer', { timeout: 60_000 }, async (t) => {
  for (const count of [64, 300]) {
    const { health, url } = await open(() => fine);
    const slow = await slowConnections(health.port!, count, '127.0.0.2');
    t.after(() => slow.close());
    // One that was there before them and comes back keeps its place: it is not of the address that has the most.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let i = 0; i < 10; i += 1) {
      slow.drip();
      assert.equal((await fetch(`${url}/health`, { headers: { connection: 'close' } })).status, 200);
      assert.equal(await statusOf(`${url}/health`, agent), 200);
    }
    // As many from the very address that asks: the newest is let in all the same.
    const near = await slowConnections(health.port!, count, '127.0.0.1');
    t.after(() => near.close());
    for (let i = 0; i < 10; i += 1) {
      near.drip();
      assert.equal((await fetch(`${url}/health`, { headers: { connection: 'close' } })).status, 200);
    }
    await health.close();
  }
});

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    }).on('error', reject);
  });
}

test('port 0 turns it off', async () => {
  const health = await openHealth({ config: { host: '127.0.0.1', port: 0 }, log, state: () => fine });
  assert.equal(health.port, null);
  await health.close();
});

test('a port in use and an address of somebody else are named with the remedy', async () => {
  const { health, url } = await open(() => fine);
  const config = { host: '127.0.0.1', port: Number(new URL(url).port) };
  const isUsage = (pattern: RegExp) => (error: unknown) => error instanceof UsageError && pattern.test(error.message);
  await assert.rejects(openHealth({ config, log, state: () => fine }), isUsage(/^admin\.port: port \d+ is in use; /));
  const elsewhere = { ...config, host: '192.0.2.1' };
  await assert.rejects(
    openHealth({ config: elsewhere, log, state: () => fine }),
    isUsage(/^admin\.host: 192\.0\.2\.1 is not/),
  );
  await health.close();
});
