import { bytes, duration, durationMs, integer, type Leaf, optionalAll, rows, section } from './node.js';
import { people } from './people-schema.js';

const mebibyte = 1024 * 1024;

/** What can be another limit for some users. */
const perUser = {
  connectionsPerUser: integer(1_000, 'Connections of one user.', { min: 1 }),
  sessionsPerUser: integer(1_000, 'Persistent sessions of a user.', { min: 1 }),
  subscriptionsPerUser: integer(50_000, 'Subscriptions of all sessions of a user.', { min: 1 }),
  queuedMessagesPerUser: integer(100_000, 'Messages queued for all sessions of a user.', { min: 1 }),
  queuedBytesPerUser: bytes(32 * mebibyte, 'Bytes queued for all sessions of a user.', { min: 1_024 }),
  retainedMessagesPerUser: integer(20_000, 'Retained messages of a user.', { min: 0 }),
  retainedBytesPerUser: bytes(32 * mebibyte, 'Bytes of the retained messages of a user.', { min: 0 }),
  memoryPerUser: bytes(
    64 * mebibyte,
    'What a user may take in memory with everything: connections, queues, subscriptions, retained messages, Wills.',
    { min: mebibyte },
  ),
  messagesInPerSecond: integer(
    0,
    'PUBLISH packets of a user that are read a second, over all connections; 0: no limit.',
    {},
  ),
  bytesInPerSecond: bytes(0, 'Bytes of the PUBLISH packets of a user that are read a second; 0: no limit.'),
  messagesOutPerSecond: integer(0, 'PUBLISH packets that a user is sent a second; 0: no limit.', {}),
  bytesOutPerSecond: bytes(0, 'Bytes of the messages that a user is sent a second; 0: no limit.'),
  burstMs: duration(10_000, 'So much of these rates is saved while nothing comes, and may then come at once.', {
    min: 100,
    max: 86_400_000,
  }),
};

export const limits = section('How much one client, one user or all of them may ask for.', {
  handshakeTimeoutMs: durationMs(10_000, 'Longest TLS handshake.'),
  connectTimeoutMs: durationMs(
    10_000,
    'Longest wait for the CONNECT packet after it, and then for an older connection with its client id.',
  ),
  connections: integer(10_000, 'Connections in all.', { min: 1 }),
  connectionsPerAddress: integer(2_000, 'Connections of one address; with IPv6, of one /64 network.', { min: 1 }),
  packetBytes: bytes(16 * mebibyte, 'Largest packet; a larger one closes the connection.', {
    min: 1_024,
    max: 268_435_460,
  }),
  inflightMessages: integer(20, 'Messages of QoS 1 and 2 that a client may leave unacknowledged.', {
    min: 1,
    // Half of the packet ids: the search for a free one must find it.
    max: 32_767,
  }),
  receiveMaximum: integer(
    65_535,
    'The same the other way round: what clients of MQTT 5 may have waiting for an answer. Some do not keep to a lower one.',
    { min: 1, max: 65_535 },
  ),
  topicAliasMaximum: integer(64, 'Topic aliases of a client of MQTT 5, in each direction; 0 turns them off.', {
    min: 0,
    max: 65_535,
  }),
  maxKeepaliveMs: durationMs(0, 'Longest keepalive: clients of MQTT 5 with a longer one are told so; 0 tells nobody.', {
    min: 0,
  }),
  queuedMessages: integer(1_000, 'Messages queued for a session beyond those; the newest are dropped.', { min: 0 }),
  queuedBytes: bytes(16 * mebibyte, 'Bytes queued for a session.', { min: 1_024 }),
  subscriptionsPerSession: integer(10_000, 'Subscriptions of a session.', { min: 1 }),
  ...perUser,
  memory: bytes(
    0,
    'The same for all users together, without connections; 0 is three fifths of the heap that the process was given, and 256MiB at most.',
  ),
  drainTimeoutMs: durationMs(60_000, 'Longest wait for a subscriber that reads nothing while its outbox is full.'),
  stopTimeoutMs: durationMs(10_000, 'Longest wait for work in hand when the broker stops.'),
});

export const userLimits = rows(
  'Other limits for some users: for each key counts the first row that is for the user and has it, and otherwise what limits say. Without users and groups a row is for everybody.',
  section('One row.', { ...people, ...optionalAll(perUser, 'As in limits.') }),
  [],
);

/**
 * What is wrong with another value of one user's limit, as the rest of a sentence that begins with the limit; null when
 * nothing is. Judged as the configuration's own values are.
 */
export function whyNotAUserLimit(name: string, value: unknown): string | null {
  const keys: Readonly<Record<string, Leaf<number>>> = perUser;
  const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (key === undefined) return `is no limit of a user; known: ${Object.keys(keys).join(', ')}`;
  const why = key.problem(value);
  return why === null ? null : why === '' ? `must be ${key.accepts}` : why;
}
