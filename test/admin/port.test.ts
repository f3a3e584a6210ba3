import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, lstat, readFile, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { askAdmin, codeOf } from '../support/admin.js';
import { adminScene, fine, openAdminScene, refusesAll } from '../support/admin-port.js';
import { eventually } from '../support/deadline.js';

test('GET /health: 200 while the broker does its work, 503 when it does not', async (t) => {
  const { health, url, state } = await openAdminScene(t);
  for (const [status, code] of [
    ['ok', 200],
    ['degraded', 200],
    ['failing', 503],
    ['stopping', 503],
  ] as const) {
    state.now = { ...fine, status };
    const response = await fetch(`${url}/health?verbose`);
    assert.deepEqual([response.status, await response.json()], [code, state.now]);
  }
  await health.close();
  await assert.rejects(fetch(`${url}/health`));
});

test('GET /metrics: in the format that is asked for', async (t) => {
  const { url } = await openAdminScene(t);
  const response = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text' } });
  assert.equal(await response.text(), 'asked for application/openmetrics-text\n');
});

test('whatever names users or changes something needs the token, and a name of this host', async (t) => {
  const { port, bearer, audit } = await openAdminScene(t);
  const ask = async (path: string, headers: Record<string, string> = {}, more: object = {}) => {
    const answer = await askAdmin(port, path, { headers, ...more });
    return [answer.status, codeOf(answer)];
  };
  for (const path of ['/v1/hello', '/metrics/users', '/v1/nothing']) {
    assert.deepEqual(await ask(path), [401, 'no-token'], path);
    assert.deepEqual(await ask(path, { authorization: 'Bearer x' }), [401, 'no-token']);
    assert.deepEqual(await ask(path, { authorization: bearer.authorization.replace('Bearer', 'Basic') }), [
      401,
      'no-token',
    ]);
    assert.deepEqual(await ask(path, { cookie: bearer.authorization }), [401, 'no-token']);
  }
  const change = { method: 'POST', body: { a: 1 } };
  assert.deepEqual(await ask('/v1/change', {}, change), [401, 'no-token']);
  // Its body is not read, and so nothing behind it.
  const staying = await askAdmin(port, '/v1/change', { ...change, headers: { connection: 'keep-alive' } });
  assert.equal(staying.headers.connection, 'close');
  assert.deepEqual(await ask('/v1/change', bearer, change), [200, undefined]);
  assert.deepEqual(await ask('/v1/change', bearer), [405, 'wrong-method']);
  assert.deepEqual(await ask('/v1/change', { ...bearer, origin: 'http://localhost' }, change), [403, 'foreign-origin']);
  for (const [host, status] of [
    ['localhost', 200],
    [`127.0.0.1:${port}`, 200],
    [`[::1]:${port}`, 200],
    ['BROKER.example:1', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
  ] as const) {
    assert.equal((await ask('/v1/hello', { ...bearer, host }))[0], status, host);
  }
  assert.deepEqual((await askAdmin(port, '/v1/hello', { headers: bearer })).body, {
    door: 'port',
    address: '127.0.0.1',
  });
  assert.deepEqual((await askAdmin(port, '/metrics/users?top=5', { headers: bearer })).body, { users: 1 });
  const { headers } = await askAdmin(port, '/v1/hello', { headers: bearer });
  assert.equal(headers['access-control-allow-origin'], undefined);
  const lines = (await audit.tail(50)) as { result: string; door: string; address: string; what: string }[];
  const refused = lines.find(({ result }) => result === 'no-token')!;
  assert.deepEqual([refused.door, refused.address, refused.what], ['port', '127.0.0.1', 'GET /v1/hello']);
  assert.ok(!JSON.stringify(lines).includes(bearer.authorization.slice(7)), 'no token is in the audit log');
});

test('the token is made once, for its owner; one that others may read, or that is short, is not used', async (t) => {
  const { tokenFile, token, lines } = await openAdminScene(t);
  assert.equal((await lstat(tokenFile)).mode & 0o777, 0o600);
  const text = (await readFile(tokenFile, 'utf8')).trim();
  await token.load();
  assert.ok(token.matches(text));
  await chmod(tokenFile, 0o640);
  await token.load();
  assert.ok(!token.matches(text));
  assert.match(JSON.stringify(lines().at(-1)), /chmod 600/);
  await chmod(tokenFile, 0o600);
  await writeFile(tokenFile, '\n');
  await token.load();
  assert.ok(!token.matches(''));
});

refusesAll(2_000);

test('streams keep their place, and there are not more than may be', async (t) => {
  const { port, bearer } = await openAdminScene(t);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const stream = async () => {
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.push(socket);
    socket.write(`GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: ${bearer.authorization}\r\n\r\n`);
    const [bytes] = await once(socket, 'data');
    return String(bytes).slice(0, 12);
  };
  const answers: string[] = [];
  for (let i = 0; i < 33; i++) answers.push(await stream());
  assert.deepEqual(new Set(answers.slice(0, 32)), new Set(['HTTP/1.1 200']));
  assert.equal(answers[32], 'HTTP/1.1 503');
  const idle = await slowConnections(port, 100, '127.0.0.1');
  t.after(() => idle.close());
  assert.ok(sockets.slice(0, 32).every(({ destroyed, readyState }) => !destroyed && readyState === 'open'));
  sockets[0]!.destroy();
  await eventually(5_000, 'the place of one that is gone is free', async () => (await stream()) === 'HTTP/1.1 200');
});

test('everything else is refused', async (t) => {
  const { url } = await openAdminScene(t);
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/health/x`)).status, 404);
  const post = await fetch(`${url}/health`, { method: 'POST', body: 'x'.repeat(100_000) });
  assert.equal(post.status, 405);
  await post.text();
  const head = await fetch(`${url}/health`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.equal((await fetch(`${url}/health`, { headers: { long: 'x'.repeat(8_000) } })).status, 431);
});

test('close ends connections that say nothing', { timeout: 10_000 }, async (t) => {
  const { health, url } = await openAdminScene(t);
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
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    sockets.push(socket);
  }
  let at = 0;
  return {
    open: () => sockets.filter(({ readyState }) => readyState === 'open').length,
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
    const { health, url } = await openAdminScene(t);
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
    await eventually(5_000, 'those that are too many are closed', () => slow.open() <= 64);
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

test('port 0 turns it off', async (t) => {
  const { openAt } = await adminScene(t);
  const health = await openAt({ host: '127.0.0.1', port: 0 });
  assert.equal(health.port, null);
  await health.close();
});

test('a port in use and an address of somebody else are named with the remedy', async (t) => {
  const { port, openAt } = await openAdminScene(t);
  const isUsage = (pattern: RegExp) => (error: unknown) => error instanceof UsageError && pattern.test(error.message);
  await assert.rejects(openAt({ host: '127.0.0.1', port }), isUsage(/^admin\.port: port \d+ is in use; /));
  await assert.rejects(openAt({ host: '192.0.2.1', port }), isUsage(/^admin\.host: 192\.0\.2\.1 is not/));
});
