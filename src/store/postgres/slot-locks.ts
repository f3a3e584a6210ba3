import type pg from 'pg';

/** Tells this program's advisory locks from others'. */
const LOCKS = 0x10_7b;
/** The lock of whoever makes the tables. */
const TABLES_LOCK = -1;

/** All of them, or none. */
export async function tryLocks(client: pg.Client, slots: readonly number[]): Promise<boolean> {
  const text = 'select bool_and(pg_try_advisory_lock($1, s)) as got from unnest($2::int[]) s';
  const { rows } = await client.query(text, [LOCKS, slots]);
  if (rows[0].got === true) return true;
  await client.query('select pg_advisory_unlock_all()');
  return false;
}

export async function waitForLocks(client: pg.Client, slots: readonly number[]): Promise<void> {
  await client.query('select pg_advisory_lock($1, s) from unnest($2::int[]) s', [LOCKS, slots]);
}

/** Where they are not there yet: whoever has them made needs no right to make more. */
export async function makeTables(client: pg.Client): Promise<void> {
  const { rows } = await client.query("select to_regclass('iotlab_slots') is not null as made");
  if (rows[0].made === true) return;
  await client.query('select pg_advisory_lock($1, $2)', [LOCKS, TABLES_LOCK]);
  await client.query(`create table if not exists iotlab_rows (
    slot smallint not null, key text collate "C" not null, value bytea not null, primary key (slot, key)
  ) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)`);
  await client.query('create table if not exists iotlab_slots (slot smallint primary key, epoch bigint not null)');
  await client.query('select pg_advisory_unlock($1, $2)', [LOCKS, TABLES_LOCK]);
}

/** Returns them. */
export async function raiseEpochs(client: pg.Client, slots: readonly number[]): Promise<string> {
  await client.query(
    `insert into iotlab_slots select s, 1 from unnest($1::smallint[]) s
     on conflict (slot) do update set epoch = iotlab_slots.epoch + 1`,
    [slots],
  );
  return epochsOf(client, slots);
}

/** In one word, to be compared. */
export async function epochsOf(client: pg.Client, slots: readonly number[]): Promise<string> {
  const text = 'select string_agg(epoch::text, $2 order by slot) as epochs from iotlab_slots where slot = any($1)';
  const { rows } = await client.query(text, [slots, ' ']);
  return String(rows[0].epochs);
}
