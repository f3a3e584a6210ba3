import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePostgresUrl, whyNotAPostgresUrl } from '../src/postgres-url.js';

test('hosts, user, database and certificates are read from the URL', () => {
  const place = parsePostgresUrl(
    'postgres://broker@db-a.example.org,db-b.example.org:5433/iot%2Flab?sslrootcert=/ca.pem',
  );
  assert.deepEqual(place, {
    hosts: [
      { host: 'db-a.example.org', port: 5_432 },
      { host: 'db-b.example.org', port: 5_433 },
    ],
    ...{ user: 'broker', database: 'iot/lab', ssl: true, ca: '/ca.pem', cert: null, key: null },
  });
  assert.deepEqual(parsePostgresUrl('postgresql://[::1]:5/x').hosts, [{ host: '::1', port: 5 }]);
  assert.equal(parsePostgresUrl('postgres://%2Frun%2Fpostgresql/x').hosts[0]!.host, '/run/postgresql');
});

test('there is TLS wherever a network is, and none is needed within a machine', () => {
  for (const [url, ssl] of [
    ['postgres://localhost/x', false],
    ['postgres://127.0.0.2/x', false],
    ['postgres://localhost/x?sslmode=verify-full', true],
    ['postgres://10.0.0.1/x', true],
    ['postgres://localhost,db.example.org/x', true],
  ] as const) {
    assert.equal(parsePostgresUrl(url).ssl, ssl, url);
  }
  for (const mode of ['disable', 'prefer', 'require', 'verify-ca']) {
    assert.match(whyNotAPostgresUrl(`postgres://db.example.org/x?sslmode=${mode}`)!, /by TLS alone/);
  }
});

test('what cannot be meant is refused with what is expected', () => {
  for (const [url, why] of [
    ['mysql://a/b', /not of the form postgres:/],
    ['postgres://a', /not of the form postgres:/],
    ['postgres://user:secret@a/b', /has a password in it: PGPASSWORD/],
    ['postgres://a:0/b', /a host that is none: a:0/],
    ['postgres://a/b?pool=3', /has "pool", and knows sslmode/],
  ] as const) {
    assert.match(whyNotAPostgresUrl(url) ?? 'fine', why, url);
  }
});
