import { Fault } from '../errors.js';
import type { Database } from './database.js';
import { type ClientKind, RETAINED, SCHEMA_KEY, splitClientKey, WILL } from './keys.js';
import { decodeOutgoing, decodeRetained, decodeSession, decodeSubscription } from './rows.js';

export interface CheckResult {
  /** Rows by kind. */
  readonly rows: Map<string, number>;
  /** At most 100, each naming a key; never a payload. */
  readonly problems: string[];
  problemCount: number;
}

const LISTED_PROBLEMS = 100;

const decoders = new Map<string, (rest: string, value: Buffer) => unknown>([
  ['session', decodeSession],
  ['subscriptions', decodeSubscription],
  ['outgoing', (rest, value) => decodeOutgoing(Number(rest), value)],
  ['incoming', () => {}],
]);

const reasonOf = (error: unknown): string =>
  error instanceof Fault ? 'unknown format' : error instanceof Error ? error.message : String(error);

/** Reads every row as the broker would, and says which it could not, or would not, use. */
export async function checkRows(db: Database, progress: (rows: number) => void): Promise<CheckResult> {
  const result: CheckResult = { rows: new Map(), problems: [], problemCount: 0 };
  const problem = (text: string) => {
    result.problemCount++;
    if (result.problems.length < LISTED_PROBLEMS) result.problems.push(text);
  };
  const sessions = new Set<string>();
  for await (const [key] of db.iterator({ gte: 'session:', lt: 'session;' })) {
    sessions.add(splitClientKey(key, 'session').encodedId);
  }
  let total = 0;
  for await (const [key, value] of db.iterator({ gte: '', lt: '~' })) {
    const kind = key.slice(0, key.indexOf(':'));
    result.rows.set(kind, (result.rows.get(kind) ?? 0) + 1);
    progress(++total);
    try {
      const decode = decoders.get(kind);
      if (decode !== undefined) {
        const { encodedId, rest } = splitClientKey(key, kind as ClientKind);
        decode(kind === 'session' ? decodeURIComponent(encodedId) : rest, value);
        if (!sessions.has(encodedId)) problem(`${key}: belongs to no session; it goes at the next start`);
      } else if (key.startsWith(RETAINED)) {
        decodeRetained(key.slice(RETAINED.length), value);
      } else if (!key.startsWith(WILL) && key !== SCHEMA_KEY) {
        problem(`${key}: unknown kind of row`);
      }
    } catch (error) {
      problem(`${key}: cannot be read: ${reasonOf(error)}`);
    }
  }
  return result;
}
