import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import tls from 'node:tls';
import { askAdmin } from '../support/admin.js';
import { eventually, within } from '../support/deadline.js';
import { startTestBroker, type TestBroker, useTestBroker } from '../support/test-broker.js';
import { WebUser } from '../support/web-user.js';

const broker = useTestBroker({ seams: { web: true }, config: { web: { operators: ['bob'] } } });
const socket = () => `${broker.folder}/admin.sock`;

test('whatever is wrong with a log-in, the answer is the same; the cookie is for this host, HTTPS and no script', async () => {
  const user = new WebUser(broker);
  const answers = [await user.logIn('alice', 'wrong'), await user.logIn('nobody', 'x'), await user.logIn('No Login')];
  for (const { status, text, headers } of answers) {
    assert.deepEqual([status, text, headers['set-cookie']], [401, answers[0]!.text, undefined]);
  }
  const { status, headers } = await user.logIn('alice');
  assert.equal(status, 200);
  const [cookie = ''] = headers['set-cookie'] ?? [];
  assert.match(cookie, /^__Host-session=[\w-]{43}; Path=\/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$/);
  assert.deepEqual((await user.ask('/v1/session')).body, {
    login: 'alice',
    operator: false,
    mqttPort: broker.port,
  });
  await user.ask('/v1/log-out', { method: 'POST', body: {} });
  assert.equal((await user.ask('/v1/me')).status, 401, 'the cookie is good no more, whoever has kept it');
});

test('pages have a strict policy, and nothing is for other origins', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  for (const path of ['/me', '/operator', '/status', '/me.js', '/page.css', '/v1/me', '/nothing']) {
    const { headers } = await user.ask(path);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'self'; .*frame-ancestors 'none'/, path);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
  const { headers, text } = await user.ask('/me');
  assert.doesNotMatch(text, /<script(?![^>]* src=)|\son\w+=|style=|\{\{/, 'no inline script or style, no gap');
  assert.equal((await user.ask('/me', { headers: { 'if-none-match': headers.etag ?? '' } })).status, 304);
});

test('what another page could have a browser send is refused', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const post = { method: 'POST', body: {} };
  for (const [headers, status] of [
    [{ origin: 'https://evil.example.org' }, 403],
    [{ origin: `http://localhost:${broker.webPort}` }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'content-type': 'text/plain' }, 415],
    [{ 'content-type': 'application/x-www-form-urlencoded' }, 415],
  ] as const) {
    assert.equal((await user.ask('/v1/me/ticket', { ...post, headers })).status, status, JSON.stringify(headers));
  }
  for (const headers of [{ origin: 'https://evil.example.org' }, { 'sec-fetch-site': 'cross-site' }]) {
    assert.equal((await user.ask('/v1/me', { headers })).status, 403);
  }
  const tooLong = { method: 'POST', body: { login: 'x'.repeat(10_000), password: '' } };
  assert.equal((await new WebUser(broker).ask('/v1/log-in', tooLong)).status, 413);
  assert.equal((await user.ask('/v1/log-in', { method: 'GET' })).status, 405);
});

test('a user who is revoked, or banned, is out at once, with all streams', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const user = await WebUser.logIn(own, 'alice');
  const stream = await user.follow('/v1/me/events');
  const other = await WebUser.logIn(own, 'bob');
  const users = await readFile(own.usersFile, 'utf8');
  await writeFile(own.usersFile, users.replace(/^alice:.*\n/m, ''), { mode: 0o600 });
  await stream.end();
  assert.equal((await user.ask('/v1/me')).status, 401);
  assert.equal((await other.ask('/v1/me')).status, 200);
  const ban = { method: 'POST', body: { login: 'bob', seconds: 60 } };
  await askAdmin(`${own.folder}/admin.sock`, '/v1/bans', ban);
  await eventually(3_000, 'bob is out', async () => (await other.ask('/v1/me')).status === 401);
  assert.equal((await other.logIn('bob')).status, 403);
});

