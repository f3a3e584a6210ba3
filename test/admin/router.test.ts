import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '../../src/admin/audit.js';
import { json, type Route } from '../../src/admin/route.js';
import { Router } from '../../src/admin/router.js';
import { jsonText } from '../../src/observe/json-text.js';
import { captureLog } from '../support/captured-log.js';

const caller = { door: 'socket', address: null, claims: 'root' } as const;

const routes: Route[] = [
  {
    method: 'GET',
    path: '/things',
    query: {
      sort: { kind: 'choice', words: ['age', 'name'], otherwise: 'age' },
      limit: { kind: 'integer', min: 1, max: 10, otherwise: 5 },
      login: { kind: 'text' },
    },
    answer: ({ query }) => json({ ...query }),
  },
  { method: 'GET', path: '/things/{name}', answer: ({ params }) => json({ ...params }) },
  { method: 'PUT', path: '/things/{name}', answer: ({ params, body }) => json({ ...params, ...body }) },
  {
    method: 'GET',
    path: '/broken',
    answer: () => {
      throw new TypeError('oops');
    },
  },
];

function scene() {
  const written: AuditEntry[] = [];
  const logs = captureLog();
  const audit = { write: (entry: AuditEntry) => void written.push(entry), tail: async () => [], close: async () => {} };
  const router = new Router({ routes, audit, log: logs.log });
  const ask = async (method: string, url: string, body: string | null = null) => {
    const answer = await router.answer({ method, url, body, caller });
    assert.equal(answer.kind, 'json');
    return answer.kind === 'json' ? [answer.status, answer.value] : [];
  };
  const code = async (...asked: Parameters<typeof ask>) => {
    const [status, value] = await ask(...asked);
    return [status, (value as { error: { code: string } }).error.code];
  };
  return { ask, code, written, logs };
}

test('a query is checked against the list of its route', async () => {
  const { ask, code } = scene();
  assert.deepEqual(await ask('GET', '/v1/things'), [200, { sort: 'age', limit: 5, login: undefined }]);
  const asked = await ask('GET', '/v1/things?sort=name&limit=10&login=al%20ice');
  assert.deepEqual(asked, [200, { sort: 'name', limit: 10, login: 'al ice' }]);
  for (const query of [
    'limit=0',
    'limit=11',
    'limit=-1',
    'limit=1e1',
    'limit=',
    'sort=size',
    'other=1',
    '__proto__=1',
  ]) {
    assert.deepEqual(await code('GET', `/v1/things?${query}`), [400, 'bad-query'], query);
  }
});

test('a path names its parameters, and nothing else is there', async () => {
  const { ask, code } = scene();
  assert.deepEqual(await ask('GET', '/v1/things/a%2Fb%00'), [200, { name: 'a/b\0' }]);
  assert.deepEqual(await ask('PUT', '/v1/things/x', '{"y":1}'), [200, { name: 'x', y: 1 }]);
  for (const path of ['/', '/v1', '/v1/', '/v1/things/', '/v1/things/x/y', '/v1/things/%', '/v2/things', '/v1things']) {
    assert.deepEqual(await code('GET', path), [404, 'not-found'], path);
  }
  assert.deepEqual(await code('DELETE', '/v1/things/x'), [405, 'wrong-method']);
  assert.deepEqual(await code('POST', '/v1/things'), [405, 'wrong-method']);
});

test('a body is a JSON object', async () => {
  const { code } = scene();
  for (const body of ['{', '[]', 'null', '1', '"x"']) {
    assert.deepEqual(await code('PUT', '/v1/things/x', body), [400, 'bad-body'], body);
  }
});

test('a defect of ours is told to the log, and not to whoever asked', async () => {
  const { ask, logs } = scene();
  const [status, value] = await ask('GET', '/v1/broken');
  assert.equal(status, 500);
  assert.ok(!JSON.stringify(value).includes('oops'));
  assert.ok(logs.lines().some((line) => JSON.stringify(line).includes('oops')));
});

test('changes are in the audit log, done or refused; questions are not', async () => {
  const { ask, written } = scene();
  await ask('GET', '/v1/things');
  await ask('PUT', '/v1/things/x', '{"y":1}');
  await ask('DELETE', '/v1/things/x');
  assert.deepEqual(
    written.map(({ what, status, result, body }) => [what, status, result, body]),
    [
      ['PUT /v1/things/x', 200, 'done', '{"y":1}'],
      ['DELETE /v1/things/x', 405, 'wrong-method', null],
    ],
  );
});

test('nothing in the JSON acts on a terminal or a browser', () => {
  const nasty = '<img src=x onerror=alert(1)>&\u001b[2J\u009b31m\u202e\u2028\ufeff\n';
  const text = jsonText({ [nasty]: nasty });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
  assert.doesNotMatch(text, /[<>&\u0000-\u001f\u007f-\u009f\u2028\u202e\ufeff]/);
  assert.deepEqual(JSON.parse(text), { [nasty]: nasty });
});
