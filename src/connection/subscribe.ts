import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { Job } from '../fairness/job.js';
import { grantOf } from '../mqtt/grant.js';
import type { Qos } from '../mqtt/packets.js';
import { isValidTopicFilter } from '../mqtt/topics.js';
import { byTopic } from '../session/by-topic.js';
import type { Gate } from '../session/gate.js';
import { RetainedBatch } from '../session/retained-batch.js';
import type { Session } from '../session/session.js';
import type { Sessions } from '../session/sessions.js';
import { subscriptionBytes } from '../session/user-account.js';
import type { RetainedMessage, Store, StoredSubscription } from '../store/contract.js';
import type { Connection } from './connection.js';
import { type DenialContext, subscribeHelp, tellSubscribeDenied } from './denials.js';
import { ProtocolError } from './protocol-error.js';
import type { RegisteredClient, Registry } from './registry.js';
import type {
  Reading,
  RequestedSubscription,
  SubscribeRefusal,
  SubscribeRequest,
  UnsubscribeAnswer,
  UnsubscribeRequest,
  Wire,
} from './wire.js';

/** What a user may have asked for of retained messages and not been sent yet: eight bytes for each, and the filters. */
const RETAINED_PENDING_BYTES = 16 * 1024 * 1024;
/** Filters that are granted or taken away in one step. */
const FILTERS_PER_STEP = 8;
/** Retained messages that are judged in one step. */
const RETAINED_PER_STEP = 256;
/** Bits of the subscription options of MQTT 5. */
const RETAIN_HANDLING = 0x30;
const ONLY_WHEN_NEW = 0x10;

