import type pg from 'pg';
import type { ReadOptions, RowIterator } from '../database.js';
import { rowIterator } from '../row-iterator.js';

/** The next ones are on their way while these are worked on: there are twice as many at a time. */
const CURSOR_ROWS = 2_500;

type Row = [string, Buffer];

let cursors = 0;

/** Within a transaction. What every slot has is told once. */
export async function* sortedRows(client: pg.Client, options: ReadOptions, slots: readonly number[]) {
  const cursor = `rows_${++cursors}`;
  const { gte, lt, limit, reverse = false, values = true } = options;
  const column = values ? 'value' : "''::bytea as value";
  const order = `order by key ${reverse ? 'desc' : 'asc'}`;
  const within = "key >= $2 and key < $3 and (slot = $4 or key not like 'schema:%')";
  // A few of many: from each slot's own index, instead of sorting all rows of all slots.
  const text =
    limit === undefined
      ? `select key, ${column} from iotlab_rows where slot = any($1) and ${within} ${order}`
      : `select key, value from unnest($1::smallint[]) s, lateral (
           select key, ${column} from iotlab_rows where slot = s and ${within} ${order} limit ${Number(limit)}
         ) r ${order} limit ${Number(limit)}`;
  await client.query(`declare ${cursor} no scroll cursor for ${text}`, [slots, gte, lt, slots[0]]);
  const fetch = () => {
    const answer = client.query<Row>({ text: `fetch ${CURSOR_ROWS} from ${cursor}`, rowMode: 'array' });
    // Heard by who awaits it, if anybody does.
    answer.catch(() => {});
    return answer;
  };
  try {
    for (let next = fetch(); ; ) {
      const { rows } = await next;
      if (rows.length === 0) return;
      next = fetch();
      yield rows;
    }
  } finally {
    await client.query(`close ${cursor}`).catch(() => {});
  }
}

/** From rows that come as many at a time as suits the database. */
export function iteratorOf(rows: AsyncGenerator<Row[], void>): RowIterator {
  let left: Row[] = [];
  const nextv = async (count: number): Promise<Row[]> => {
    while (left.length < count) {
      const { value, done } = await rows.next();
      if (done === true) break;
      left = left.length === 0 ? value : left.concat(value);
    }
    const taken = left.slice(0, count);
    left = left.slice(count);
    return taken;
  };
  return rowIterator(nextv, async () => void (await rows.return()));
}
