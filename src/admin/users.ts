import type { Denial } from '../observe/history.js';
import { type LimitUse, limitUse } from '../session/limit-use.js';
import type { UserAccount } from '../session/user-account.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { inSlices, type Steps } from './in-slices.js';
import type { Rate } from './rates.js';
import { type AdminRequest, type Answer, json, notFound, type Route } from './route.js';
import { TopList } from './top-list.js';

const USERS_PER_STEP = 32;
const SESSIONS_PER_STEP = 128;
/** Sessions that are shown of one user. */
const SHOWN_SESSIONS = 200;

/** What the list can be sorted by, and whether the largest comes first. */
const sorts = {
  login: false,
  connections: true,
  received: true,
  sent: true,
  publishes: true,
  queued: true,
  held: true,
  denials: true,
} as const;
type Sort = keyof typeof sorts;

/** How rows are sorted: for whoever puts together the lists of several brokers. */
export function userOrder(sort: string) {
  const by = Object.hasOwn(sorts, sort) ? (sort as Sort) : 'login';
  return { descending: sorts[by], keyOf: (row: UserRow) => keyOf(row, by) };
}

/** What waits for the clients of each user. */
type Queued = ReadonlyMap<string, number>;

/** Who uses the broker, how much, and how near to which limit. */
export function userRoutes(context: AdminContext): readonly Route[] {
  const { parts, rates } = context;
  const { accounts, sessions, history, rules, bans } = parts;

  function* queuedByUser(): Steps<Queued> {
    const queued = new Map<string, number>();
    let count = 0;
    for (const { login, outgoing } of sessions.values()) {
      queued.set(login, (queued.get(login) ?? 0) + outgoing.backlog.queuedMessages);
      if (++count % SESSIONS_PER_STEP === 0) yield;
    }
    return queued;
  }

  function row(account: UserAccount, queued: Queued) {
    const { login, connections, persistentSessions, subscriptions, retainedMessages, heldBytes } = account;
    return {
      ...{ login, connections: connections.size, keptSessions: persistentSessions, subscriptions, retainedMessages },
      ...{ queuedMessages: queued.get(login) ?? 0, heldBytes, denials: countOf(history.denials(login)) },
      ...{ perSecond: rounded(rates.of(login)), fullest: fullestOf(limitUse(account, parts.ledger)) },
    };
  }

  function* list({ query }: AdminRequest): Steps<Answer> {
    const sort = query.sort as Sort;
    const queued = yield* queuedByUser();
    const found = new TopList<object>(query.limit as number, sorts[sort], query.cursor as string | undefined);
    let count = 0;
    const listed = new Set<string>();
    for (const account of accounts.seenLately()) {
      // What an embedder publishes, and what nobody is known to own, is nobody's; and some leave meanwhile.
      if (account.login === '' || listed.has(account.login)) continue;
      listed.add(account.login);
      const each = row(account, queued);
      found.add(keyOf(each, sort), each.login, each);
      if (++count % USERS_PER_STEP === 0) yield;
    }
    return json({ users: found.items, total: found.total, next: found.next });
  }

  function* one({ params }: AdminRequest): Steps<Answer> {
    const account = known(context, params.login!);
    const shown: object[] = [];
    let count = 0;
    for (const session of sessions.values()) {
      if (session.login === account.login && shown.length < SHOWN_SESSIONS) shown.push(sessionRow(session));
      if (++count % SESSIONS_PER_STEP === 0) yield;
    }
    const { login, balances } = account;
    const groups = [...rules.acl.person(login, account.groups).groups].sort();
    const held = Object.fromEntries(Object.entries(balances).map(([name, { bytes }]) => [name, bytes]));
    const ban = bans.of('login', login);
    return json({
      ...row(account, yield* queuedByUser()),
      ...{ groups, home: rules.of(login).home, limits: limitUse(account, parts.ledger), held },
      ...{ totals: { ...account.traffic }, sessions: shown, bannedUntil: ban === null ? null : dateOf(ban.until) },
    });
  }

  return [
    {
      method: 'GET',
      path: '/users',
      query: {
        sort: { kind: 'choice', words: Object.keys(sorts), otherwise: 'login' },
        limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 },
        cursor: { kind: 'text' },
      },
      answer: (request) => inSlices(parts, list(request)),
    },
    { method: 'GET', path: '/users/{login}', answer: (request) => inSlices(parts, one(request)) },
  ];
}

/** The account of a login that has something here. */
export function known({ parts }: AdminContext, login: string): UserAccount {
  const account = parts.accounts.seen(login);
  if (account === undefined) throw notFound(`${JSON.stringify(login)} has nothing here: no client, session or message`);
  return account;
}

/** One session, as far as lists show it. */
export function sessionRow(session: {
  readonly clientId: string;
  readonly connected: boolean;
  readonly persistent: boolean;
  readonly createdAt: number;
  readonly lastSeenAt: number;
  readonly expiryMs: number;
  readonly subscriptions: ReadonlyMap<string, unknown>;
  readonly drops: number;
  readonly outgoing: { readonly backlog: { inflightMessages: number; queuedMessages: number } };
}) {
  const { inflightMessages, queuedMessages } = session.outgoing.backlog;
  return {
    ...{ client: session.clientId, connected: session.connected, kept: session.persistent },
    ...{ since: dateOf(session.createdAt), lastSeen: session.connected ? null : dateOf(session.lastSeenAt) },
    ...{ subscriptionCount: session.subscriptions.size, inflightMessages, queuedMessages },
    ...{ droppedMessages: session.drops, keptSeconds: Math.floor(session.expiryMs / 1_000) },
  };
}

function keyOf(row: UserRow, sort: Sort): string | number {
  switch (sort) {
    case 'login':
      return row.login;
    case 'connections':
      return row.connections;
    case 'received':
      return row.perSecond.bytesReceived;
    case 'sent':
      return row.perSecond.bytesSent;
    case 'publishes':
      return row.perSecond.publishesReceived + row.perSecond.publishesSent;
    case 'queued':
      return row.queuedMessages;
    case 'held':
      return row.heldBytes;
    case 'denials':
      return row.denials;
  }
}

interface UserRow {
  readonly login: string;
  readonly connections: number;
  readonly perSecond: Rate;
  readonly queuedMessages: number;
  readonly heldBytes: number;
  readonly denials: number;
}

/** What is the nearest to being reached. */
function fullestOf(uses: readonly LimitUse[]): LimitUse {
  const part = ({ used, most }: LimitUse) => (most === 0 ? 0 : used / most);
  return uses.reduce((fullest, use) => (part(use) > part(fullest) ? use : fullest));
}

function countOf(denials: Iterable<Denial>): number {
  let sum = 0;
  for (const { count } of denials) sum += count;
  return sum;
}

export function rounded({ publishesReceived, publishesSent, bytesReceived, bytesSent }: Rate): Rate {
  const round = (value: number) => Math.round(value * 10) / 10;
  return {
    publishesReceived: round(publishesReceived),
    publishesSent: round(publishesSent),
    bytesReceived: round(bytesReceived),
    bytesSent: round(bytesSent),
  };
}
