import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { LdapPool } from '../../src/credentials/ldap-pool.js';
import { LdapServers } from '../../src/credentials/ldap-servers.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { fakeServer, ldapResult, readRequest } from '../support/fake-ldap.js';
import { leavingNoSocket, type Scope } from '../support/sockets.js';

/** A pool on a server that lets everybody in, and counts the connections made and the service's binds on them. */
async function setup(t: Scope, keep = 4) {
  let connections = 0;
  const fake = await fakeServer(t, (socket) => {
    connections += 1;
    socket.on('data', (data) => socket.write(ldapResult(readRequest(data).id, 0x61, 0)));
  });
  const clock = new ManualClock();
  const trust = createSecureContext();
  const server = { name: 'fake', host: '127.0.0.1', port: fake.port, security: 'none', trust } as const;
  const servers = new LdapServers([server], { maxBackoffMs: 1_000, clock, log: captureLog().log });
  let prepared = 0;
  const pool = new LdapPool({
    ...{ servers, clock, keep, connectTimeoutMs: 1_000 },
    prepare: async () => {
      prepared += 1;
    },
  });
  t.after(() => pool.close());
  const { signal } = new AbortController();
  const ask = () =>
    pool.ask(signal, (connection) => connection.bind('cn=x', 'secret', { timeoutMs: 1, signal, clock }));
  return { pool, clock, ask, open: fake.open, counts: () => ({ connections, prepared }) };
}

test(
  'a connection in use all the time ends after five minutes, so that a service account that is gone is noticed',
  leavingNoSocket(async (t) => {
    const { clock, ask, counts } = await setup(t);
    for (let second = 0; second < 290; second += 10) {
      assert.equal((await ask()).code, 0);
      clock.advance(10_000);
    }
    assert.deepEqual(counts(), { connections: 1, prepared: 1 });
    clock.advance(10_000);
    await ask();
    assert.deepEqual(counts(), { connections: 2, prepared: 2 });
  }),
);

test(
  'a connection that nobody needed for half a minute is closed, without anybody asking',
  leavingNoSocket(async (t) => {
    const { clock, ask, counts, open } = await setup(t);
    await ask();
    clock.advance(29_000);
    await ask();
    assert.equal(counts().connections, 1);
    clock.advance(40_000);
    await eventually(5_000, 'the idle connection ends', () => open() === 0);
    await ask();
    assert.equal(counts().connections, 2);
  }),
);

test(
  'questions at the same time have a connection each, and as many stay open as are kept',
  leavingNoSocket(async (t) => {
    const { ask, counts, open } = await setup(t, 3);
    await Promise.all(Array.from({ length: 8 }, ask));
    assert.equal(counts().connections, 8);
    await eventually(5_000, 'what is too much ends', () => open() === 3);
    await Promise.all(Array.from({ length: 3 }, ask));
    assert.equal(counts().connections, 8);
  }),
);
