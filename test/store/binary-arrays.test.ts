import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { byteas, smallints, texts } from '../../src/store/postgres/binary-arrays.js';
import { Postgres } from '../support/postgres.js';

test('PostgreSQL reads arrays as they were written, whatever is in them', async (t) => {
  const { port } = await Postgres.start(t);
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  const sets = [
    { s: [], t: [], b: [] },
    { s: [0], t: [''], b: [Buffer.alloc(0)] },
    {
      s: [-1, 255, 32_767],
      t: ['s:a1:s:iotlab/é/"{},\\/#', 'NULL', '😀'],
      b: [Buffer.from([0, 255, 92, 34]), Buffer.alloc(70_000, 7), Buffer.from('x')],
    },
  ];
  for (const { s, t: keys, b } of sets) {
    const text = 'select $1::smallint[] as s, $2::text[] as t, $3::bytea[] as b';
    const { rows } = await client.query(text, [smallints(s), texts(keys), byteas(b)]);
    assert.deepEqual(rows, [{ s, t: keys, b }]);
  }
  await client.end();
});
