import type { Grant } from '../mqtt/grant.js';
import type { Publication } from '../mqtt/publication.js';

/** Who can be routed to: a session, connected or not. */
export interface Subscriber {
  /** Shared subscriptions of one name belong to one user; another user's group of that name is another group. */
  readonly login: string;
  /** The session keeps messages while its client is away. */
  readonly persistent: boolean;
  /** A connection is there. */
  readonly connected: boolean;
  /** Connected, and reading what it is sent: shared subscriptions prefer such members. */
  readonly ready: boolean;
  /** The access rules, asked once per route: what may not be read is not delivered, whoever subscribed to it when. */
  mayReceive(topic: string): boolean;
  /** Did this session's own client publish it? */
  published(publication: Publication): boolean;
  /** `identifiers`: of the subscriptions that match; null: they have none. */
  deliver(publication: Publication, granted: Grant, identifiers: readonly number[] | null): void;
}

/** One subscriber of a route, with what its matching filters were granted, all together. */
export interface Target {
  readonly subscriber: Subscriber;
  readonly granted: Grant;
  /** Subscription Identifiers of MQTT 5, of all of them; null: none. */
  readonly identifiers: readonly number[] | null;
  /** With No Local among them: how it gets what it publishes itself, by the filters without; null: not at all. */
  readonly own: Target | null;
}
