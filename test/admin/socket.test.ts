import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAudit } from '../../src/admin/audit.js';
import { json } from '../../src/admin/route.js';
import { Router } from '../../src/admin/router.js';
import { openAdminSocket } from '../../src/admin/socket.js';
import { systemClock } from '../../src/clock.js';
import { createRateLimited } from '../../src/observe/rate-limited.js';
import { askAdmin, codeOf } from '../support/admin.js';
import { captureLog } from '../support/captured-log.js';
import { tempFolder } from '../support/temp-folder.js';

async function scene(t: TestContext) {
  const folder = await tempFolder(t);
  const path = join(folder, 'data', 'admin.sock');
  const { log, lines } = captureLog();
  const auditFile = join(folder, 'data', 'audit.jsonl');
  const audit = openAudit(auditFile, { clock: systemClock, log });
  const counted: string[] = [];
  const router = new Router({
    ...{ audit, log },
    routes: [
      { method: 'GET', path: '/hello', answer: () => json({ hello: 'world' }) },
      { method: 'POST', path: '/echo', answer: ({ body }) => json(body) },
    ],
    onAnswer: (route, status) => counted.push(`${route} ${status}`),
  });
  const noisyLog = createRateLimited({ clock: systemClock });
  t.after(() => noisyLog.close());
  const door = { router, audit, noisyLog, names: [] };
  const open = async () => {
    const socket = await openAdminSocket(path, door, log);
    t.after(() => socket?.close());
    return socket;
  };
  return { folder, path, log, lines, open, counted, audit, auditFile, door };
}

test('is for its owner from its first moment on, and goes with the broker', async (t) => {
  const { path, open, folder } = await scene(t);
  const socket = await open();
  assert.equal((await lstat(path)).mode & 0o777, 0o600);
  assert.deepEqual((await askAdmin(path, '/v1/hello')).body, { hello: 'world' });
  assert.deepEqual(await readdir(join(folder, 'data')), ['admin.sock']);
  await socket!.close();
  assert.deepEqual(await readdir(join(folder, 'data')), []);
});

test('another account of the machine does not get in', async (t) => {
  assert.equal(process.getuid?.(), 0, 'this test has to become somebody else, and so begins as root');
  const { path, open, folder } = await scene(t);
  await open();
  // The folders are open to everybody: only the socket's own mode is left.
  await chmod(folder, 0o755);
  await chmod(join(folder, 'data'), 0o777);
  const attempt = `require('node:net').connect(${JSON.stringify(path)}).on('connect', () => process.exit(7)).on('error', (e) => { console.log(e.code); process.exit(3); })`;
  const { status, stdout } = spawnSync(process.execPath, ['-e', attempt], { uid: 65534, gid: 65534, cwd: '/' });
  assert.deepEqual([status, String(stdout).trim()], [3, 'EACCES']);
});

