import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import type { Fault } from '../../src/errors.js';
import { clientConfig, parsePostgresUrl } from '../../src/postgres-url.js';
import { shardOf } from '../../src/shard.js';
import { SlotOwner } from '../../src/store/postgres/owner.js';
import { PatientClient } from '../../src/store/postgres/patient-client.js';
import { opener } from '../../src/store/postgres/postgres-database.js';
import { placementOf } from '../../src/store/postgres/slots.js';
import { storeContract } from '../contract/store.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { silent, wholeSessions } from '../support/open-store.js';
import { Postgres } from '../support/postgres.js';
import { fill, openPostgresStore, type WantedStore } from '../support/postgres-store.js';
import { ownScope } from '../support/sockets.js';

let postgres: Postgres;
const scope = ownScope();
before(async () => {
  postgres = await Postgres.start(scope);
});
after(() => scope.close());

const ownerOf = (topic: string) => topic.split('/')[1] ?? '';
const open = (wanted?: WantedStore) => openPostgresStore(postgres.url, wanted);
const empty = () => postgres.ask('drop table if exists iotlab_rows, iotlab_slots');

storeContract('postgres', async () => ({
  name: 'postgres',
  open: () => open(),
  cleanUp: async () => void (await empty()),
}));

const logins = Array.from({ length: 40 }, (_, number) => `user${number}`);

describe('shards in one database', () => {
  test('each has its own rows, and another number of shards finds them again', async () => {
    for (const shard of [0, 1]) {
      const store = await open({ shards: 2, shard });
      await fill(
        store,
        logins.filter((login) => shardOf(login, 2) === shard),
      );
      await store.close();
    }
    const found: string[] = [];
    for (const shard of [0, 1, 2]) {
      const store = await open({ shards: 3, shard });
      for (const { session, outgoing } of await wholeSessions(store)) {
        assert.equal(shardOf(session.login, 3), shard);
        assert.equal(outgoing[0]!.payload.toString('latin1', 0, session.login.length), session.login);
        found.push(session.login);
      }
      const topics = [...store.retained].map(({ topic }) => ownerOf(topic)).sort();
      assert.deepEqual(topics, logins.filter((login) => shardOf(login, 3) === shard).sort());
      // What comes now does not take a number that is taken.
      await fill(
        store,
        logins.filter((login) => shardOf(login, 3) === shard).map((login) => login),
      );
      await store.close();
    }
    assert.deepEqual(found.sort(), [...logins].sort());
    await empty();
  });
});

test('rows that are read many at a time are all there, in order; who stops reading leaves nothing behind', async () => {
  const onFenced = (fault: Fault) => assert.fail(fault);
  const place = parsePostgresUrl(postgres.url);
  const placement = placementOf(1, 0, ownerOf);
  const common = { place, slots: placement.slots, log: silent, clock: systemClock, onFenced, onStandby: () => {} };
  const db = await opener(new SlotOwner(common), placement, systemClock)('create');
  await postgres.ask(`insert into iotlab_rows select n % 256, 's:' || n, convert_to('value ' || n, 'UTF8')
    from generate_series(100000, 107999) n`);
  const sorted = { gte: 's:', lt: 's;' };
  const stopped = db.iterator(sorted);
  assert.equal((await stopped.nextv(10)).length, 10);
  await stopped.close();
  const read: string[] = [];
  for await (const [key, value] of db.iterator(sorted)) read.push(`${key} ${value}`);
  assert.deepEqual(
    read,
    Array.from({ length: 8_000 }, (_, row) => `s:${100_000 + row} value ${100_000 + row}`),
  );
  await db.close();
  await eventually(5_000, 'the end of its connections', async () => {
    const left = await postgres.ask('select 1 from pg_stat_activity where client_port > 0');
    return left.length === 0;
  });
  await empty();
});

describe('one owner at a time', () => {
  test('a standby waits, and takes over what was acknowledged as soon as the owner is gone', async () => {
    const first = await open();
    await fill(first, ['alice']);
    const { log, waitFor } = captureLog();
    let over = false;
    const second = open({ log }).then((store) => {
      over = true;
      return store;
    });
    await waitFor(/waiting as its standby/);
    assert.equal(over, false);
    await first.close();
    const store = await second;
    assert.equal(store.retained.size, 1);
    await store.close();
    await empty();
  });

  test('when the database restarts, what is to be stored waits, and is no fault', async () => {
    const { log, waitFor } = captureLog();
    const store = await open({ log });
    await fill(store, ['alice']);
    store.onFault(() => assert.fail('a fault'));
    await postgres.kill('SIGQUIT');
    const stored = fill(store, ['bob']);
    await waitFor(/the database was lost/);
    await postgres.start();
    await stored;
    assert.equal(store.fault, null);
    await store.close();
    const again = await open();
    assert.equal(again.retained.size, 2);
    await again.close();
    await empty();
  });

  test('an owner whose session the database has ended goes on if nobody came between', async () => {
    const store = await open();
    await fill(store, ['alice']);
    await postgres.ask("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'");
    await fill(store, ['bob', 'carol']);
    await store.close();
    await empty();
  });

  test('and writes nothing, and ends, if somebody did', async () => {
    const fenced: Fault[] = [];
    const old = await open({ onFenced: (fault) => fenced.push(fault) });
    await fill(old, ['alice']);
    const next = open();
    await eventually(5_000, 'the standby', async () => {
      const waiting = await postgres.ask("select 1 from pg_locks where locktype = 'advisory' and not granted");
      return waiting.length > 0;
    });
    await postgres.ask("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted");
    const store = await next;
    await assert.rejects(fill(old, ['mallory']));
    await eventually(5_000, 'the end of the old one', () => fenced.length > 0);
    assert.equal(fenced[0]!.code, 'E_STORE_FENCED');
    const written = await postgres.ask("select key from iotlab_rows where key like 'r:%'");
    assert.deepEqual(written, [{ key: 'r:iotlab/alice/r' }]);
    await fill(store, ['bob']);
    await store.close();
    await old.close().catch(() => {});
    await empty();
  });

  test('a silent owner loses the locks after three seconds', async () => {
    const still = { ...systemClock, every: () => () => {} };
    const place = parsePostgresUrl(postgres.url);
    const owner = new SlotOwner({
      place,
      slots: [1, 2],
      log: silent,
      clock: still,
      onStandby: () => {},
      onFenced: () => {},
    });
    await owner.acquire();
    const holders = () => postgres.ask("select distinct pid from pg_locks where locktype = 'advisory' and granted");
    const [first] = await holders();
    await eventually(6_000, 'the end of the lease', async () => {
      const [holder] = await holders();
      return holder?.pid !== first!.pid;
    });
    await owner.close();
    await empty();
  });
});

test('questions that come together are asked one after the other, and none is announced to end with the library', async (t) => {
  const client = new PatientClient(
    clientConfig(parsePostgresUrl(postgres.url), parsePostgresUrl(postgres.url).hosts[0]!),
  );
  t.after(() => client.end());
  const warnings: Error[] = [];
  const heard = (warning: Error) => warnings.push(warning);
  process.on('warning', heard);
  t.after(() => process.off('warning', heard));
  await client.connect();
  const answers = await Promise.allSettled([
    client.query('select 1 as n'),
    client.query('select no_such_thing'),
    client.query('select 2 as n'),
  ]);
  assert.deepEqual(
    answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.code)),
    [1, '42703', 2],
  );
  await new Promise(setImmediate);
  assert.deepEqual(warnings, []);
});
