import type { Session } from '../session/session.js';
import type { AdminContext } from './context.js';
import { inSlices, type Steps } from './in-slices.js';
import { type Answer, json, type Route } from './route.js';
import { TopList } from './top-list.js';

const SESSIONS_PER_STEP = 128;
const SHOWN = 20;

/** Who does not keep up. */
export function slowRoutes({ parts }: AdminContext): readonly Route[] {
  const { sessions, scheduler } = parts;

  function* list(): Steps<Answer> {
    scheduler.look();
    const oldest = new TopList<object>(SHOWN, true, undefined);
    const dropped = new TopList<object>(SHOWN, true, undefined);
    let count = 0;
    for (const session of sessions.values()) {
      const { oldestInflightMs } = session.outgoing.backlog;
      // A client that is away is not slow.
      if (session.connected && oldestInflightMs !== null) oldest.add(oldestInflightMs, count, row(session));
      if (session.drops > 0) dropped.add(session.drops, count, row(session));
      if (++count % SESSIONS_PER_STEP === 0) yield;
    }
    return json({ oldest: oldest.items, dropped: dropped.items });
  }

  return [{ method: 'GET', path: '/slow', answer: () => inSlices(parts, list()) }];
}

function row({ login, clientId, connected, outgoing, drops }: Session) {
  const { inflightMessages, queuedMessages, oldestInflightMs } = outgoing.backlog;
  return {
    ...{ login, client: clientId, connected, inflightMessages, queuedMessages, droppedMessages: drops },
    oldestUnacknowledgedSeconds: oldestInflightMs === null ? null : Math.max(0, oldestInflightMs) / 1e3,
  };
}
