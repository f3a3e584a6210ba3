import { connectionOrder } from '../admin/connections.js';
import { TopList } from '../admin/top-list.js';
import { userOrder } from '../admin/users.js';

type Json = Readonly<Record<string, unknown>>;

/** The least well first: together, shards are as well as the one that is worst. */
const states = ['failing', 'stopping', 'draining', 'degraded', 'ok'];
/** Of these, together, the least counts. */
const least = new Set(['uptime', 'uptimeSeconds', 'seconds']);
const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** Of lists of the largest, so many are shown. */
const SHOWN_SLOW = 20;

/** What several shards answered to the same question, as one broker would. `missing` did not answer. */
export function mergeAnswers(url: URL, values: readonly Json[], missing: readonly number[]): Json {
  const merged = mergers[url.pathname]?.(url, values) ?? mergeObjects(values);
  const listed = byTime(merged, Number(url.searchParams.get('limit') ?? 100));
  return missing.length === 0 ? listed : { ...listed, missingShards: missing };
}

/** Lists that are in order, and begin where a cursor says. */
const mergers: Readonly<Record<string, (url: URL, values: readonly Json[]) => Json>> = {
  '/v1/connections': (url, values) => {
    const { descending, keyOf } = connectionOrder(url.searchParams.get('sort') ?? 'n');
    return pageOf('connections', url, values, descending, (row) => [keyOf(row as never), row.n as number]);
  },
  '/v1/users': (url, values) => {
    const { descending, keyOf } = userOrder(url.searchParams.get('sort') ?? 'login');
    return pageOf('users', url, values, descending, (row) => [keyOf(row as never), row.login as string]);
  },
  '/v1/slow': (_, values) => ({
    oldest: largest(listsOf('oldest', values), (row) => row.oldestUnacknowledgedSeconds as number),
    dropped: largest(listsOf('dropped', values), (row) => row.droppedMessages as number),
  }),
  // What is decided for a group is each shard's, decided at nearly the same time; and so is a ban of an address.
  '/v1/limits': (_, values) => {
    const decided = listsOf('overrides', values).map((it): [unknown, Json] => [it.login ?? `@${it.group}`, it]);
    return { overrides: [...new Map(decided).values()] };
  },
  '/v1/bans': (_, values) => {
    const bans = listsOf('bans', values).map((ban): [unknown, Json] => [ban.login ?? ban.address, ban]);
    return { bans: [...new Map(bans).values()] };
  },
};

export function worstState(found: readonly string[]): string {
  return states.find((state) => found.includes(state)) ?? found[0] ?? 'failing';
}

function mergeObjects(values: readonly Json[]): Json {
  const keys = new Set(values.flatMap((value) => Object.keys(value)));
  return Object.fromEntries([...keys].map((key) => [key, mergeOf(key, values.map((value) => value[key]).filter(is))]));
}

const is = (value: unknown) => value !== undefined;

/** Numbers are added up, lists put together, and of words that differ the worst, or all of them, remain. */
function mergeOf(key: string, values: readonly unknown[]): unknown {
  const [first] = values;
  if (values.every((value) => typeof value === 'number')) {
    const numbers = values as readonly number[];
    return least.has(key) ? Math.min(...numbers) : numbers.reduce((sum, number) => sum + number, 0);
  }
  if (values.every((value) => Array.isArray(value)))
    return [...new Map(values.flat().map((item) => [JSON.stringify(item), item])).values()];
  if (values.every((value) => typeof value === 'boolean')) return values.every(Boolean);
  if (values.every(isObject)) return mergeObjects(values as readonly Json[]);
  const words = [...new Set(values.filter((value) => value !== null).map(String))];
  if (words.length <= 1) return values.find((value) => value !== null) ?? first;
  if (words.every((word) => states.includes(word))) return worstState(words);
  if (words.every((word) => date.test(word))) return words.sort().at(-1);
  return words.filter((word) => word !== 'ok').join(', ');
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Lists of what happened: the newest first, and as many as were asked for. */
function byTime(value: Json, limit: number): Json {
  const entries = Object.entries(value).map(([key, list]): [string, unknown] => {
    if (!Array.isArray(list) || list.length === 0 || !list.every((row) => typeof row?.time === 'string'))
      return [key, list];
    const rows = list as { readonly time: string }[];
    return [key, rows.toSorted((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, limit)];
  });
  return Object.fromEntries(entries);
}

const listsOf = (name: string, values: readonly Json[]) => values.flatMap((value) => value[name] as readonly Json[]);

function largest(rows: readonly Json[], of: (row: Json) => number): Json[] {
  return rows.toSorted((a, b) => of(b) - of(a)).slice(0, SHOWN_SLOW);
}

/** A page of all: of the pages of each, in the same order. */
function pageOf(
  name: string,
  url: URL,
  values: readonly Json[],
  descending: boolean,
  placeOf: (row: Json) => readonly [key: string | number, n: string | number],
): Json {
  const limit = Number(url.searchParams.get('limit') ?? 100);
  const list = new TopList<Json>(limit, descending, url.searchParams.get('cursor') ?? undefined);
  for (const row of listsOf(name, values)) list.add(...placeOf(row), row);
  const total = values.reduce((sum, value) => sum + (value.total as number), 0);
  // Who has a next page and fills this one alone says where that begins.
  const next = list.next ?? values.map((value) => value.next).find((it) => it !== null) ?? null;
  return { [name]: list.items, total, next };
}
