import type { Family } from '../observe/exposition.js';
import { byWords, counter, gauge, histogram } from '../observe/families.js';
import { Tally } from '../observe/tally.js';
import { countedLimits, limitUse } from '../session/limit-use.js';
import type { AdminContext } from './context.js';
import type { Steps } from './in-slices.js';

const ACCOUNTS_PER_STEP = 64;
/** Shares of a limit above which a user is counted. */
const RATIOS = [0.5, 0.8, 0.95];

/** Who may and who may not; who comes near to a limit; and what operators ask. */
export function* accessFamilies({ parts, backend, requests, streams }: AdminContext): Steps<Family[]> {
  const { counters, accounts, bans, ledger } = parts;
  const over = new Tally(countedLimits.flatMap((limit) => RATIOS.map((ratio) => `${limit} ${ratio}`)));
  let count = 0;
  for (const account of accounts.values()) {
    for (const { limit, used, most } of limitUse(account, ledger)) {
      for (const ratio of RATIOS) over.add(`${limit} ${ratio}`, used > 0 && used >= ratio * most ? 1 : 0);
    }
    if (++count % ACCOUNTS_PER_STEP === 0) yield;
  }
  const { memory, backend: asked, none } = counters.authenticationSeconds;
  return [
    counter(
      'authentications_total',
      'Log-ins, by what came of them; unavailable: the backend did not answer.',
      byWords(['backend', 'result'], counters.authentications),
    ),
    histogram('authentication_duration_seconds', 'How long they took, by whose word it was.', [
      [{ backend, source: 'memory' }, memory],
      [{ backend, source: 'backend' }, asked],
      [{ backend, source: 'none' }, none],
    ]),
    counter(
      'authentication_throttled_total',
      'Log-ins that were refused unasked, since too many had failed.',
      counters.connectionsRefused.of('throttled'),
    ),
    counter('authorizations_total', 'Publishes, subscriptions and Wills, by what the access rules said.', [
      [{ action: 'publish', result: 'allowed' }, counters.publishesAllowed],
      [{ action: 'publish', result: 'denied' }, counters.publishesDenied],
      [{ action: 'subscribe', result: 'allowed' }, counters.subscriptionsAllowed],
      [{ action: 'subscribe', result: 'denied' }, counters.subscriptionsDenied],
      [{ action: 'will', result: 'allowed' }, counters.willsPublished],
      [{ action: 'will', result: 'denied' }, counters.willsDenied],
    ]),
    counter(
      'user_limit_hits_total',
      'Times that a user came to a limit (limits.…), by limit.',
      byWords(['limit'], counters.limitHits),
    ),
    gauge(
      'users_over_ratio',
      'Users who have at least this share of what a limit allows.',
      byWords(['limit', 'ratio'], over),
    ),
    counter(
      'publishes_delayed_seconds_total',
      'Time for which publishers were read later than they sent, to keep to a rate.',
      counters.publishesDelayedMs / 1e3,
    ),
    counter(
      'memory_reliefs_total',
      'Times that the user who held most was disconnected, since memory was short.',
      counters.memoryReliefs,
    ),
    gauge('held_bytes', 'What users hold in memory, all together, without connections.', ledger.heldBytes),
    gauge('held_bytes_limit', 'limits.memory.', ledger.limitForAll),
    gauge('bans', 'Logins and addresses that operators keep out.', bans.list().length),
    counter(
      'admin_requests_total',
      'Requests of operators, by route and status.',
      byWords(['route', 'code'], requests),
    ),
    gauge('event_stream_clients', 'Traces and event streams that are open.', streams.open),
    counter('events_dropped_total', 'Events that a stream lost, since its reader was slow.', streams.dropped),
  ];
}
