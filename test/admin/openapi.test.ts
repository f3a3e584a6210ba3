import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminRoutes } from '../../src/admin/admin.js';
import type { AdminContext } from '../../src/admin/context.js';
import { systemClock } from '../../src/clock.js';
import { askAdmin } from '../support/admin.js';
import { OpenApi } from '../support/openapi.js';
import { useTestBroker } from '../support/test-broker.js';

const api = new OpenApi();

/** Nothing is asked of the parts before a request comes. */
const routes = adminRoutes({ clock: systemClock, parts: {} } as AdminContext);

test('docs/openapi.yaml has every route, and no other', () => {
  const described = [...api.operations.keys()].sort();
  assert.deepEqual(routes.map(({ method, path }) => `${method} ${path}`).sort(), described);
});

test('its parameters are those of the routes', () => {
  for (const { method, path, query = {} } of routes) {
    const { parameters = [] } = api.operations.get(`${method} ${path}`)!;
    const named = (where: string) => parameters.filter((it) => it.in === where);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    assert.deepEqual(
      named('path').map(({ name }) => name),
      inPath,
      path,
    );
    assert.deepEqual(
      named('query').map(({ name }) => name),
      Object.keys(query),
      path,
    );
    for (const { name, schema } of named('query')) {
      const parameter = query[name as string]!;
      const { type, minimum, maximum, enum: words, default: otherwise } = schema as Record<string, unknown>;
      const said = parameter;
      if (said.kind === 'text') assert.equal(type, 'string', `${path} ${name}`);
      else if (said.kind === 'choice')
        assert.deepEqual([words, otherwise], [said.words, said.otherwise], `${path} ${name}`);
      else assert.deepEqual([type, minimum, maximum, otherwise], ['integer', said.min, said.max, said.otherwise]);
    }
  }
});

const broker = useTestBroker();

test('the broker answers as it says', async () => {
  const socket = `${broker.folder}/admin.sock`;
  const status = await askAdmin(socket, '/v1/status');
  assert.deepEqual(api.complaints('GET /status', status.body), [], status.text);
  const reload = await askAdmin(socket, '/v1/certificates/reload', { method: 'POST' });
  assert.deepEqual(api.complaints('POST /certificates/reload', reload.body), [], reload.text);
  const nothing = await askAdmin(socket, '/v1/nothing');
  assert.deepEqual(api.complaints('GET /status', nothing.body, nothing.status), []);
  assert.ok(api.complaints('GET /status', nothing.body).length > 5);
});
