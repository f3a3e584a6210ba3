import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 put more functions into one: the way of a message goes through some thirty small ones (reader, flow, route,
 * session, queue, outlet, outbox), which together are larger than what it stops at, so that half of them stayed calls.
 * Bench rows "QoS 1, 10 users, 1 → 1" and "QoS 0, 10 users, 1 → 1": 6 and 4 % less. For the process that serves, and not
 * for one that has a broker inside.
 */
export function inlineMore(): void {
  setFlagsFromString('--max-inlined-bytecode-size=1000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=3000');
}
