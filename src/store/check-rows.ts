import { Fault } from '../errors.js';
import type { Database } from './database.js';
import {
  CONTENTS,
  contentKey,
  RETAINED,
  readNumber,
  SCHEMA,
  SESSIONS,
  type SessionRowKind,
  splitSessionKey,
  USER,
  WILL,
} from './keys.js';
import { type ClientKind, FORMER_PREFIXES, FORMER_RETAINED, splitClientKey } from './keys-version-1.js';
import { messageOf } from './migrate-version-1.js';
import { decodeContent, decodeHead, messageIn } from './outgoing-rows.js';
import { decodePosition, decodeRequest, decodeRetained, decodeSession, decodeSubscription } from './rows.js';
import { SCHEMA_VERSION, storedVersion } from './schema.js';
import { decodeUser } from './stored-users.js';

export interface RowProblem {
  readonly key: string;
  readonly text: string;
  /** The broker does not start with such a row. */
  readonly unreadable: boolean;
}

/** What a row is, and what is wrong with it though it can be read. */
interface Judged {
  readonly kind: string;
  readonly text?: string;
}

/** Throws when a row cannot be read. */
type Judge = (key: string, value: Buffer) => Judged;

const ROWS_AT_ONCE = 1_000;

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
  const version = (await storedVersion(db, 'the store')) ?? SCHEMA_VERSION;
  const today = new TodaysRows();
  const judges = [judgeUnversioned, judgeVersion1];
  const judge: Judge = judges[version] ?? ((key, value) => today.judge(key, value));
  const rows = new Map<string, number>();
  let total = 0;
  for await (const [key, value] of readableRows(db, { gte: '', lt: '~' })) {
    progress?.(++total);
    let kind = kindOf(key);
    try {
      const judged = judge(key, value);
      kind = judged.kind;
      if (judged.text !== undefined) problem({ key, text: judged.text, unreadable: false });
    } catch (error) {
      problem({ key, text: `cannot be read: ${reasonOf(error)}`, unreadable: true });
    }
    rows.set(kind, (rows.get(kind) ?? 0) + 1);
  }
  for (const key of today.unused) problem({ key, text: 'the content of no message', unreadable: false });
  return rows;
}

const sessionKinds: Record<SessionRowKind, string> = {
  '': 'session',
  i: 'incoming',
  o: 'outgoing',
  r: 'requests',
  s: 'subscriptions',
  t: 'positions',
};

const UNKNOWN = { kind: 'unknown', text: 'unknown kind of row' };

/** By the key alone. */
function kindOf(key: string): string {
  if (key.startsWith(SESSIONS)) return sessionKinds[splitSessionKey(key).kind] ?? 'unknown';
  if (key.startsWith(CONTENTS)) return 'contents';
  if (key.startsWith(RETAINED)) return 'retained';
  return key.slice(0, key.indexOf(':'));
}

class TodaysRows {
  /** Contents that no queue has named yet: they come first. */
  readonly unused = new Set<string>();
  readonly #contents = new Set<string>();
  #session = '';
  #clientId = '';

  judge(key: string, value: Buffer): Judged {
    const kind = kindOf(key);
    if (key.startsWith(SESSIONS)) return { kind, ...this.#judgeSession(key, value) };
    if (key.startsWith(CONTENTS)) {
      decodeContent(value);
      this.#contents.add(key);
      this.unused.add(key);
    } else if (key.startsWith(RETAINED)) {
      decodeRetained(key.slice(RETAINED.length), value);
    } else if (key.startsWith(USER)) {
      decodeUser(value);
    } else if (FORMER_PREFIXES.some((prefix) => key.startsWith(prefix))) {
      return { kind: 'of a former version' };
    } else if (!key.startsWith(WILL) && !key.startsWith(SCHEMA)) {
      return UNKNOWN;
    }
    return { kind };
  }

  #judgeSession(key: string, value: Buffer): { text?: string } {
    const { session, kind, rest } = splitSessionKey(key);
    if (kind === '') {
      this.#session = session;
      this.#clientId = '?';
      this.#clientId = decodeSession(value).clientId;
      return {};
    }
    if (kind === 's') decodeSubscription(rest, value);
    else if (kind === 'r') decodeRequest(readNumber(rest), value);
    else if (kind === 't') decodePosition(value);
    else if (kind === 'o') {
      const head = decodeHead(value);
      const content = contentKey(head.contentId);
      this.unused.delete(content);
      if (head.contentId === 0) messageIn(value, head);
      else if (!this.#contents.has(content)) return { text: `its content ${content} is missing: ${this.#clientId}` };
    } else if (kind !== 'i') return UNKNOWN;
    return session === this.#session ? {} : { text: 'belongs to no session; it goes at the next start' };
  }
}

const decodersOfVersion1 = new Map<string, (rest: string, value: Buffer) => unknown>([
  ['session', (_, value) => decodeSession(value)],
  ['subscriptions', decodeSubscription],
  ['outgoing', (rest, value) => messageOf({ rest, value })],
  ['incoming', () => {}],
]);

/** A store that the next start migrates. */
function judgeVersion1(key: string, value: Buffer): Judged {
  const kind = key.slice(0, key.indexOf(':'));
  const decode = decodersOfVersion1.get(kind);
  if (decode !== undefined) decode(splitClientKey(key, kind as ClientKind).rest, value);
  else if (key.startsWith(FORMER_RETAINED)) decodeRetained(key.slice(FORMER_RETAINED.length), value);
  else if (key.startsWith(USER)) decodeUser(value);
  return judgeUnversioned(key);
}

/** A store of aedes-persistence-level itself, in which rows are read when it is migrated. */
function judgeUnversioned(key: string): Judged {
  const kind = key.slice(0, key.indexOf(':'));
  return /^[src]$/.test(kind) ? { kind: 'of a migration that did not end' } : { kind };
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
