import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../src/clock.js';
import type { ApiConfig } from '../../src/config/config.js';
import { openApiBackend } from '../../src/credentials/api-backend.js';
import { Fault, UsageError } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { credentialBackendContract } from '../contract/credential-backend.js';
import { type ApiServer, startApi } from '../support/api-server.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { leavingNoSocket, ownScope, type Scope } from '../support/sockets.js';

const wrong = { accepted: false, reason: 'wrong-password' };

async function openApi(scope: Scope, api: ApiServer, overrides: Partial<ApiConfig> = {}, clock: Clock = systemClock) {
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-test-'));
  scope.after(() => rm(folder, { recursive: true, force: true }));
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, api.authority.cert);
  const log = captureLog();
  const config = { url: api.url, ca, timeoutMs: 10_000, ...overrides };
  const backend = await openApiBackend({ config, log: log.log, clock });
  scope.after(() => backend.close());
  const verify = (login: string, password: string, timeoutMs = 10_000) =>
    backend.verify(login, password, AbortSignal.timeout(timeoutMs));
  return { backend, log, verify, config };
}

credentialBackendContract({
  name: 'api',
  async setup(users) {
    const scope = ownScope();
    const api = await startApi(scope);
    for (const [login, password] of users) api.users.set(login, { password });
    const { backend } = await openApi(scope, api);
    return {
      backend,
      setPassword: async (login, password) => void api.users.set(login, { password }),
      remove: async (login) => void api.users.delete(login),
      disable: async (login) => void api.users.set(login, { ...api.users.get(login)!, disabled: true }),
      tellsRevocations: false,
      close: () => scope.close(),
    };
  },
});