export interface SubscribeContext extends DenialContext {
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly registry: Pick<Registry, 'subscribed' | 'unsubscribed'>;
  readonly store: Store;
  readonly limits: Pick<LimitsConfig, 'subscriptionsPerSession'>;
  readonly clock: Clock;
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
 * SUBACK leaves before the retained messages and once the subscriptions of a persistent session are on disk.
 */
export function* subscribe(context: SubscribeContext, client: Subscribing, reading: Reading<SubscribeRequest>): Job {
  const { session, connection } = client;
  const { packetId, subscriptions, identifier } = yield* reading;
  if (client.wire.level < 5) yield* checkFilters(subscriptions.map(({ filter }) => filter));
  let text: string | null = null;
  const answers: (Qos | SubscribeRefusal)[] = [];
  const granted: RequestedSubscription[] = [];
  const batches: RetainedBatch[] = [];
  for (const [index, subscription] of subscriptions.entries()) {
    if (connection.closed) break;
    const { filter, qos, options } = subscription;
    const refusal = whyNot(context, session, subscription);
    if (refusal !== null) {
      tellSubscribeDenied(context, session, filter, refusal);
      text ??= subscribeHelp(session.login, filter, refusal);
      answers.push(refusal);
    } else {
      const isNew = !session.subscriptions.has(filter);
      context.sessions.subscribe(session, filter, grantOf(qos, options), identifier);
      context.counters.subscriptionsAllowed++;
      granted.push(subscription);
      answers.push(qos);
      // What is published from here on is delivered as a live message, and must not come twice.
      if (wantsRetained(filter, options, isNew)) {
        yield* findRetained(context, session, subscription, identifier, batches);
      }
    }
    if (index % FILTERS_PER_STEP === 0) yield;
  }
  // The rules may have changed meanwhile, and taken some back.
  const kept = granted.filter(({ filter }) => session.subscriptions.has(filter));
  if (!session.ended) session.writer?.subscribe(kept.map((subscription) => stored(subscription, identifier)));
  if (connection.closed || session.ended) {
    for (const batch of batches) batch.cancel();
    return;
  }
  context.registry.subscribed(client.registered, granted);
  // With the subscriptions: SUBACK promises both.
  for (const batch of batches) session.outgoing.reserve(batch);
  const send = () => {
    const answered = connection.answer(client.wire.suback(packetId, answers, text));
    for (const batch of batches) {
      if (answered)
        session.outgoing.deliverRetained(batch); // [MQTT-3.8.4-3]
      else batch.end();
    }
  };
  whenStored(context, client, send, () => {
    for (const batch of batches) batch.end();
  });
}

/** Handles an UNSUBSCRIBE; it is acknowledged whether or not there was such a subscription [MQTT-3.10.4-5]. */
export function* unsubscribe(
  context: SubscribeContext,
  client: Subscribing,
  reading: Reading<UnsubscribeRequest>,
): Job {
  const { session, connection } = client;
  const { packetId, filters } = yield* reading;
  if (client.wire.level < 5) yield* checkFilters(filters);
  const removed: string[] = [];
  const answers: UnsubscribeAnswer[] = [];
  for (const [index, filter] of filters.entries()) {
    if (connection.closed) break;
    if (context.sessions.unsubscribe(session, filter)) {
      removed.push(filter);
      answers.push('done');
    } else answers.push(isValidTopicFilter(filter) ? 'none' : 'invalid');
    if (index % FILTERS_PER_STEP === 0) yield;
  }
  if (removed.length > 0 && !session.ended) session.writer?.unsubscribe(removed);
  if (connection.closed) return;
  context.registry.unsubscribed(client.registered, removed);
  whenStored(context, client, () => void connection.answer(client.wire.unsuback(packetId, answers)));
}

/** None of a packet's filters is looked at further when one of them is not valid. */
function* checkFilters(filters: readonly string[]): Generator<undefined, void, void> {
  for (const [index, filter] of filters.entries()) {
    if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
    if (index % FILTERS_PER_STEP === 0) yield;
  }
}

function* findRetained(
  context: SubscribeContext,
  session: Session,
  { filter, qos }: RequestedSubscription,
  identifier: number | null,
  batches: RetainedBatch[],
): Generator<undefined, void, void> {
  const found = yield* context.store.retained.walk(filter);
  const readable: RetainedMessage[] = [];
  const now = context.clock.epochMs();
  let keeps = false;
  for (const [index, message] of found.entries()) {
    const isOver = message.expiresAt !== null && message.expiresAt <= now;
    if (!isOver && session.mayReceive(message.topic)) {
      readable.push(message);
      keeps ||= message.qos > 0 && qos > 0;
    }
    if (index % RETAINED_PER_STEP === 0) yield;
  }
  if (readable.length === 0) return;
  const { account, writer } = session;
  const asked = keeps && writer !== null ? { filter, askedAt: now, writer } : null;
  const messages = asked === null ? readable : yield* byTopic(readable);
  batches.push(new RetainedBatch(messages, { granted: qos, account, identifier, asked }));
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

/** Why a filter is refused; null when it is granted. */
function whyNot(
  { gate, limits }: SubscribeContext,
  session: Session,
  { filter, qos }: RequestedSubscription,
): SubscribeRefusal | null {
  const { account, subscriptions } = session;
  if (!isValidTopicFilter(filter)) return 'invalid';
  if (!gate.maySubscribe(session, filter, qos)) return 'denied';
  if (account.retainedPendingBytes >= RETAINED_PENDING_BYTES) return 'too-many-retained';
  if (subscriptions.has(filter)) return null;
  const room =
    subscriptions.size < limits.subscriptionsPerSession &&
    account.subscriptions < account.limits.subscriptionsPerUser &&
    account.hasRoom(subscriptionBytes(filter));
  return room ? null : 'too-many-subscriptions';
}

/** Retain Handling (3.8.3.1); shared subscriptions get none (4.8.2). */
function wantsRetained(filter: string, options: number, isNew: boolean): boolean {
  if (filter.startsWith('$share/')) return false;
  const handling = options & RETAIN_HANDLING;
  return handling === 0 || (handling === ONLY_WHEN_NEW && isNew);
}

function stored({ filter, qos, options }: RequestedSubscription, identifier: number | null): StoredSubscription {
  return { filter, qos, options, identifier };
}
