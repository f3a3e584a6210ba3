// Asking changes nothing: whatever path is asked with GET, and whatever is pretended beside it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { adminRoutes } from '../../src/admin/admin.js';
import type { AdminContext } from '../../src/admin/context.js';
import { systemClock } from '../../src/clock.js';
import { askAdmin } from '../support/admin.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();
const routes = adminRoutes({ clock: systemClock, parts: {} } as AdminContext);

/** Everything that a request could change. */
function state() {
  const { sessions, store, bans, limitRules, connections, counters, rules, wills } = broker.parts();
  return {
    sessions: [...sessions.values()].map(({ id, outgoing: { backlog }, subscriptions }) => {
      return [id, backlog.inflightMessages, backlog.queuedMessages, [...subscriptions]];
    }),
    connections: [...connections].map(({ client }) => client?.clientId),
    retained: [...store.retained].map(({ topic }) => topic),
    wills: wills.of('alice'),
    bans: bans.list(),
    limits: [...limitRules.overrides()],
    reloads: [...counters.configReloads],
    acl: rules.acl,
  };
}

test('GET and HEAD change nothing, at any path', async () => {
  const socket = join(broker.folder, 'admin.sock');
  const ask = (path: string, more = {}) => askAdmin(socket, `/v1${path}`, more);
  await using live = await RawClient.connect(broker, {
    ...{ clean: false, clientId: 'live' },
    will: { topic: 'iotlab/alice/will' },
  });
  await live.subscribe(['iotlab/alice/#', 1]);
  const writer = await RawClient.connect(broker);
  await writer.publish('iotlab/alice/kept', 'x', { qos: 1, retain: true });
  await writer.disconnect();
  await ask('/bans', { method: 'POST', body: { login: 'carol', seconds: 600 } });
  await ask('/users/bob/limits', { method: 'PUT', body: { limits: { sessionsPerUser: 3 } } });
  const { body: trace } = await ask('/traces', { method: 'POST', body: { login: 'bob' } });
  const { body: list } = await ask('/connections');
  const { n } = (list as { connections: { n: number }[] }).connections[0]!;
  const values: Record<string, string> = {
    group: 'lab',
    login: 'alice',
    client: 'live',
    n: `${n}`,
    id: (trace as { id: string }).id,
  };
  // A stream goes on, and ends its trace with its reader: it is tried in traces.test.ts.
  const paths = new Set(routes.map(({ path }) => path).filter((path) => !/stream$|^\/events$/.test(path)));
  assert.ok(paths.size > 20);
  const before = structuredClone({ ...state(), acl: null });
  const { acl } = state();
  for (const path of paths) {
    const asked = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name]!);
    const reads = routes.some((route) => route.path === path && route.method === 'GET');
    for (const method of ['GET', 'HEAD']) {
      const { status } = await ask(asked, { method });
      if (method === 'GET') assert.equal(status, reads ? 200 : 405, `GET ${path}`);
    }
    const pretending = { 'x-http-method-override': 'DELETE', 'x-method-override': 'POST' };
    await ask(asked, { headers: pretending });
    await ask(`${asked}?_method=DELETE`);
    await ask(asked, {
      headers: { 'content-type': 'application/json', 'content-length': '19' },
      body: '{"login":"alice"}  ',
    });
  }
  assert.deepEqual({ ...state(), acl: null }, before);
  assert.equal(state().acl, acl);
  assert.deepEqual(((await ask('/traces')).body as { traces: object[] }).traces.length, 1);
});