describe('the API backend', () => {
  const apiTest = (name: string, body: (scope: Scope, api: ApiServer) => Promise<void>) =>
    test(
      name,
      leavingNoSocket(async (scope) => {
        const api = await startApi(scope);
        api.users.set('alice', { password: 'secret', mail: 'alice@example.org' });
        await body(scope, api);
      }),
    );
  const faultOf = async (promise: Promise<unknown>): Promise<string> => {
    const outcome = await promise.catch((error) => error);
    assert.ok(outcome instanceof Fault, `a fault was due, not ${JSON.stringify(outcome)}`);
    return outcome.code;
  };

  apiTest('takes the login from the answer, whatever was typed', async (scope, api) => {
    const { verify, backend } = await openApi(scope, api);
    assert.equal(backend.acceptsLogin?.('alice@example.org'), true);
    assert.equal(backend.acceptsLogin?.('alice/bob1'), false);
    const verdict = await verify('alice@example.org', 'secret');
    assert.ok(verdict.accepted && verdict.login === 'alice');
    assert.equal(await backend.revalidate('alice', verdict.proof, AbortSignal.timeout(5_000)), true);
    api.users.set('alice', { password: 'new', mail: 'alice@example.org' });
    assert.equal(await backend.revalidate('alice', verdict.proof, AbortSignal.timeout(5_000)), false);
  });

  apiTest('sends login and password as they are, in UTF-8; a colon in the login never', async (scope, api) => {
    const { verify } = await openApi(scope, api);
    await verify('alice', 'pa:ss: ü🔑 ');
    assert.deepEqual(await verify('alice:se', 'cret'), { accepted: false, reason: 'invalid-login' });
    assert.deepEqual(api.asked, ['alice:pa:ss: ü🔑 ']);
  });

  apiTest('keeps its connections, and one that was closed meanwhile is no outage', async (scope, api) => {
    const { verify } = await openApi(scope, api);
    for (let round = 0; round < 10; round += 1) assert.equal((await verify('alice', 'secret')).accepted, true);
    assert.equal(api.connections, 1);
    await Promise.all(Array.from({ length: 30 }, () => verify('alice', 'secret')));
    assert.ok(api.connections <= 31, `${api.connections} connections`);
    // Eight of them are kept.
    const before = api.connections;
    await Promise.all(Array.from({ length: 8 }, () => verify('alice', 'secret')));
    assert.equal(api.connections, before);
    for (let round = 0; round < 10; round += 1) {
      api.dropAll();
      assert.equal((await verify('alice', 'secret')).accepted, true);
      assert.deepEqual(await verify('alice', 'wrong'), wrong);
    }
  });

  apiTest('every other status is an outage, also a redirection', async (scope, api) => {
    const { verify } = await openApi(scope, api);
    for (const status of [204, 301, 302, 307, 400, 404, 407, 418, 429, 500, 502, 503, 504]) {
      api.script = (_request, response) =>
        response.writeHead(status, { location: `${api.url}/user` }).end('{"login":"alice"}');
      assert.equal(await faultOf(verify('alice', 'secret')), 'E_API_STATUS', String(status));
    }
    api.script = (_request, response) => response.writeHead(403).end();
    assert.deepEqual(await verify('alice', 'secret'), { accepted: false, reason: 'disabled' });
  });

  apiTest('a refusal is a refusal from its first line on, however long or slow its body', async (scope, api) => {
    const clock = new ManualClock();
    const { verify } = await openApi(scope, api, { timeoutMs: 1_000 }, clock);
    let closed = 0;
    for (const [status, reason] of [
      [401, 'wrong-password'],
      [403, 'disabled'],
    ] as const) {
      // Ten megabytes, and one that never ends.
      for (const drip of [false, true]) {
        api.script = (request, response) => {
          request.socket.once('close', () => (closed += 1));
          response.writeHead(status);
          if (drip) response.write('x');
          else response.end(Buffer.alloc(10_000_000));
        };
        assert.deepEqual(await verify('alice', 'secret'), { accepted: false, reason });
      }
    }
    // What is not read is not kept either: the connection ends at the limit, or with the deadline.
    clock.advance(1_000);
    await eventually(5_000, 'what is not read ends', () => closed === 4);
    api.script = null;
    assert.equal((await verify('alice', 'secret')).accepted, true);
  });

  apiTest('an answer that does not say whose login it is is an outage', async (scope, api) => {
    const { verify } = await openApi(scope, api);
    for (const body of [
      '',
      'null',
      '"alice"',
      '[]',
      '{}',
      '{"login":""}',
      '{"login":7}',
      '<html>login</html>',
      '{"login":"al',
    ]) {
      api.script = (_request, response) => response.end(body);
      assert.equal(await faultOf(verify('alice', 'secret')), 'E_API_ANSWER', body);
    }
    api.script = (_request, response) => response.end(`{"login":"alice","more":"${'x'.repeat(100_000)}"}`);
    assert.equal(await faultOf(verify('alice', 'secret')), 'E_API_ANSWER');
  });

  apiTest('hanging and stopping in the middle are outages at the deadline, and not before', async (scope, api) => {
    const clock = new ManualClock();
    const { verify } = await openApi(scope, api, { timeoutMs: 500 }, clock);
    const scripts: NonNullable<ApiServer['script']>[] = [
      () => {},
      (_request, response) => void response.writeHead(200).write('{"login":'),
    ];
    for (const script of scripts) {
      const asked = new Promise<void>((resolve) => {
        api.script = (request, response) => {
          script(request, response);
          resolve();
        };
      });
      let settled = false;
      const fault = faultOf(verify('alice', 'secret')).finally(() => {
        settled = true;
      });
      await asked;
      clock.advance(499);
      for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(settled, false);
      clock.advance(1);
      assert.equal(await fault, 'E_API_TIMEOUT');
    }
    api.script = () => {};
    assert.equal(await faultOf(verify('alice', 'secret', 100)), 'E_API_CANCELLED');
    api.script = null;
    assert.equal((await verify('alice', 'secret')).accepted, true);
  });

  apiTest('cutting, resetting and answering nonsense are outages at once', async (scope, api) => {
    // The clock stands still: nothing is found out by waiting.
    const { verify } = await openApi(scope, api, {}, new ManualClock());
    const scripts: [NonNullable<ApiServer['script']>, RegExp][] = [
      [(request) => void request.socket.destroy(), /^E_API_CLOSED$/],
      [
        (request) => void request.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"login":'),
        /^E_API_CLOSED$/,
      ],
      [(request) => void request.socket.end('220 smtp.example.org\r\n'), /^E_API_(UNREACHABLE|CLOSED)$/],
    ];
    for (const [script, code] of scripts) {
      api.script = script;
      assert.match(await faultOf(verify('alice', 'secret')), code);
    }
    api.script = null;
    assert.equal((await verify('alice', 'secret')).accepted, true);
  });

  apiTest('down and up again', async (scope, api) => {
    const { verify } = await openApi(scope, api);
    assert.equal((await verify('alice', 'secret')).accepted, true);
    await api.stop();
    for (let round = 0; round < 5; round += 1)
      assert.equal(await faultOf(verify('alice', 'secret')), 'E_API_UNREACHABLE');
    await api.start();
    assert.equal((await verify('alice', 'secret')).accepted, true);
    assert.deepEqual(await verify('alice', 'wrong'), wrong);
  });

  apiTest('a certificate of another host or authority is an outage, and no password is sent', async (scope, api) => {
    const stranger = await startApi(scope, ['api.example.org']);
    for (const [from, overrides] of [
      [stranger, {}],
      [api, { url: stranger.url }],
      [stranger, { ca: '' }],
    ] as const) {
      const { verify } = await openApi(scope, from, overrides);
      assert.equal(await faultOf(verify('alice', 'secret')), 'E_API_TLS');
    }
    assert.deepEqual(stranger.asked, []);
  });

  apiTest('closing ends what is being asked', async (scope, api) => {
    const { verify, backend } = await openApi(scope, api, { timeoutMs: 60_000 });
    api.script = () => {};
    const asked = Array.from({ length: 20 }, () => faultOf(verify('alice', 'secret', 60_000)));
    await new Promise((resolve) => setImmediate(resolve));
    await backend.close();
    for (const code of await Promise.all(asked)) assert.match(code, /^E_API_(CANCELLED|STOPPED)$/);
  });

  apiTest('no password in any log line', async (scope, api) => {
    const { verify, log } = await openApi(scope, api);
    log.log.info({ verdict: await verify('alice', 'secret') }, 'all of it');
    await verify('alice', 'wrong secret');
    assert.doesNotMatch(log.text(), /secret|c2VjcmV0/);
  });

  test('what the operator has to mend is told at the start, by key', async () => {
    const open = (config: ApiConfig) => openApiBackend({ config, log: captureLog().log, clock: systemClock });
    const config = { url: 'https://localhost/api', ca: '', timeoutMs: 1_000 };
    const wrongs: [ApiConfig, RegExp][] = [
      [{ ...config, url: '' }, /^credentials\.api\.url: is missing/],
      [{ ...config, ca: '/nowhere/ca.pem' }, /^credentials\.api\.ca: \/nowhere\/ca\.pem cannot be read/],
      [{ ...config, ca: fileURLToPath(import.meta.url) }, /^credentials\.api\.ca: .* holds no certificate/],
    ];
    for (const [wrongConfig, message] of wrongs) {
      await assert.rejects(open(wrongConfig), (error) => error instanceof UsageError && message.test(error.message));
    }
  });

  test('passwords in clear text over a network are warned about', async () => {
    const log = captureLog();
    const open = (url: string) =>
      openApiBackend({ config: { url, ca: '', timeoutMs: 1_000 }, log: log.log, clock: systemClock });
    for (const url of ['http://localhost:8080', 'https://www.example.org']) await (await open(url)).close();
    assert.equal(log.lines().length, 0);
    await (await open('http://www.example.org')).close();
    assert.equal(log.lines().length, 1);
  });
});
