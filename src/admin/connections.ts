import type { Connection } from '../connection/connection.js';
import { grantedQos } from '../mqtt/grant.js';
import type { EndedConnection } from '../observe/history.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { endedRow } from './ended-row.js';
import { inSlices, type Steps } from './in-slices.js';
import { type AdminRequest, type Answer, json, notFound, type Route } from './route.js';
import { TopList } from './top-list.js';

const CONNECTIONS_PER_STEP = 128;
const ROWS_PER_STEP = 32;

/** What a list can be sorted by, and whether the largest comes first. */
const sorts = {
  n: true,
  ended: true,
  login: false,
  client: false,
  address: false,
  received: true,
  sent: true,
  publishes: true,
  queued: true,
  silent: true,
  dropped: true,
} as const;
type Sort = keyof typeof sorts;

/** How rows are sorted: for whoever puts together the lists of several brokers. */
export function connectionOrder(sort: string) {
  const by = Object.hasOwn(sorts, sort) ? (sort as Sort) : 'n';
  return { descending: sorts[by], keyOf: (row: Row) => keyOf(row, by) };
}

/** Who is connected, who was, and the end of it. */
export function connectionRoutes(context: AdminContext): readonly Route[] {
  const { parts, controls } = context;

  /** Rows are made of those alone that are shown: of many connections most are not. */
  function* list({ query }: AdminRequest): Steps<Answer> {
    const { login, address, state, limit, cursor } = query;
    const sort = query.sort as Sort;
    const found = new TopList<Connection | EndedConnection>(limit as number, sorts[sort], cursor as string | undefined);
    let count = 0;
    if (state !== 'closed') {
      for (const connection of parts.connections) {
        const { peer } = connection;
        const fits = (login ?? peer?.login ?? '') === (peer?.login ?? '');
        if (fits && (address ?? connection.address) === connection.address) {
          found.add(keyOfOpen(connection, sort), connection.n, connection);
        }
        if (++count % CONNECTIONS_PER_STEP === 0) yield;
      }
    }
    if (state !== 'open') {
      for (const ended of parts.history.endedConnections(login as string | undefined)) {
        if ((address ?? ended.address) === ended.address) found.add(keyOf(endedRow(ended), sort), ended.n, ended);
        if (++count % CONNECTIONS_PER_STEP === 0) yield;
      }
    }
    const rows: object[] = [];
    for (const it of found.items) {
      rows.push('endedAt' in it ? endedRow(it) : openRow(it));
      if (++count % ROWS_PER_STEP === 0) yield;
    }
    return json({ connections: rows, total: found.total, next: found.next });
  }

  function find(params: AdminRequest['params']): Connection {
    const n = Number(params.n);
    for (const connection of parts.connections) if (connection.n === n) return connection;
    throw notFound(`there is no open connection ${params.n}; GET /v1/connections lists them`);
  }

  function kickUser({ params, query }: AdminRequest): Answer {
    const ended = controls.disconnect(params.login!, query.client as string | undefined);
    return json({ ended });
  }

  return [
    {
      method: 'GET',
      path: '/connections',
      query: {
        login: { kind: 'text' },
        address: { kind: 'text' },
        state: { kind: 'choice', words: ['open', 'closed', 'any'], otherwise: 'open' },
        sort: { kind: 'choice', words: Object.keys(sorts), otherwise: 'n' },
        limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 },
        cursor: { kind: 'text' },
      },
      answer: (request) => inSlices(parts, list(request)),
    },
    {
      method: 'GET',
      path: '/connections/{n}',
      answer: ({ params }) => {
        const connection = find(params);
        return json({ ...openRow(connection), subscriptions: subscriptionsOf(connection) });
      },
    },
    {
      method: 'DELETE',
      path: '/connections/{n}',
      answer: ({ params }) => {
        find(params).close('kicked');
        return json({ ended: 1 });
      },
    },
    {
      method: 'DELETE',
      path: '/users/{login}/connections',
      query: { client: { kind: 'text' } },
      answer: kickUser,
    },
  ];
}

type Row = ReturnType<typeof openRow> | ReturnType<typeof endedRow>;

export function openRow({ n, address, openedAt, client, peer, traffic, silentMs }: Connection) {
  const { publishesReceived, publishesSent, bytesReceived, bytesSent } = traffic;
  // Of one that is not let in nothing is known but where it is from, and, while it waits for that, whose it is.
  const session = client?.session ?? null;
  const backlog = session?.outgoing.backlog ?? NO_BACKLOG;
  // In one piece: made of several, it would take ten times as long.
  return {
    n,
    state: 'open' as const,
    address,
    since: dateOf(openedAt),
    publishesReceived,
    publishesSent,
    bytesReceived,
    bytesSent,
    login: peer?.login ?? null,
    client: peer?.clientId ?? null,
    protocol: client?.wire.version ?? null,
    silentSeconds: Math.round(silentMs / 1_000),
    clean: session === null ? null : !session.persistent,
    keepaliveSeconds: client === null ? null : client.keepaliveMs / 1_500,
    subscriptionCount: session?.subscriptions.size ?? 0,
    inflightMessages: backlog.inflightMessages,
    queuedMessages: backlog.queuedMessages,
    droppedMessages: session?.drops ?? 0,
  };
}

/** Later than any that has ended. */
const STILL_OPEN = Number.MAX_SAFE_INTEGER;

const NO_BACKLOG = { inflightMessages: 0, queuedMessages: 0 };

/** As `keyOf` its row. */
function keyOfOpen(connection: Connection, sort: Sort): string | number {
  const { n, client, peer, address, traffic } = connection;
  switch (sort) {
    case 'n':
      return n;
    case 'ended':
      return STILL_OPEN;
    case 'login':
      return peer?.login ?? '';
    case 'client':
      return peer?.clientId ?? '';
    case 'address':
      return address;
    case 'received':
      return traffic.bytesReceived;
    case 'sent':
      return traffic.bytesSent;
    case 'publishes':
      return traffic.publishesReceived + traffic.publishesSent;
    case 'queued':
      return client?.session.outgoing.backlog.queuedMessages ?? 0;
    case 'dropped':
      return client?.session.drops ?? 0;
    case 'silent':
      return Math.round(connection.silentMs / 1_000);
  }
}

function keyOf(row: Row, sort: Sort): string | number {
  switch (sort) {
    case 'n':
      return row.n;
    case 'ended':
      return row.state === 'open' ? STILL_OPEN : Date.parse(row.until);
    case 'login':
      return row.login ?? '';
    case 'client':
      return row.client ?? '';
    case 'address':
      return row.address;
    case 'received':
      return row.bytesReceived;
    case 'sent':
      return row.bytesSent;
    case 'publishes':
      return row.publishesReceived + row.publishesSent;
    case 'queued':
      return row.state === 'open' ? row.queuedMessages : 0;
    case 'dropped':
      return row.state === 'open' ? row.droppedMessages : 0;
    case 'silent':
      return row.state === 'open' ? row.silentSeconds : 0;
  }
}

/** The first of them: a session may have ten thousand. */
const SHOWN_SUBSCRIPTIONS = 200;

export function subscriptionsOf({ client }: Connection): object[] {
  if (client === null) return [];
  const shown: object[] = [];
  for (const [filter, grant] of client.session.subscriptions) {
    if (shown.length >= SHOWN_SUBSCRIPTIONS) break;
    shown.push({ filter, qos: grantedQos(grant) });
  }
  return shown;
}