test('what a broker that died left is replaced; one that lives is not robbed; a file is not touched', async (t) => {
  const { path, open, lines } = await scene(t);
  const first = await open();
  assert.equal(await open(), null);
  assert.match(JSON.stringify(lines().at(-1)), /another broker listens there/);
  assert.equal((await askAdmin(path, '/v1/hello')).status, 200);
  await first!.close();
  // A socket that nobody listens on.
  const crash = `const s = require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', crash]);
  assert.ok((await lstat(path)).isSocket());
  const second = await open();
  assert.equal((await askAdmin(path, '/v1/hello')).status, 200);
  await second!.close();
  await writeFile(path, 'mine');
  assert.equal(await open(), null);
  assert.equal(await readFile(path, 'utf8'), 'mine');
});

test('a path that is too long is said to be, and nothing else suffers', async (t) => {
  const { log, lines, folder, door } = await scene(t);
  assert.equal(await openAdminSocket(join(folder, 'x'.repeat(100)), door, log), null);
  assert.match(JSON.stringify(lines().at(-1)), /a socket's may have 10\d/);
  assert.equal(await openAdminSocket('', door, log), null);
});

test('what a page in a browser may send is refused, and told to the audit log where it would change something', async (t) => {
  const { path, open, audit } = await scene(t);
  await open();
  const ask = async (headers: Record<string, string>, body?: string) => {
    const answer = await askAdmin(path, '/v1/echo', {
      method: 'POST',
      headers,
      ...(body === undefined ? {} : { body }),
    });
    return [answer.status, codeOf(answer)];
  };
  assert.deepEqual(await ask({ origin: 'https://evil.example' }), [403, 'foreign-origin']);
  assert.deepEqual(await ask({ origin: 'null' }), [403, 'foreign-origin']);
  assert.deepEqual(await ask({ host: 'evil.example' }), [403, 'wrong-host']);
  assert.deepEqual(await ask({ 'sec-fetch-site': 'cross-site' }), [403, 'foreign-origin']);
  assert.deepEqual(await ask({ 'content-type': 'text/plain' }, '{}'), [415, 'wrong-type']);
  assert.deepEqual(await ask({ 'content-type': 'application/x-www-form-urlencoded' }, 'a=1'), [415, 'wrong-type']);
  assert.deepEqual(await ask({ 'content-type': 'application/json; charset=utf-8' }, '{"a":1}'), [200, undefined]);
  const { headers } = await askAdmin(path, '/v1/hello');
  assert.equal(headers['access-control-allow-origin'], undefined);
  assert.equal(headers['cache-control'], 'no-store');
  assert.ok((await audit.tail(10)).length >= 1);
});

test('a body that is too large, and a request that never ends, are ended', { timeout: 30_000 }, async (t) => {
  const { path, open } = await scene(t);
  await open();
  const large = await askAdmin(path, '/v1/echo', { method: 'POST', body: { a: 'x'.repeat(70_000) } });
  assert.deepEqual([large.status, codeOf(large)], [413, 'too-large']);
  const slow = connect(path);
  await once(slow, 'connect');
  slow.write(
    'POST /v1/echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  );
  await once(slow.resume(), 'close');
  assert.equal((await askAdmin(path, '/v1/hello')).status, 200);
});

test('the audit log is a file of mode 0600, of JSON lines, with one file before it', async (t) => {
  const { audit, auditFile } = await scene(t);
  const caller = { door: 'port', address: '192.0.2.1', claims: '\u001b[2J<b>' } as const;
  const entry = { caller, what: 'DELETE /v1/x', body: 'y'.repeat(400), status: 200, result: 'done' };
  audit.write(entry);
  await audit.close();
  const text = await readFile(auditFile, 'utf8');
  assert.equal((await lstat(auditFile)).mode & 0o777, 0o600);
  assert.match(text, /"claims":"\\u001b\[2J\\u003cb\\u003e"/);
  const [line] = (await audit.tail(5)) as [{ what: string; door: string; address: string }];
  assert.deepEqual([line.what, line.door, line.address], ['DELETE /v1/x', 'port', '192.0.2.1']);
  for (let i = 0; i < 40_000; i++) {
    audit.write(entry);
    if (i % 500 === 0) await audit.close();
  }
  await audit.close();
  const sizes = await Promise.all([auditFile, `${auditFile}.1`].map(async (file) => (await lstat(file)).size));
  assert.ok(
    sizes.every((size) => size < 10 * 1024 * 1024),
    String(sizes),
  );
  assert.equal((await audit.tail(3)).length, 3);
});

test('an audit log that cannot be written is told once, and stops nothing', async (t) => {
  const { log, lines } = captureLog();
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'file'), '');
  const audit = openAudit(join(folder, 'file', 'audit.jsonl'), { clock: systemClock, log });
  const caller = { door: 'socket', address: null, claims: null } as const;
  for (let i = 0; i < 3; i++) {
    audit.write({ caller, what: 'DELETE /v1/x', body: null, status: 200, result: 'done' });
    await audit.close();
  }
  assert.equal(lines().filter((line) => JSON.stringify(line).includes('audit log')).length, 1);
  assert.deepEqual(await audit.tail(3), []);
});

test('nobody is kept from an answer by connections that say nothing', { timeout: 30_000 }, async (t) => {
  const { path, open } = await scene(t);
  await open();
  const idle = Array.from({ length: 60 }, () => connect(path));
  t.after(() => {
    for (const socket of idle) socket.destroy();
  });
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  assert.equal((await askAdmin(path, '/v1/hello')).status, 200);
});
