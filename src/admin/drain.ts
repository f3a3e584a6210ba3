import type { AdminContext } from './context.js';
import { type AdminRequest, type Answer, json, type Route } from './route.js';

/** For whoever stands before the broker: it is about to go, and its clients with it. */
export function drainRoutes({ departure, parts, clock }: AdminContext): readonly Route[] {
  function drain({ body }: AdminRequest): Answer {
    const seconds = typeof body.seconds === 'number' && body.seconds >= 0 && body.seconds <= 3_600 ? body.seconds : 30;
    return json({ connections: departure.begin(parts.connections, clock, seconds * 1_000), seconds });
  }
  return [{ method: 'POST', path: '/drain', answer: drain }];
}
