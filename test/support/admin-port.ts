import assert from 'node:assert/strict';
import { lstat, readFile } from 'node:fs/promises';
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
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { askAdmin } from './admin.js';
import { captureLog } from './captured-log.js';
import { freePort } from './ports.js';
import { runDelayMs } from './run-delay.js';
import { tempFolder } from './temp-folder.js';

export const fine: HealthState = { status: 'ok', uptime: 0, connections: 3, store: 'ok', credentials: 'ok' };

/** All that an admin port needs, and how to open one. */
export async function adminScene(t: TestContext) {
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

/** An open one. Port 0 turns it off, so a free one is looked for; somebody else may take it first. */
export async function openAdminScene(t: TestContext) {
  const all = await adminScene(t);
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

/** A test: so many of them, one as soon as the other. */
export function refusesAll(count: number): void {
  test(`${count} requests, slow, huge, or without the token: each refused, and health is answered`, {
    timeout: 120_000,
  }, async (t) => {
    const { port, url, bearer, auditFile } = await openAdminScene(t);
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
    for (let i = 0; i < count; i++) {
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
}
