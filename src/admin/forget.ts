import { connectionsOf, ending } from '../connection/connections.js';
import { isRetainedOf } from '../mqtt/retained-owner.js';
import type { Session } from '../session/session.js';
import type { AdminContext } from './context.js';
import { inSlices, type Steps } from './in-slices.js';
import { json, Refusal, type Route } from './route.js';

const LOOKED_AT_PER_STEP = 256;
const DELETIONS_PER_STEP = 16;
/** What a job in hand brings meanwhile is found the next time. */
const MOST_PASSES = 3;

interface Found {
  sessions: number;
  messages: number;
  retained: number;
}

export function forgetRoutes(context: AdminContext): readonly Route[] {
  return [
    {
      method: 'DELETE',
      path: '/users/{login}/data',
      query: { hold: { kind: 'integer', min: 0, max: 60, otherwise: 0 } },
      answer: async ({ params, query }) => json(await forgetLogin(context, params.login!, query.hold as number)),
    },
  ];
}

/**
 * Everything that the broker keeps of a login goes: whoever has the login next must find nothing. For `holdSeconds` more
 * nobody is let in with it.
 */
export async function forgetLogin(context: AdminContext, login: string, holdSeconds: number): Promise<object> {
  const { parts, clock } = context;
  const letIn = parts.bans.hold(login);
  try {
    await context.credentialsChanged(login);
    const outcome = await inSlices(parts, forgetAll(context, login));
    await committed(context);
    return outcome;
  } finally {
    if (holdSeconds === 0) letIn();
    else {
      clock.after(holdSeconds * 1_000, () => {
        // What was refused meanwhile was the former holder's, too.
        forgetWhatIsShown(context, login);
        letIn();
      });
    }
  }
}

/** Nobody is let in with the login meanwhile: a client that comes back at once would find what is not gone yet. */
function* forgetAll(context: AdminContext, login: string): Steps<object> {
  const { parts } = context;
  const { accounts, connections, distribution, limitRules, rules, sessions, store, wills } = parts;

  function* sessionsOf(login: string): Steps<Session[]> {
    const own: Session[] = [];
    let count = 0;
    for (const session of sessions.values()) {
      if (session.login === login) own.push(session);
      if (++count % LOOKED_AT_PER_STEP === 0) yield;
    }
    return own;
  }

  function* endSessions(login: string, found: Found): Steps<void> {
    for (const session of yield* sessionsOf(login)) {
      if (session.ended) continue;
      const { queuedMessages, inflightMessages } = session.outgoing.backlog;
      found.sessions++;
      found.messages += queuedMessages + inflightMessages;
      sessions.end(session);
      yield;
    }
  }

  function* deleteRetained(login: string, found: Found): Steps<void> {
    const { home } = rules.of(login);
    const own: string[] = [];
    let count = 0;
    for (const message of store.retained) {
      if (isRetainedOf(login, home, message)) own.push(message.topic);
      if (++count % LOOKED_AT_PER_STEP === 0) yield;
    }
    for (const topic of own) {
      if (distribution.forgetRetained(topic) && ++found.retained % DELETIONS_PER_STEP === 0) yield;
    }
  }

  // Those of live clients are not published either: they are the user's.
  const theirs = connectionsOf(connections, login);
  const ended = { wills: wills.of(login), connections: theirs.length };
  yield* ending(theirs, 'forgotten');
  wills.dropDelayed(login);
  const found: Found = { sessions: 0, messages: 0, retained: 0 };
  for (let pass = 0, before = -1; pass < MOST_PASSES; pass++) {
    yield* endSessions(login, found);
    yield* deleteRetained(login, found);
    const sum = found.sessions + found.retained;
    if (sum === before) break;
    before = sum;
    yield;
  }
  const limits = limitRules.overrideOf(login) !== null;
  if (limits) accounts.setOverride(login, null);
  forgetWhatIsShown(context, login);
  return { login, ...ended, ...found, limits };
}

/** The rings and counters that a user is shown of his login, or that operators are. */
function forgetWhatIsShown({ parts, rates, traces }: AdminContext, login: string): void {
  parts.history.forget(login);
  parts.accounts.forget(login);
  rates.forget(login);
  traces.forget(login);
}

function committed({ parts: { store } }: AdminContext): Promise<void> {
  return new Promise((resolve, reject) => {
    store.committed((fault) => {
      if (fault === null) resolve();
      else reject(new Refusal(507, fault.code, `forgotten, but not on disk yet: ${fault.message}`));
    });
  });
}
