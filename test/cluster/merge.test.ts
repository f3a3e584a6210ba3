import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Audit } from '../../src/admin/audit.js';
import type { Answer } from '../../src/admin/route.js';
import { mergeAnswers } from '../../src/cluster/merge.js';
import { mergeMetrics } from '../../src/cluster/merge-metrics.js';
import { ownerOf, Relay } from '../../src/cluster/relay.js';
import type { Shard } from '../../src/cluster/shard.js';
import { shardOf } from '../../src/shard.js';

const at = (path: string) => new URL(`http://localhost/v1${path}`);

test('numbers are added up, lists put together, states are the worst, and what differs is named', () => {
  const one = {
    status: 'ok',
    connections: 2,
    store: 'ok',
    uptimeSeconds: 9,
    list: ['a'],
    more: { sessions: 1 },
    on: true,
  };
  const two = { ...one, status: 'failing', store: 'E_STORE_WRITE', uptimeSeconds: 3, list: ['b'], on: false };
  assert.deepEqual(mergeAnswers(at('/status'), [one, two], []), {
    ...{ status: 'failing', connections: 4, store: 'E_STORE_WRITE', uptimeSeconds: 3, list: ['a', 'b'] },
    ...{ more: { sessions: 2 }, on: false },
  });
  assert.deepEqual(mergeAnswers(at('/status'), [one], [1]), { ...one, missingShards: [1] });
});

test('what happened is in the order of its time, and no more than was asked for', () => {
  const denials = (...times: string[]) => ({ denials: times.map((time) => ({ time })) });
  const merged = mergeAnswers(at('/denials?limit=3'), [denials('3', '1'), denials('4', '2')], []);
  assert.deepEqual(merged, denials('4', '3', '2'));
});

test('pages of connections are those of all shards, whatever they are sorted by', () => {
  const row = (n: number, login: string) => ({ n, login, state: 'open', bytesReceived: n % 5 });
  const all = Array.from({ length: 20 }, (_, n) => row(n, `user${(n * 7) % 20}`));
  for (const [sort, keyOf, descending] of [
    ['n', (it: (typeof all)[number]) => it.n, true],
    ['login', (it: (typeof all)[number]) => it.login, false],
    ['received', (it: (typeof all)[number]) => it.bytesReceived, true],
  ] as const) {
    const expected = all.toSorted((a, b) => {
      const order = keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0;
      return (descending ? -order : order) || a.n - b.n;
    });
    // Each shard answers with its own first ones.
    const shard = (which: number) => ({
      connections: expected.filter(({ n }) => n % 2 === which).slice(0, 6),
      ...{ total: 10, next: 'more' },
    });
    const merged = mergeAnswers(at(`/connections?sort=${sort}&limit=6`), [shard(0), shard(1)], []);
    assert.deepEqual(merged.connections, expected.slice(0, 6), sort);
    assert.deepEqual([merged.total, typeof merged.next], [20, 'string']);
  }
});

test('the largest of all users, slow readers and bans come first, and an address is banned once', () => {
  const user = (login: string, connections: number) => ({ login, connections });
  const users = (...rows: object[]) => ({ users: rows, total: rows.length, next: null });
  const page = mergeAnswers(
    at('/users?sort=connections&limit=2'),
    [users(user('a', 1), user('c', 7)), users(user('b', 3))],
    [],
  );
  assert.deepEqual([page.users, page.total, typeof page.next], [[user('c', 7), user('b', 3)], 3, 'string']);

  const slow = (...seconds: number[]) => ({
    oldest: seconds.map((oldestUnacknowledgedSeconds) => ({ oldestUnacknowledgedSeconds })),
    dropped: [],
  });
  assert.deepEqual(mergeAnswers(at('/slow'), [slow(5, 1), slow(3)], []), slow(5, 3, 1));

  const ban = (ms: number) => ({ address: '192.0.2.1', since: `2026-01-01T00:00:00.00${ms}Z` });
  const login = { login: 'alice', since: ban(0).since };
  const bans = mergeAnswers(at('/bans'), [{ bans: [ban(1), login] }, { bans: [ban(2)] }], []);
  assert.deepEqual(bans, { bans: [ban(2), login] });
  assert.deepEqual(
    mergeAnswers(
      at('/bans/x'),
      [
        { ...ban(1), ended: 1 },
        { ...ban(2), ended: 2 },
      ],
      [],
    ),
    {
      ...{ ...ban(2), ended: 3 },
    },
  );
});

test('a question goes to the shard of its login or connection, and otherwise to all', () => {
  const alice = shardOf('alice', 4);
  assert.equal(ownerOf(at('/users/alice'), null, 4), alice);
  assert.equal(ownerOf(at('/users/al%69ce/connections?client=x'), null, 4), alice);
  assert.equal(ownerOf(at('/connections?login=alice'), null, 4), alice);
  assert.equal(ownerOf(at('/bans'), '{"login":"alice"}', 4), alice);
  assert.equal(ownerOf(at('/connections/7'), null, 4), 3);
  assert.equal(ownerOf(at('/traces/9/stream'), null, 4), 1);
  for (const path of ['/connections', '/status', '/users', '/denials', '/connections/x']) {
    assert.equal(ownerOf(at(path), null, 4), null, path);
  }
  assert.equal(ownerOf(at('/bans'), 'no json', 4), null);
});

test('metrics of all shards are one text, each family once, in both formats', () => {
  const text = (value: number) =>
    `# HELP a_total A.\n# TYPE a_total counter\na_total ${value}\n# TYPE b histogram\nb_bucket{le="1"} ${value}\nb_sum ${value}\n`;
  const texts = new Map([
    ['0', text(1)],
    ['1', text(2)],
  ]);
  const both = `# HELP a_total A.\n# TYPE a_total counter\na_total{shard="0"} 1\na_total{shard="1"} 2\n# TYPE b histogram
b_bucket{shard="0",le="1"} 1\nb_sum{shard="0"} 1\nb_bucket{shard="1",le="1"} 2\nb_sum{shard="1"} 2\n`;
  assert.equal(mergeMetrics(texts, ''), both);
  const open = new Map([...texts].map(([shard, it]) => [shard, `${it}# EOF\n`]));
  assert.equal(mergeMetrics(open, 'own 1\n'), `${both}own 1\n# EOF\n`);
});

test('users by need are those of each shard, with its number', async () => {
  const type = 'text/plain';
  const text = (login: string) => `# TYPE user gauge\nuser{login="${login}"} 1\n`;
  const answers: Answer[] = [
    { kind: 'text', type, text: text('alice') },
    { kind: 'json', status: 503, value: {} },
    { kind: 'text', type, text: text('bob') },
  ];
  const shards = answers.map((answer) => ({ answer: async () => answer })) as unknown as Shard[];
  const relay = new Relay(shards, { add: () => {}, tail: async () => [] } as unknown as Audit, async () => null);
  const caller = { door: 'socket', address: null, claims: null } as const;
  assert.deepEqual(await relay.answer({ method: 'GET', url: '/v1/metrics/users?top=5', body: null, caller }), {
    ...{ kind: 'text', type },
    text: '# TYPE user gauge\nuser{shard="0",login="alice"} 1\nuser{shard="2",login="bob"} 1\n',
  });
});