test('who is kept out is told so, until when and why, and nobody who does not know the password is', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const ban = (body: object) => askAdmin(`${own.folder}/admin.sock`, '/v1/bans', { method: 'POST', body });
  await ban({ login: 'bob', seconds: 60, reason: 'a loop in the sketch' });
  const wrong = await new WebUser(own).logIn('bob', 'wrong');
  assert.deepEqual([wrong.status, wrong.body.error.code], [401, 'wrong-credentials']);
  assert.deepEqual(wrong.text, (await new WebUser(own).logIn('nobody', 'wrong')).text);
  const { status, body, headers } = await new WebUser(own).logIn('bob');
  assert.deepEqual([status, headers['set-cookie']], [403, undefined]);
  const { code, of, until, reason } = body.error;
  assert.deepEqual([code, of, reason], ['banned', 'login', 'a loop in the sketch']);
  assert.ok(Math.abs(Date.parse(until) - Date.now() - 60_000) < 10_000, until);
  // An address is kept out whoever comes from it: that tells nothing of any account, and no password is looked at.
  for (const address of ['127.0.0.1', '::1']) await ban({ address, seconds: 60 });
  const answers = [await new WebUser(own).logIn('alice'), await new WebUser(own).logIn('nobody', 'wrong')];
  for (const each of answers) assert.deepEqual([each.status, each.body.error.of], [403, 'address']);
});

test('failed log-ins count as those of clients do: in the history, and for who it was tried on', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const stream = await user.follow('/v1/me/events');
  await stream.says(/here/);
  await new WebUser(broker).logIn('alice', 'a guess');
  await stream.says(/event: failed\ndata: .*"reason":"wrong-password"/, 1_000);
  const { body } = await user.ask('/v1/me/denials');
  assert.equal(body.logins[0].reason, 'wrong-password');
  const { text } = await askAdmin(socket(), '/v1/denials?login=alice');
  assert.match(text, /wrong-password/);
  stream.close();
});

test('a ticket lets one MQTT client in, once, and only its user', async () => {
  const { connectAsync } = await import('mqtt');
  const user = await WebUser.logIn(broker, 'alice');
  const { ticket } = (await user.ask('/v1/me/ticket', { method: 'POST', body: {} })).body;
  const connect = (username: string) =>
    connectAsync(`wss://localhost:${broker.webPort}/mqtt`, {
      ...{ ca: broker.ca, username, password: ticket, reconnectPeriod: 0, protocolVersion: 5 },
    });
  await assert.rejects(connect('bob'));
  const client = await connect('alice');
  await assert.rejects(connect('alice'));
  await client.endAsync();
});

test('only operators are answered what operators ask, and who asks is in the audit log', async () => {
  const alice = await WebUser.logIn(broker, 'alice');
  const bob = await WebUser.logIn(broker, 'bob');
  for (const path of ['/v1/users', '/v1/connections', '/v1/audit', '/v1/events', '/v1/denials', '/v1/nothing']) {
    assert.equal((await alice.ask(path)).status, 403, path);
  }
  assert.equal((await alice.ask('/v1/users/bob/connections', { method: 'DELETE' })).status, 403);
  assert.equal((await bob.ask('/v1/users')).status, 200);
  assert.equal((await bob.ask('/v1/users/alice/connections', { method: 'DELETE' })).status, 200);
  const { body } = await bob.ask('/v1/audit');
  const last = body.entries.at(-1);
  assert.deepEqual([last.door, last.login, last.what], ['web', 'bob', 'DELETE /v1/users/alice/connections']);
  assert.ok(body.entries.some((entry: { result: string }) => entry.result === 'no-operator'));
  await broker.reload({ web: { operators: [], mqttPort: 8_884 } });
  assert.equal((await bob.ask('/v1/users')).status, 403);
  assert.equal((await bob.ask('/v1/session')).body.mqttPort, 8_884);
});

