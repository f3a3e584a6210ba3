import { transportsAndProtocols } from '../observe/counters.js';
import type { Family } from '../observe/exposition.js';
import { byWords, counter, gauge, histogram } from '../observe/families.js';
import { Tally } from '../observe/tally.js';
import type { AdminContext } from './context.js';
import type { Steps } from './in-slices.js';

const ITEMS_PER_STEP = 128;

/** Connections, TLS, sessions. */
export function* connectionFamilies({ parts, certificates }: AdminContext): Steps<Family[]> {
  const { connections, counters, sessions, limits } = parts;
  const open = new Tally(transportsAndProtocols);
  const online = new Set<string>();
  let pending = 0;
  let count = 0;
  for (const { client, transport } of connections) {
    if (client === null) pending++;
    else {
      open.add(`${transport} ${client.wire.version}`);
      online.add(client.login);
    }
    if (++count % ITEMS_PER_STEP === 0) yield;
  }
  const byState = new Tally(['connected', 'away']);
  const backlog = { inflight: 0, queued: 0 };
  for (const { connected, outgoing } of sessions.values()) {
    const { inflightMessages, queuedMessages } = outgoing.backlog;
    byState.add(connected ? 'connected' : 'away');
    backlog.inflight += inflightMessages;
    backlog.queued += queuedMessages;
    if (++count % ITEMS_PER_STEP === 0) yield;
  }
  const transports = ['transport', 'protocol'];
  return [
    gauge('connections', 'Clients that are connected.', byWords(transports, open)),
    gauge('connections_pending', 'Connections whose CONNECT is not accepted yet.', pending),
    gauge('connections_limit', 'limits.connections.', limits.connections),
    counter('connections_opened_total', 'Clients that were let in.', byWords(transports, counters.connectionsOpened)),
    counter(
      'connections_refused_total',
      'Connections that ended without being let in, by reason.',
      byWords(['reason'], counters.connectionsRefused),
    ),
    counter(
      'connections_closed_total',
      'Ends of connections of clients that were let in, by reason.',
      byWords(['reason'], counters.connectionsClosed),
    ),
    histogram('connect_duration_seconds', 'From CONNECT to CONNACK.', [
      [{ result: 'accepted' }, counters.connectSeconds.accepted],
      [{ result: 'refused' }, counters.connectSeconds.refused],
    ]),
    counter(
      'tls_handshakes_total',
      'TLS handshakes; resumed: with a session of before.',
      byWords(['result', 'resumed'], counters.handshakes),
    ),
    histogram('tls_handshake_duration_seconds', 'From accept to the end of the TLS handshake.', [
      [{}, counters.handshakeSeconds],
    ]),
    gauge(
      'tls_certificate_expiry_timestamp_seconds',
      'When the certificate ends, since 1970; of several, the first.',
      certificates().map(({ role, expiresAt }) => [{ role }, expiresAt / 1e3] as const),
    ),
    gauge('users_online', 'Users with at least one client connected.', online.size),
    gauge('sessions', 'Sessions, by whether their client is connected.', byWords(['state'], byState)),
    counter('sessions_expired_total', 'Sessions whose client stayed away for too long.', counters.sessionsExpired),
    gauge('subscriptions', 'Subscriptions of all sessions, by kind.', byWords(['kind'], counters.subscriptions)),
    gauge('queued_messages', 'Messages that wait for their client, or for room in its window.', backlog.queued),
    gauge('inflight_messages', 'Messages sent to clients and not acknowledged by them.', backlog.inflight),
  ];
}
