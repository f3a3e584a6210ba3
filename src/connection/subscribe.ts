import { bracketHint } from '../acl/hint.js';
import type { LimitsConfig } from '../config/config.js';
import type { Turn } from '../fairness/turn.js';
import type { Qos } from '../mqtt/packets.js';
import { isValidTopicFilter } from '../mqtt/topics.js';
import type { Counters } from '../observe/counters.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Gate } from '../session/gate.js';
import { RetainedBatch } from '../session/retained-batch.js';
import type { Session } from '../session/session.js';
import type { Sessions } from '../session/sessions.js';
import { subscriptionBytes } from '../session/user-account.js';
import type { Store, StoredSubscription } from '../store/contract.js';
import type { Connection } from './connection.js';
import { ProtocolError } from './protocol-error.js';
import type { RegisteredClient, Registry } from './registry.js';
import type { RequestedSubscription, SubscribeRefusal, SubscribeRequest, UnsubscribeRequest, Wire } from './wire.js';

/** Retained messages that a user may have asked for and not been sent yet: eight bytes each. */
const RETAINED_PENDING_PER_USER = 2_000_000;
/** Retained messages that one SUBSCRIBE may ask for: looking them up holds up everybody. */
const RETAINED_PER_PACKET = 400_000;
/** Retained messages that are looked up in the time of one delivery. */
const LOOKUPS_PER_UNIT = 4;
/** What the subscriptions of a user may take on average: sixty characters in a dozen levels. */
const BYTES_PER_SUBSCRIPTION = 640;
/** What one filter costs to grant or take away, in units of a delivery. */
const UNITS_PER_FILTER = 4;

export interface SubscribeContext {
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly registry: Pick<Registry, 'subscribed' | 'unsubscribed'>;
  readonly store: Store;
  readonly turn: Turn;
  readonly limits: Pick<LimitsConfig, 'subscriptionsPerSession' | 'subscriptionsPerUser'>;
  readonly counters: Counters;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/** Who subscribes. */
export interface Subscribing {
  readonly connection: Connection;
  readonly registered: RegisteredClient;
  readonly session: Session;
  readonly wire: Wire;
}

/**
 * Handles a SUBSCRIBE: each filter is granted or refused for itself [MQTT-3.8.4-5], what is refused is never kept, and
 * SUBACK leaves before the retained messages and once the subscriptions of a persistent session are on disk. Returns
 * what it cost, in units of a delivery.
 */
export function subscribe(context: SubscribeContext, client: Subscribing, request: SubscribeRequest): number {
  const { session } = client;
  const { packetId, subscriptions } = request;
  for (const { filter } of subscriptions) checkFilter(filter);
  const answers: (Qos | SubscribeRefusal)[] = [];
  const granted: RequestedSubscription[] = [];
  const batches: RetainedBatch[] = [];
  let found = 0;
  for (const subscription of subscriptions) {
    const { filter, qos } = subscription;
    const refusal = whyNot(context, session, subscription, found);
    if (refusal !== null) {
      deny(context, session, filter, refusal);
      answers.push(refusal);
      continue;
    }
    context.sessions.subscribe(session, filter, qos);
    granted.push(subscription);
    answers.push(qos);
    if (filter.startsWith('$share/')) continue;
    // Looked up now: what is published from here on is delivered as a live message, and must not come twice.
    const retained = context.store.retained.match(filter).filter(({ topic }) => session.mayReceive(topic));
    found += retained.length;
    if (retained.length > 0) batches.push(new RetainedBatch(retained, qos, session.account));
  }
  session.writer?.subscribe(granted.map(stored));
  context.registry.subscribed(client.registered, granted);
  const send = () => {
    client.connection.outbox.packet(client.wire.suback(packetId, answers));
    for (const batch of batches) {
      context.turn.spend(session.account, session.outgoing.deliverRetained(batch)); // [MQTT-3.8.4-3]
    }
  };
  whenStored(context, client, send, () => {
    for (const batch of batches) batch.cancel();
  });
  return 1 + subscriptions.length * UNITS_PER_FILTER + Math.ceil(found / LOOKUPS_PER_UNIT);
}

/** Handles an UNSUBSCRIBE; it is acknowledged whether or not there was such a subscription [MQTT-3.10.4-5]. */
export function unsubscribe(context: SubscribeContext, client: Subscribing, request: UnsubscribeRequest): number {
  const { session } = client;
  const { packetId, filters } = request;
  for (const filter of filters) checkFilter(filter);
  const removed = filters.filter((filter) => context.sessions.unsubscribe(session, filter));
  if (removed.length > 0) session.writer?.unsubscribe(removed);
  context.registry.unsubscribed(client.registered, removed);
  whenStored(context, client, () => client.connection.outbox.packet(client.wire.unsuback(packetId)));
  return 1 + filters.length * UNITS_PER_FILTER;
}

function checkFilter(filter: string): void {
  if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
}

/** Calls back at once for sessions that end with their connection, otherwise when what was written is on disk. */
function whenStored(context: SubscribeContext, client: Subscribing, done: () => void, gone?: () => void): void {
  const { connection, session } = client;
  if (session.writer === null) {
    done();
    return;
  }
  context.store.committed((fault) => {
    if (!connection.closed && fault === null) {
      done();
      return;
    }
    gone?.();
    connection.close('store-fault');
  });
}

/** Why a filter is refused; null when it is granted. `found`: retained messages that this packet asked for already. */
function whyNot(
  context: SubscribeContext,
  session: Session,
  { filter, qos }: RequestedSubscription,
  found: number,
): SubscribeRefusal | null {
  const { account } = session;
  if (!context.gate.maySubscribe(session, filter, qos)) return 'denied';
  if (!roomFor(context, session, filter)) return 'too-many-subscriptions';
  if (found >= RETAINED_PER_PACKET || account.retainedPending >= RETAINED_PENDING_PER_USER) return 'too-many-retained';
  return null;
}

function roomFor({ limits }: SubscribeContext, { subscriptions, account }: Session, filter: string): boolean {
  if (subscriptions.has(filter)) return true;
  if (account.subscriptionBytes + subscriptionBytes(filter) > limits.subscriptionsPerUser * BYTES_PER_SUBSCRIPTION) {
    return false;
  }
  return subscriptions.size < limits.subscriptionsPerSession && account.subscriptions < limits.subscriptionsPerUser;
}

function stored({ filter, qos }: RequestedSubscription): StoredSubscription {
  return { filter, qos, options: 0, identifier: null };
}

function deny(context: SubscribeContext, session: Session, filter: string, reason: SubscribeRefusal): void {
  const { counters, noisyLog, log } = context;
  counters.subscriptionsDenied++;
  const { login, clientId, id } = session;
  noisyLog.line(`subscribe:${id}:${reason}`, (suppressed) => {
    const hint = bracketHint(login, filter);
    log.warn(
      {
        login,
        client: clientId,
        filter: filter.slice(0, 200),
        reason,
        ...(hint === null ? {} : { hint }),
        ...(suppressed > 0 ? { suppressed } : {}),
      },
      'subscription denied',
    );
  });
}
