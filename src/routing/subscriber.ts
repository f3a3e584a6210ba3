import type { Qos } from '../mqtt/packets.js';
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
  deliver(publication: Publication, granted: Qos): void;
}

/** One subscriber of a route, with the highest QoS that its matching filters were granted [MQTT-3.3.5-1]. */
export interface Target {
  readonly subscriber: Subscriber;
  readonly granted: Qos;
}