test('the status is for everybody, and about nobody', async () => {
  const { status, body } = await new WebUser(broker).ask('/status');
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['status', 'store', 'directory', 'certificateDays']);
  assert.deepEqual([body.status, body.store, body.directory], ['ok', true, true]);
  const { text } = await new WebUser(broker).ask('/status', { headers: { accept: 'text/html' } });
  assert.match(text, /^<!doctype html>/i);
});

test('the CA is handed out, and nothing else that is in its file', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const key = await readFile(`${own.folder}/server.key`, 'utf8');
  await writeFile(`${own.folder}/ca.pem`, `${key}${own.ca}`);
  const { text } = await new WebUser(own).ask('/ca.pem');
  assert.equal(text.trim(), own.ca.trim());
});

test('who sends a body that is too long is told so, and not cut off: again and again', async () => {
  for (let i = 0; i < 20; i++) {
    const { answer, error } = await sendAtOnce(broker, 1_000_000, Buffer.alloc(1_000_000, 'x'));
    assert.equal(error, null, `attempt ${i}`);
    assert.match(answer, /^HTTP\/1\.1 413 .*too-large/s, `attempt ${i}`);
  }
});

test('nobody has to hear a body to its end: after two megabytes, or two seconds, the connection is closed', async () => {
  const endless = await sendAtOnce(broker, 1e9, Buffer.alloc(8_000_000, 'x'));
  assert.match(endless.answer, /^(HTTP\/1\.1 413|$)/);
  const began = performance.now();
  const silent = await sendAtOnce(broker, 1e9, Buffer.alloc(10_000, 'x'));
  assert.match(silent.answer, /^HTTP\/1\.1 413/);
  assert.ok(performance.now() - began < 8_000, 'it has not waited for the rest');
});

/** Sends it all, whatever is answered meanwhile; then what was answered, and how the connection ended. */
async function sendAtOnce(to: TestBroker, length: number, body: Buffer) {
  const socket = tls.connect({ port: to.webPort!, ca: to.ca, servername: 'localhost' });
  let answer = '';
  let error: Error | null = null;
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text;
  });
  socket.on('error', (why) => {
    error = why;
  });
  await once(socket, 'secureConnect');
  const type = 'Content-Type: application/json';
  const origin = `Origin: https://localhost:${to.webPort}`;
  const host = `Host: localhost:${to.webPort}`;
  socket.write(['POST /v1/log-in HTTP/1.1', host, origin, type, `Content-Length: ${length}`, '', ''].join('\r\n'));
  for (let at = 0; at < body.length && !socket.destroyed; at += 16_384) {
    await new Promise((resolve) => socket.write(body.subarray(at, at + 16_384), resolve));
  }
  if (!socket.closed) await within(10_000, 'the end', new Promise((resolve) => socket.once('close', resolve)));
  return { answer, error };
}

test('requests that do not wait for answers end their connection, and everything kept is given back', async () => {
  await using own = await startTestBroker({ seams: { web: true } });
  const eager = tls.connect({ port: own.webPort!, ca: own.ca, servername: 'localhost' });
  await once(eager, 'secureConnect');
  let answers = '';
  eager.setEncoding('utf8').on('data', (text) => {
    answers += text;
  });
  eager.write('GET /ca.pem HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(50));
  await once(eager, 'close');
  assert.ok((answers.match(/HTTP\/1\.1 200/g) ?? []).length <= 1, answers.slice(0, 2_000));
  const user = await WebUser.logIn(own, 'alice');
  const stream = await user.follow('/v1/me/events');
  await stream.says(/here/);
  const held = () => [...own.parts().ledger.accounts].reduce((sum, { balances: { pages } }) => sum + pages.bytes, 0);
  assert.ok(held() > 8_000, `${held()} bytes`);
  await user.ask('/v1/log-out', { method: 'POST', body: {} });
  await stream.end();
  await eventually(5_000, 'everything is given back', () => held() === 0);
  assert.equal(own.parts().accounts.known('alice'), undefined);
});
