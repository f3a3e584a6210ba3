import { Fault } from '../errors.js';
import type { Database } from './database.js';
import { type ClientKind, RETAINED, SCHEMA_KEY, splitClientKey, USER, WILL } from './keys.js';
import { decodeOutgoing, decodeRetained, decodeSession, decodeSubscription } from './rows.js';
import { decodeUser } from './stored-users.js';

export interface RowProblem {
  readonly key: string;
  readonly text: string;
  /** The broker does not start with such a row. */
  readonly unreadable: boolean;
}

const ROWS_AT_ONCE = 1_000;

const decoders = new Map<string, (rest: string, value: Buffer) => unknown>([
  ['session', decodeSession],
  ['subscriptions', decodeSubscription],
  ['outgoing', (rest, value) => decodeOutgoing(Number(rest), value)],
  ['incoming', () => {}],
]);

const reasonOf = (error: unknown): string =>
  error instanceof Fault ? 'unknown format' : error instanceof Error ? error.message : String(error);

/**
 * Reads every row that can be read as the broker would, and tells of those that it could not, or would not, use. Returns
 * how many rows there are of each kind.
 */
export async function checkRows(
  db: Database,
  { problem, progress }: { problem: (found: RowProblem) => void; progress?: (rows: number) => void },
): Promise<Map<string, number>> {
  const sessions = new Set<string>();
  for await (const [key] of readableRows(db, { gte: 'session:', lt: 'session;' })) {
    sessions.add(splitClientKey(key, 'session').encodedId);
  }
  const rows = new Map<string, number>();
  let total = 0;
  for await (const [key, value] of readableRows(db, { gte: '', lt: '~' })) {
    const kind = key.slice(0, key.indexOf(':'));
    rows.set(kind, (rows.get(kind) ?? 0) + 1);
    progress?.(++total);
    try {
      const decode = decoders.get(kind);
      if (decode !== undefined) {
        const { encodedId, rest } = splitClientKey(key, kind as ClientKind);
        decode(kind === 'session' ? decodeURIComponent(encodedId) : rest, value);
        if (!sessions.has(encodedId)) {
          problem({ key, text: 'belongs to no session; it goes at the next start', unreadable: false });
        }
      } else if (key.startsWith(RETAINED)) {
        decodeRetained(key.slice(RETAINED.length), value);
      } else if (key.startsWith(USER)) {
        decodeUser(value);
      } else if (!key.startsWith(WILL) && key !== SCHEMA_KEY) {
        problem({ key, text: 'unknown kind of row', unreadable: false });
      }
    } catch (error) {
      problem({ key, text: `cannot be read: ${reasonOf(error)}`, unreadable: true });
    }
  }
  return rows;
}

/**
 * What can be read of a database that may be damaged. LevelDB passes over a block that it cannot read, and complains at
 * the end, instead of the last rows; those are then asked for one by one.
 */
async function* readableRows(db: Database, range: { gte: string; lt: string }): AsyncGenerator<[string, Buffer]> {
  let last: string | null = null;
  for (const atOnce of [ROWS_AT_ONCE, 1]) {
    const iterator = db.iterator(last === null ? range : { ...range, gte: `${last}\0` });
    try {
      for (let rows = await iterator.nextv(atOnce); rows.length > 0; rows = await iterator.nextv(atOnce)) {
        yield* rows;
        last = rows.at(-1)![0];
      }
      return;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'E_STORE_DAMAGED') throw error;
    } finally {
      await iterator.close();
    }
  }
}
