import type pg from 'pg';
import type { Clock } from '../../clock.js';
import type { Database, DatabaseBatch, OpenMode, ReadOptions, RowIterator } from '../database.js';
import { byteas, smallints, texts } from './binary-arrays.js';
import type { SlotOwner } from './owner.js';
import { iteratorOf, sortedRows } from './row-cursor.js';
import { isSchemaKey, type Placement, slotOfKey, slotOfRange } from './slots.js';

/** For how long a fail-over makes what is to be stored wait, before it is a fault. */
const FAIL_OVER_MS = 60_000;
const PAGE_ROWS = 1_000;
const SPARE_MS = 2_000;
/** Receivers on the same network acknowledge within this. A row that is written and deleted costs the database 30 µs. */
const RIPEN_MS = 2;

const writeText = `with gone as (
  delete from iotlab_rows using unnest($1::smallint[], $2::text[]) as x(s, k) where slot = x.s and key = x.k
) insert into iotlab_rows (slot, key, value)
  select * from unnest($3::smallint[], $4::text[], $5::bytea[])
  on conflict (slot, key) do update set value = excluded.value`;

/** Sorting is what a start waits for: in memory, where it is not too much, and without a compiler that takes longer. */
const beginText = "begin read only; set local work_mem = '64MB'; set local jit = off";

/** Opens the rows of the owner's slots in PostgreSQL, and opens them again as the same owner. */
export function opener(owner: SlotOwner, placement: Placement, clock: Clock): (mode: OpenMode) => Promise<Database> {
  return async (mode) => {
    owner.reopen();
    if (mode === 'create') await owner.acquire();
    return new PostgresDatabase(owner, placement, clock);
  };
}

/** The rows of some slots, as their owner reads and writes them. */
export class PostgresDatabase implements Database {
  readonly slotted = true;
  readonly ripenMs = RIPEN_MS;
  readonly #owner: SlotOwner;
  readonly #placement: Placement;
  readonly #clock: Clock;
  #spare: pg.Client | null = null;
  #cancelSpare: () => void = () => {};
  #closed = false;

  constructor(owner: SlotOwner, placement: Placement, clock: Clock) {
    this.#owner = owner;
    this.#placement = placement;
    this.#clock = clock;
  }

  async get(key: string): Promise<Buffer | undefined> {
    const values = [isSchemaKey(key) ? this.#placement.slots[0] : slotOfKey(key, this.#placement), key];
    const text = 'select value from iotlab_rows where slot = $1 and key = $2';
    const { rows } = await this.#run((client) => client.query({ name: 'get', text, values }));
    return rows[0]?.value;
  }

  iterator(options: ReadOptions): RowIterator {
    const slot = slotOfRange(options);
    return iteratorOf(slot === null || options.reverse === true ? this.#sorted(options) : this.#pages(options, slot));
  }

  batch(): DatabaseBatch {
    return new PostgresBatch(this.#placement, async (values) => {
      await this.#run((client) => client.query({ name: 'write', text: writeText, values }));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const spare = this.#spare;
    this.#takeSpare();
    await spare?.end().catch(() => {});
    await this.#owner.close();
  }

  /** On the connection that writes: behind what was written, and nobody else's view. */
  #run<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return this.#owner.run(work, this.#clock.monotonicMs() + FAIL_OVER_MS);
  }

  /** Of one slot: page after page, so that nothing is held meanwhile. */
  async *#pages({ gte, lt, limit = Number.POSITIVE_INFINITY, values = true }: ReadOptions, slot: number) {
    const column = values ? 'value' : "''::bytea";
    let from = gte;
    let left = limit;
    for (let first = true; left > 0; first = false) {
      const count = Math.min(PAGE_ROWS, left);
      const text = `select key, ${column} from iotlab_rows where slot = $1 and key ${first ? '>=' : '>'} $2 and key < $3
        order by key limit $4`;
      const asked = { text, values: [slot, from, lt, count], rowMode: 'array' } as const;
      const { rows } = await this.#run((client) => client.query<[string, Buffer]>(asked));
      if (rows.length > 0) yield rows;
      if (rows.length < count) return;
      left -= rows.length;
      from = rows.at(-1)![0];
    }
  }

  /** Of all slots: the database sorts them once. On a connection of its own, since that may take a while. */
  async *#sorted(options: ReadOptions) {
    const client = this.#spare ?? (await this.#owner.reader(this.#clock.monotonicMs() + FAIL_OVER_MS));
    this.#takeSpare();
    try {
      await client.query(beginText);
      yield* sortedRows(client, options, this.#placement.slots);
      await client.query('commit');
      this.#keepSpare(client);
    } finally {
      if (this.#spare !== client) await client.end().catch(() => {});
    }
  }

  /** For the next one, at the start, when one comes after the other. */
  #keepSpare(client: pg.Client): void {
    if (this.#spare !== null || this.#closed) return;
    this.#spare = client;
    this.#cancelSpare = this.#clock.after(SPARE_MS, () => {
      this.#takeSpare();
      client.end().catch(() => {});
    });
  }

  #takeSpare(): void {
    this.#spare = null;
    this.#cancelSpare();
  }
}

/** What one statement deletes and puts. */
class PostgresBatch implements DatabaseBatch {
  readonly #placement: Placement;
  readonly #send: (values: unknown[]) => Promise<void>;
  readonly #deletedSlots: number[] = [];
  readonly #deletedKeys: string[] = [];
  readonly #slots: number[] = [];
  readonly #keys: string[] = [];
  readonly #values: Buffer[] = [];

  constructor(placement: Placement, send: (values: unknown[]) => Promise<void>) {
    this.#placement = placement;
    this.#send = send;
  }

  put(key: string, value: Buffer): void {
    // Each slot says for itself which layout it has: they go to other brokers one by one.
    if (isSchemaKey(key)) for (const slot of this.#placement.slots) this.#put(slot, key, value);
    else this.#put(slotOfKey(key, this.#placement), key, value);
  }

  del(key: string): void {
    const slots = isSchemaKey(key) ? this.#placement.slots : [slotOfKey(key, this.#placement)];
    for (const slot of slots) {
      this.#deletedSlots.push(slot);
      this.#deletedKeys.push(key);
    }
  }

  async write(): Promise<void> {
    const deleted = [smallints(this.#deletedSlots), texts(this.#deletedKeys)];
    await this.#send([...deleted, smallints(this.#slots), texts(this.#keys), byteas(this.#values)]);
  }

  #put(slot: number, key: string, value: Buffer): void {
    this.#slots.push(slot);
    this.#keys.push(key);
    this.#values.push(value);
  }
}
