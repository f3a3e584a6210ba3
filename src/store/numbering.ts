import type { Database } from './database.js';
import { rangeOf, readNumber } from './keys.js';

/** The highest number among keys that begin with `prefix`; 0 when there is none. */
export async function lastNumber(db: Database, prefix: string): Promise<number> {
  const iterator = db.iterator({ ...rangeOf(prefix), reverse: true, limit: 1 });
  try {
    const [row] = await iterator.nextv(1);
    return row === undefined ? 0 : readNumber(row[0].slice(prefix.length).split(':', 1)[0]!);
  } finally {
    await iterator.close();
  }
}
