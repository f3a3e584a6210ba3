import type { Acl } from '../acl/acl.js';
import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { RefusalReason } from '../credentials/backend.js';
import type { Fault } from '../errors.js';
import type { Publication } from '../mqtt/publication.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Router } from '../routing/router.js';
import type { Store } from '../store/contract.js';
import type { Connection } from './connection.js';
import type { Sessions } from './sessions.js';
import type { Turn } from './turn.js';

/** What every connection of a broker shares. */
export interface Services {
  readonly hub: HubPort;
  readonly sessions: Sessions;
  /** Every open connection, from its TLS handshake to its close. */
  readonly connections: Set<Connection>;
  /** What those hold whose CONNECT is not accepted yet. */
  readonly strangers: { partialBytes: number };
  readonly router: Router;
  readonly store: Store;
  readonly acl: Acl;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly limits: LimitsConfig;
  readonly log: Log;
  /** For lines that a client can cause as often as it likes. */
  readonly noisyLog: RateLimited;
  readonly counters: Counters;
}

/** The hub as a connection sees it. */
export interface HubPort {
  /** Asks who this is. Never rejects. */
  identify(connection: Connection, username: string | undefined, password: Buffer | undefined): Promise<Identification>;
  /** Takes the connection into the registry; an older one with the same id is closed first [MQTT-3.1.4-2]. */
  register(connection: Connection): void;
  unregister(connection: Connection): void;
  /** Sends a message through the publish pipeline. Everything it does is done when this returns, but for the disk. */
  send(publication: Publication, connection: Connection | null): void;
  /** Settles the ticket once everything handed to the store so far is on disk. */
  commit(ticket: SafetyTicket): void;
}

export type Identification =
  | { readonly kind: 'accepted'; readonly login: string; readonly proof: unknown; readonly stale: boolean }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  | { readonly kind: 'unavailable'; readonly error: Fault };

/** Totals since the start, for the metrics. Plain numbers: they are counted on the hot path. */
export interface Counters {
  connectionsAccepted: number;
  connectionsRefused: number;
  messagesReceived: number;
  messagesDelivered: number;
  messagesDropped: number;
  publishesDenied: number;
  subscriptionsDenied: number;
}

export function newCounters(): Counters {
  return {
    connectionsAccepted: 0,
    connectionsRefused: 0,
    messagesReceived: 0,
    messagesDelivered: 0,
    messagesDropped: 0,
    publishesDenied: 0,
    subscriptionsDenied: 0,
  };
}
