import type { BrokerParts } from '../broker-parts.js';
import { grantedQos } from '../mqtt/grant.js';
import { isValidTopicFilter } from '../mqtt/topics.js';
import type { Session } from '../session/session.js';
import type { RetainedMessage } from '../store/contract.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { inSlices, type Steps } from './in-slices.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';
import { sessionRow } from './users.js';

const MESSAGES_PER_STEP = 256;
const DELETIONS_PER_STEP = 16;
/** Filters of a session that are shown. */
const SHOWN_SUBSCRIPTIONS = 1_000;

/** What the broker keeps of a user: sessions with their queues, and retained messages. Never what is in a message. */
export function userDataRoutes({ parts }: AdminContext): readonly Route[] {
  const { sessions } = parts;

  function find({ params }: AdminRequest): Session {
    const session = sessions.get(params.login!, params.client!);
    if (session === undefined) throw notFound(`${params.login} has no session of the client id ${params.client}`);
    return session;
  }

  function show(request: AdminRequest): Answer {
    const session = find(request);
    const subscriptions: object[] = [];
    for (const [filter, grant] of session.subscriptions) {
      if (subscriptions.length >= SHOWN_SUBSCRIPTIONS) break;
      subscriptions.push({ filter, qos: grantedQos(grant) });
    }
    return json({ ...sessionRow(session), subscriptions });
  }

  /** Its connection ends first, and is no reason to keep it. */
  function end(request: AdminRequest): Answer {
    const session = find(request);
    const { queuedMessages, inflightMessages } = session.outgoing.backlog;
    session.holder?.close('kicked');
    if (!session.ended) sessions.end(session);
    return json({ ended: true, messages: queuedMessages + inflightMessages });
  }

  const filter = { kind: 'text' } as const;
  return [
    { method: 'GET', path: '/users/{login}/sessions/{client}', answer: show },
    { method: 'DELETE', path: '/users/{login}/sessions/{client}', answer: end },
    {
      method: 'GET',
      path: '/users/{login}/retained',
      query: { filter, limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 } },
      answer: ({ params, query }) => inSlices(parts, listRetained(parts, params.login!, query)),
    },
    {
      method: 'DELETE',
      path: '/users/{login}/retained',
      query: { filter },
      answer: ({ params, query }) => inSlices(parts, deleteRetained(parts, params.login!, query)),
    },
  ];
}

type Query = AdminRequest['query'];

/** Whoever published a message owns it, wherever it is. */
function* owned({ store }: BrokerParts, login: string, query: Query): Steps<RetainedMessage[]> {
  const filter = (query.filter as string | undefined) ?? '#';
  if (!isValidTopicFilter(filter) || filter.startsWith('$share/')) {
    throw new Refusal(400, 'bad-query', 'filter is a topic filter');
  }
  const found = yield* store.retained.walk(filter);
  const own: RetainedMessage[] = [];
  for (const [index, message] of found.entries()) {
    if (message.owner === login) own.push(message);
    if (index % MESSAGES_PER_STEP === 0) yield;
  }
  return own;
}

export function* listRetained(parts: BrokerParts, login: string, query: Query): Steps<Answer> {
  const own = yield* owned(parts, login, query);
  const limit = query.limit as number;
  const retained = own.slice(0, limit).map(({ topic, qos, payload, storedAt, expiresAt }) => ({
    ...{ topic, qos, bytes: payload.length, since: dateOf(storedAt) },
    expires: expiresAt === null ? null : dateOf(expiresAt),
  }));
  return json({ retained, total: own.length });
}

export function* deleteRetained(parts: BrokerParts, login: string, query: Query): Steps<Answer> {
  if (query.filter === undefined) {
    throw new Refusal(400, 'bad-query', 'filter says which; # is all that the user has published');
  }
  let deleted = 0;
  for (const [index, { topic }] of (yield* owned(parts, login, query)).entries()) {
    if (parts.distribution.forgetRetained(topic)) deleted++;
    if (index % DELETIONS_PER_STEP === 0) yield;
  }
  return json({ deleted });
}
