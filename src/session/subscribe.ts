import { bracketHint } from '../acl/hint.js';
import { type Qos, SUBSCRIPTION_REFUSED } from '../mqtt/packets.js';
import { isValidTopicFilter } from '../mqtt/topics.js';
import type { StoredSubscription } from '../store/store.js';
import { decodeSubscribe, decodeUnsubscribe, ProtocolError, suback, unsuback } from './codec.js';
import type { Connection } from './connection.js';
import { RetainedBatch } from './retained-batch.js';

/**
 * Handles a SUBSCRIBE: each filter is granted or refused for itself [MQTT-3.8.4-5], what is refused is never kept, and
 * SUBACK leaves before the retained messages and once the subscriptions of a persistent session are on disk.
 */
export function subscribe(connection: Connection, frame: Buffer): void {
  const { services } = connection;
  const session = connection.session!;
  const { packetId, filters } = decodeSubscribe(frame);
  for (const { filter } of filters) {
    if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
  }
  const codes: number[] = [];
  const granted: { filter: string; qos: Qos }[] = [];
  const batches: RetainedBatch[] = [];
  for (const { filter, qos } of filters) {
    if (!session.acl.subscribe(filter).allowed) {
      deny(connection, filter, 'denied');
      codes.push(SUBSCRIPTION_REFUSED);
    } else if (!roomFor(connection, filter)) {
      deny(connection, filter, 'too-many-subscriptions');
      codes.push(SUBSCRIPTION_REFUSED);
    } else {
      services.sessions.subscribe(session, filter, qos);
      granted.push({ filter, qos });
      codes.push(qos);
      // Looked up now: what is published from here on is delivered as a live message, and must not come twice.
      if (!filter.startsWith('$share/')) {
        const retained = services.store.retained.match(filter).filter(({ topic }) => session.mayReceive(topic));
        batches.push(new RetainedBatch(retained, qos));
      }
    }
  }
  session.writer?.subscribe(granted.map(stored));
  whenStored(connection, () => {
    connection.outbox.packet(suback(packetId, codes));
    for (const batch of batches) session.outgoing.deliverRetained(batch); // [MQTT-3.8.4-3]
  });
}

/** Handles an UNSUBSCRIBE; it is acknowledged whether or not there was such a subscription [MQTT-3.10.4-5]. */
export function unsubscribe(connection: Connection, frame: Buffer): void {
  const { services } = connection;
  const session = connection.session!;
  const { packetId, filters } = decodeUnsubscribe(frame);
  for (const filter of filters) {
    if (!isValidTopicFilter(filter)) throw new ProtocolError('MQTT-4.7.1-2', 'a topic filter that is not valid');
  }
  const removed = filters.filter((filter) => services.sessions.unsubscribe(session, filter));
  if (removed.length > 0) session.writer?.unsubscribe(removed);
  whenStored(connection, () => connection.outbox.packet(unsuback(packetId)));
}

/** Calls back at once for sessions that end with their connection, otherwise when what was written is on disk. */
function whenStored(connection: Connection, done: () => void): void {
  const { store } = connection.services;
  if (connection.session!.writer === null) {
    done();
    return;
  }
  store.committed((fault) => {
    if (connection.closed) return;
    if (fault === null) done();
    else connection.close('store-fault');
  });
}

function roomFor(connection: Connection, filter: string): boolean {
  const { limits } = connection.services;
  const { subscriptions, account } = connection.session!;
  if (subscriptions.has(filter)) return true;
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
