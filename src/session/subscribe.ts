import { bracketHint } from '../acl/hint.js';
import { type Qos, SUBSCRIPTION_REFUSED } from '../mqtt/packets.js';
import { isValidTopicFilter } from '../mqtt/topics.js';
import type { StoredSubscription } from '../store/contract.js';
import { countFilters, decodeSubscribe, decodeUnsubscribe, ProtocolError, suback, unsuback } from './codec.js';
import type { Connection } from './connection.js';
import { RetainedBatch } from './retained-batch.js';
import { subscriptionBytes } from './user-account.js';

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

/**
 * Handles a SUBSCRIBE: each filter is granted or refused for itself [MQTT-3.8.4-5], what is refused is never kept, and
 * SUBACK leaves before the retained messages and once the subscriptions of a persistent session are on disk. Returns
 * what it cost, in units of a delivery.
 */
export function subscribe(connection: Connection, frame: Buffer, bodyStart: number): number {
  const { services } = connection;
  const session = connection.session!;
  checkCount(connection, countFilters(frame, bodyStart, 1));
  const { packetId, filters } = decodeSubscribe(frame);
  for (const { filter } of filters) {
    if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
  }
  const codes: number[] = [];
  const granted: { filter: string; qos: Qos }[] = [];
  const batches: RetainedBatch[] = [];
  let found = 0;
  for (const { filter, qos } of filters) {
    const refusal = whyNot(connection, filter, found);
    if (refusal !== null) {
      deny(connection, filter, refusal);
      codes.push(SUBSCRIPTION_REFUSED);
      continue;
    }
    services.sessions.subscribe(session, filter, qos);
    granted.push({ filter, qos });
    codes.push(qos);
    if (filter.startsWith('$share/')) continue;
    // Looked up now: what is published from here on is delivered as a live message, and must not come twice.
    const retained = services.store.retained.match(filter).filter(({ topic }) => session.mayReceive(topic));
    found += retained.length;
    if (retained.length > 0) batches.push(new RetainedBatch(retained, qos, session.account));
  }
  session.writer?.subscribe(granted.map(stored));
  const send = () => {
    connection.outbox.packet(suback(packetId, codes));
    for (const batch of batches) {
      services.turn.spend(session.account, session.outgoing.deliverRetained(batch)); // [MQTT-3.8.4-3]
    }
  };
  whenStored(connection, send, () => {
    for (const batch of batches) batch.cancel();
  });
  return 1 + filters.length * UNITS_PER_FILTER + Math.ceil(found / LOOKUPS_PER_UNIT);
}

/** Handles an UNSUBSCRIBE; it is acknowledged whether or not there was such a subscription [MQTT-3.10.4-5]. */
export function unsubscribe(connection: Connection, frame: Buffer, bodyStart: number): number {
  const { services } = connection;
  const session = connection.session!;
  checkCount(connection, countFilters(frame, bodyStart, 0));
  const { packetId, filters } = decodeUnsubscribe(frame);
  for (const filter of filters) {
    if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
  }
  const removed = filters.filter((filter) => services.sessions.unsubscribe(session, filter));
  if (removed.length > 0) session.writer?.unsubscribe(removed);
  whenStored(connection, () => connection.outbox.packet(unsuback(packetId)));
  return 1 + filters.length * UNITS_PER_FILTER;
}

function checkCount(connection: Connection, filters: number): void {
  const limit = connection.services.limits.subscriptionsPerSession;
  if (filters > limit) throw new ProtocolError('quota', `${filters} filters in a packet; ${limit} are allowed`);
}

/** Calls back at once for sessions that end with their connection, otherwise when what was written is on disk. */
function whenStored(connection: Connection, done: () => void, gone?: () => void): void {
  const { store } = connection.services;
  if (connection.session!.writer === null) {
    done();
    return;
  }
  store.committed((fault) => {
    if (!connection.closed && fault === null) {
      done();
      return;
    }
    gone?.();
    connection.close('store-fault');
  });
}

/** Why a filter is refused; null when it is granted. `found`: retained messages that this packet asked for already. */
function whyNot(connection: Connection, filter: string, found: number): string | null {
  const { acl, account } = connection.session!;
  if (!acl.subscribe(filter).allowed) return 'denied';
  if (!roomFor(connection, filter)) return 'too-many-subscriptions';
  if (found >= RETAINED_PER_PACKET || account.retainedPending >= RETAINED_PENDING_PER_USER) return 'too-many-retained';
  return null;
}

function roomFor(connection: Connection, filter: string): boolean {
  const { limits } = connection.services;
  const { subscriptions, account } = connection.session!;
  if (subscriptions.has(filter)) return true;
  if (account.subscriptionBytes + subscriptionBytes(filter) > limits.subscriptionsPerUser * BYTES_PER_SUBSCRIPTION) {
    return false;
  }
  return subscriptions.size < limits.subscriptionsPerSession && account.subscriptions < limits.subscriptionsPerUser;
}

function stored({ filter, qos }: { filter: string; qos: Qos }): StoredSubscription {
  return { filter, qos, options: 0, identifier: null };
}

function deny(connection: Connection, filter: string, reason: string): void {
  const { counters, noisyLog, log } = connection.services;
  counters.subscriptionsDenied++;
  const { login, clientId, id } = connection.session!;
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
