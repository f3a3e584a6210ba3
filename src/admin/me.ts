import { Connection } from '../connection/connection.js';
import type { Refusal } from '../observe/history.js';
import { jsonText } from '../observe/json-text.js';
import { limitUse, slowedUse } from '../session/limit-use.js';
import type { UserAccount } from '../session/user-account.js';
import { openRow, subscriptionsOf } from './connections.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { denialRow } from './denials.js';
import { ownEndedRow } from './ended-row.js';
import { failedRow } from './failed-row.js';
import { inSlicesOf, type Steps } from './in-slices.js';
import { decisionRow } from './limits.js';
import type { MeEvents } from './me-events.js';
import { type AdminRequest, type Answer, json, notFound, type Route } from './route.js';
import { deleteRetained, listRetained } from './user-data.js';
import { rounded, sessionRow } from './users.js';

const ITEMS_PER_STEP = 64;
const SHOWN = 200;

/**
 * What users may see and do themselves: what is theirs. There is no login in any path; whose it is, is who is logged in.
 * All of it is the user's own work, in the user's own turns.
 */
export function meRoutes(context: AdminContext, events: MeEvents): readonly Route[] {
  const { parts, rates, traces } = context;
  const { accounts, sessions, history, rules, limitRules, scheduler, ledger } = parts;

  function work(request: AdminRequest, steps: (account: UserAccount) => Steps<object>): Promise<Answer> {
    const account = accounts.open(request.caller.login!);
    function* answer(): Steps<Answer> {
      return { kind: 'text', type: 'application/json', text: `${jsonText(yield* steps(account))}\n` };
    }
    return inSlicesOf(account, scheduler, answer());
  }

  function* me(account: UserAccount): Steps<object> {
    const { login } = account;
    const traced = traces.list.filter(({ order }) => order.login === login);
    return {
      ...{ login, home: rules.of(login).home, perSecond: rounded(rates.of(login)), totals: { ...account.traffic } },
      ...{ queuedMessages: account.queuedMessages, limits: limitUse(account, ledger), rates: slowedUse(account) },
      decided: [...limitRules.decidedFor(login, account.groups)].map(decisionRow),
      traced: traced.map(({ startedAt, endsAt, endedAt }) => ({
        ...{ since: dateOf(startedAt), until: dateOf(endedAt ?? endsAt), ended: endedAt !== null },
      })),
    };
  }

  function* connections(account: UserAccount): Steps<object> {
    const open: object[] = [];
    for (const holder of account.connections) {
      if (open.length >= SHOWN) break;
      if (!(holder instanceof Connection)) continue;
      open.push({ ...openRow(holder), subscriptions: subscriptionsOf(holder) });
      yield;
    }
    // As they ended; of two at the same moment the later one stands first.
    const ended = [...history.endedConnections(account.login)].reverse().sort((a, b) => b.endedAt - a.endedAt);
    yield;
    const rows: object[] = [];
    for (const each of ended.slice(0, SHOWN)) {
      rows.push(ownEndedRow(each));
      if (rows.length % ITEMS_PER_STEP === 0) yield;
    }
    return { open, total: account.connections.size, ended: rows };
  }

  function* queues({ login }: UserAccount): Steps<object> {
    const found: object[] = [];
    let count = 0;
    for (const session of sessions.values()) {
      if (session.login === login && session.persistent && found.length < SHOWN) found.push(sessionRow(session));
      if (++count % ITEMS_PER_STEP === 0) yield;
    }
    return { sessions: found };
  }

  function* denials({ login }: UserAccount): Steps<object> {
    const denied = [...history.denials(login)].reverse().map(denialRow);
    const failed: Refusal[] = [];
    let count = 0;
    for (const refusal of history.refusals()) {
      if (refusal.login === login) failed.push(refusal);
      if (++count % ITEMS_PER_STEP === 0) yield;
    }
    // They are kept by network: in the order of their last time they are put here.
    failed.reverse().sort((a, b) => b.lastAt - a.lastAt);
    return { denials: denied, logins: failed.slice(0, SHOWN).map(failedRow) };
  }

  function kick({ params, caller }: AdminRequest): Answer {
    for (const holder of accounts.known(caller.login!)?.connections ?? []) {
      if (!(holder instanceof Connection) || holder.n !== Number(params.n)) continue;
      holder.close('ended-on-page');
      return json({ ended: 1 });
    }
    throw notFound('you have no such connection');
  }

  function follow({ caller }: AdminRequest): Answer {
    const account = accounts.open(caller.login!);
    events.admit(account);
    return { kind: 'stream', type: 'text/event-stream', begin: (sink) => events.follow(account, sink) };
  }

  const retained = (request: AdminRequest, steps: typeof listRetained) => {
    const { caller, query } = request;
    return inSlicesOf(accounts.open(caller.login!), scheduler, steps(parts, caller.login!, query));
  };
  const filter = { kind: 'text' } as const;
  const limit = { kind: 'integer', min: 1, max: 1_000, otherwise: 200 } as const;
  return [
    { method: 'GET', path: '/me', answer: (request) => work(request, me) },
    { method: 'GET', path: '/me/connections', answer: (request) => work(request, connections) },
    { method: 'DELETE', path: '/me/connections/{n}', answer: kick },
    { method: 'GET', path: '/me/sessions', answer: (request) => work(request, queues) },
    { method: 'GET', path: '/me/denials', answer: (request) => work(request, denials) },
    {
      method: 'GET',
      path: '/me/retained',
      query: { filter, limit },
      answer: (request) => retained(request, listRetained),
    },
    {
      method: 'DELETE',
      path: '/me/retained',
      query: { filter },
      answer: (request) => retained(request, deleteRetained),
    },
    { method: 'GET', path: '/me/events', answer: follow },
  ];
}
