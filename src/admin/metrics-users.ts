import { prometheusText } from '../observe/exposition.js';
import { gauge } from '../observe/families.js';
import { printable } from '../observe/printable.js';
import type { UserAccount } from '../session/user-account.js';
import type { AdminContext } from './context.js';
import { inSlices, type Steps } from './in-slices.js';
import type { AdminRequest, Answer, Route } from './route.js';
import { TopList } from './top-list.js';

const USERS_PER_STEP = 64;
const MOST_USERS = 500;
/** All those who are not shown by name. */
const OTHERS = '_other';

/**
 * What is shown of each user. Gauges, all of them: users come among the first and leave them, so that of the others
 * together no counter could be told.
 */
const shown = {
  user_connections: 'Connections.',
  user_kept_sessions: 'Sessions that outlive their connection.',
  user_queued_messages: 'Messages that wait for clients, or are in flight to kept sessions.',
  user_queued_bytes: 'What they count as.',
  user_retained_messages: 'Retained messages that the user has published.',
  user_held_bytes: 'What the user holds in memory.',
  user_publishes_received_per_second: 'PUBLISH packets that came, over the last minute.',
  user_publishes_sent_per_second: 'PUBLISH packets that were sent, over the last minute.',
  user_received_bytes_per_second: 'Bytes that came, inside of TLS, over the last minute.',
  user_sent_bytes_per_second: 'Bytes that were sent, inside of TLS, over the last minute.',
} as const;
type Shown = Record<keyof typeof shown, number>;

const names = Object.keys(shown) as (keyof typeof shown)[];

/** By what users are the first. */
const ranks = {
  bytes: (row: Shown) => row.user_received_bytes_per_second + row.user_sent_bytes_per_second,
  publishes: (row: Shown) => row.user_publishes_received_per_second + row.user_publishes_sent_per_second,
  connections: (row: Shown) => row.user_connections,
  queued: (row: Shown) => row.user_queued_bytes,
  held: (row: Shown) => row.user_held_bytes,
};

/**
 * The users who need most, for Prometheus: never more of them than were asked for, and the rest in one. Apart from the
 * totals, since it names people.
 */
export function userMetricsRoutes({ parts, rates }: AdminContext): readonly Route[] {
  const { accounts } = parts;

  function rowOf(account: UserAccount): Shown {
    const perSecond = rates.of(account.login);
    return {
      user_connections: account.connections.size,
      user_kept_sessions: account.persistentSessions,
      user_queued_messages: account.queuedMessages,
      user_queued_bytes: account.queuedBytes,
      user_retained_messages: account.retainedMessages,
      user_held_bytes: account.heldBytes,
      user_publishes_received_per_second: perSecond.publishesReceived,
      user_publishes_sent_per_second: perSecond.publishesSent,
      user_received_bytes_per_second: perSecond.bytesReceived,
      user_sent_bytes_per_second: perSecond.bytesSent,
    };
  }

  function* measure({ query }: AdminRequest): Steps<Answer> {
    const rank = ranks[query.by as keyof typeof ranks];
    const first = new TopList<readonly [label: string, row: Shown]>(query.top as number, true, undefined);
    const rest: Shown = { ...nothing };
    let count = 0;
    const counted = new Set<string>();
    for (const account of accounts.seenLately()) {
      // What an embedder publishes, and what nobody is known to own, is nobody's; and some leave meanwhile.
      if (account.login === '' || counted.has(account.login)) continue;
      counted.add(account.login);
      const row = rowOf(account);
      for (const name of names) rest[name] += row[name];
      // A user of that name would be two samples in one.
      if (account.login !== OTHERS) first.add(rank(row), account.login, [printable(account.login), row]);
      if (++count % USERS_PER_STEP === 0) yield;
    }
    const { items } = first;
    for (const [, row] of items) for (const name of names) rest[name] -= row[name];
    const rows = [...items, [OTHERS, rest] as const];
    const families = names.map((name) =>
      gauge(
        name,
        shown[name],
        rows.map(([login, row]) => [{ login }, rounded(row[name])] as const),
      ),
    );
    return { kind: 'text', type: prometheusText.contentType, text: prometheusText.write(families) };
  }

  return [
    {
      method: 'GET',
      path: '/metrics/users',
      query: {
        top: { kind: 'integer', min: 1, max: MOST_USERS, otherwise: 50 },
        by: { kind: 'choice', words: Object.keys(ranks), otherwise: 'bytes' },
      },
      answer: (request) => inSlices(parts, measure(request)),
    },
  ];
}

const nothing = Object.fromEntries(names.map((name) => [name, 0])) as Shown;

/** Sums and differences of fractions leave crumbs. */
const rounded = (value: number): number => Math.max(0, Math.round(value * 1_000) / 1_000);
