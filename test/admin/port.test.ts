import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, lstat, readFile, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAudit } from '../../src/admin/audit.js';
import type { HealthState } from '../../src/admin/health.js';
import { openAdminPort } from '../../src/admin/port.js';
import { json } from '../../src/admin/route.js';
import { Router } from '../../src/admin/router.js';
import { Token } from '../../src/admin/token.js';
import { systemClock } from '../../src/clock.js';
import { UsageError } from '../../src/errors.js';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { askAdmin, codeOf } from '../support/admin.js';
import { captureLog } from '../support/captured-log.js';
import { freePort } from '../support/ports.js';
import { runDelayMs } from '../support/run-delay.js';
import { tempFolder } from '../support/temp-folder.js';

const fine: HealthState = { status: 'ok', uptime: 0, connections: 3, store: 'ok', credentials: 'ok' };

async function scene(t: TestContext) {
  const folder = await tempFolder(t);
  const { log, lines } = captureLog();
  const auditFile = join(folder, 'audit.jsonl');
  const tokenFile = join(folder, 'data', 'admin.token');
  const audit = openAudit(auditFile, { clock: systemClock, log });
  const noisyLog = createRateLimited({ clock: systemClock });
  t.after(() => noisyLog.close());
  const router = new Router({
    ...{ audit, log },
    routes: [
      { method: 'GET', path: '/hello', answer: ({ caller }) => json({ door: caller.door, address: caller.address }) },
      { method: 'POST', path: '/change', answer: ({ body }) => json(body) },
      { method: 'GET', path: '/metrics/users', query: { top: { kind: 'text' } }, answer: () => json({ users: 1 }) },
      {
        method: 'GET',
        path: '/stream',
        answer: () => ({ kind: 'stream', type: 'text/plain', begin: (it) => it.write('.') }),
      },
    ],
  });
  const token = new Token(tokenFile, log);
  await token.load();
  const door = { router, audit, noisyLog, names: ['broker.example'] };
  const state = { now: fine, ready: true };
  const metrics = async (accept: string) =>
    ({ kind: 'text', type: 'text/plain', text: `asked for ${accept}\n` }) as const;
  const openAt = (config: { host: string; port: number }) =>
    openAdminPort({ config, door, token, log, metrics, health: () => state.now, ready: () => state.ready });
  return { folder, log, lines, auditFile, tokenFile, audit, token, state, openAt };
}

/** Port 0 turns it off, so a free one is looked for; somebody else may take it first. */
async function open(t: TestContext) {
  const all = await scene(t);
  for (;;) {
    try {
      const health = await all.openAt({ host: '127.0.0.1', port: await freePort() });
      t.after(() => health.close());
      const port = health.port!;
      const bearer = { authorization: `Bearer ${(await readFile(all.tokenFile, 'utf8')).trim()}` };
      return { ...all, health, port, url: `http://127.0.0.1:${port}`, bearer };
    } catch (error) {
      if (!/in use/.test((error as Error).message)) throw error;
    }
  }
}

test('GET /health: 200 while the broker does its work, 503 when it does not', async (t) => {
  const { health, url, state } = await open(t);
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
  const { url } = await open(t);
  const response = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text' } });
  assert.equal(await response.text(), 'asked for application/openmetrics-text\n');
});

test('whatever names users or changes something needs the token, and a name of this host', async (t) => {
  const { port, bearer, audit } = await open(t);
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
  const { tokenFile, token, lines } = await open(t);
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

test('ten thousand requests, slow, huge, or without the token: each refused, and health is answered', {
  timeout: 120_000,
}, async (t) => {
  const { port, url, bearer, auditFile } = await open(t);
  const ours = new Set<Socket>();
  t.after(() => {
    for (const socket of ours) socket.destroy();
  });
  const starts = [
    'POST /v1/change HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n',
    `GET /v1/hello HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${'x'.repeat(3_000)}\r\n\r\n`,
    `GET /v1/${'y'.repeat(20_000)} HTTP/1.1\r\n`,
    'GET /v1/hello HTTP/1.1\r\nho',
    'POST /metrics/users HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n',
    '\u0000\u0001\u0002 \r\n\r\n',
  ];
  let answeredWell = 0;
  let slowestMs = 0;
  for (let i = 0; i < 10_000; i++) {
    const socket = connect({ port, host: '127.0.0.1' });
    ours.add(socket);
    socket.on('error', () => {}).on('close', () => ours.delete(socket));
    socket.on('data', (bytes) => {
      if (/^HTTP\/1\.1 2/.test(String(bytes))) answeredWell++;
    });
    socket.write(starts[i % starts.length]!);
    if (i % 100 !== 0) continue;
    const startMs = performance.now() - runDelayMs();
    assert.equal((await fetch(`${url}/health`, { headers: { connection: 'close' } })).status, 200);
    slowestMs = Math.max(slowestMs, performance.now() - runDelayMs() - startMs);
  }
  assert.equal(answeredWell, 0);
  assert.ok(slowestMs < 2_000, `health took ${slowestMs} ms`);
  assert.equal((await askAdmin(port, '/v1/hello', { headers: bearer })).status, 200);
  assert.ok((await lstat(auditFile)).size < 100_000, 'refusals do not fill the disk');
});

test('streams keep their place, and there are not more than may be', async (t) => {
  const { port, bearer } = await open(t);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const answers: string[] = [];
  for (let i = 0; i < 33; i++) {
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.push(socket);
    socket.write(`GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: ${bearer.authorization}\r\n\r\n`);
    const [bytes] = await once(socket, 'data');
    answers.push(String(bytes).slice(0, 12));
  }
  assert.deepEqual(new Set(answers.slice(0, 32)), new Set(['HTTP/1.1 200']));
  assert.equal(answers[32], 'HTTP/1.1 503');
  const idle = await slowConnections(port, 100, '127.0.0.1');
  t.after(() => idle.close());
  assert.ok(sockets.slice(0, 32).every(({ destroyed, readyState }) => !destroyed && readyState === 'open'));
});

test('everything else is refused', async (t) => {
  const { url } = await open(t);
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
  const { health, url } = await open(t);
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
    const { health, url } = await open(t);
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

test('port 0 turns it off', async (t) => {
  const { openAt } = await scene(t);
  const health = await openAt({ host: '127.0.0.1', port: 0 });
  assert.equal(health.port, null);
  await health.close();
});

test('a port in use and an address of somebody else are named with the remedy', async (t) => {
  const { port, openAt } = await open(t);
  const isUsage = (pattern: RegExp) => (error: unknown) => error instanceof UsageError && pattern.test(error.message);
  await assert.rejects(openAt({ host: '127.0.0.1', port }), isUsage(/^admin\.port: port \d+ is in use; /));
  await assert.rejects(openAt({ host: '192.0.2.1', port }), isUsage(/^admin\.host: 192\.0\.2\.1 is not/));
});
