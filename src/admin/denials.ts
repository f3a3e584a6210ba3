import type { Denial, Refusal } from '../observe/history.js';
import { refusalInWords } from '../observe/in-words.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { inSlices, type Steps } from './in-slices.js';
import { type AdminRequest, type Answer, json, type Route } from './route.js';
import { TopList } from './top-list.js';

const ENTRIES_PER_STEP = 64;

/** What was denied, dropped or refused lately, and what helps. */
export function denialRoutes({ parts }: AdminContext): readonly Route[] {
  const { history } = parts;

  function* list({ query }: AdminRequest): Steps<Answer> {
    const login = query.login as string | undefined;
    const found = new TopList<object>(query.limit as number, true, undefined);
    let count = 0;
    for (const denial of history.denials(login)) {
      // Of two at the same moment the later one stands first.
      found.add(denial.lastAt, -++count, denialRow(denial));
      if (count % ENTRIES_PER_STEP === 0) yield;
    }
    for (const refusal of history.refusals()) {
      if (++count % ENTRIES_PER_STEP === 0) yield;
      if (login === undefined || refusal.login === login) found.add(refusal.lastAt, -count, refusalRow(refusal));
    }
    return json({ denials: found.items, total: found.total });
  }

  return [
    {
      method: 'GET',
      path: '/denials',
      query: {
        login: { kind: 'text' },
        limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 },
      },
      answer: (request) => inSlices(parts, list(request)),
    },
  ];
}

export function denialRow(denial: Denial) {
  const { login, clientId: client, action, topic, reason, hint, firstAt, lastAt, count } = denial;
  return { time: dateOf(lastAt), first: dateOf(firstAt), count, login, client, action, topic, reason, hint };
}

/** Of a CONNECT nobody can say that it was the login's: it is what was typed. */
export function refusalRow({ address, login, clientId: client, reason, detail, firstAt, lastAt, count }: Refusal) {
  return {
    ...{ time: dateOf(lastAt), first: dateOf(firstAt), count, login, client, action: 'connect' as const, topic: null },
    ...{ reason, hint: refusalInWords(reason, detail), address },
  };
}
