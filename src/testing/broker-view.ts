import type { Broker } from '../broker.js';
import { grantedQos } from '../mqtt/grant.js';
import { Publication } from '../mqtt/publication.js';
import type { PublicationListener } from '../session/distribution.js';
import type { Session } from '../session/session.js';
import type { ClientInfo } from './api.js';
import { type MessageProperties, readMessageProperties } from './message-properties.js';
import { sumOf } from './metric.js';

/*
 * What the harness needs of a running broker's inside. It is all here: no other file of this folder looks in there.
 */

export interface BrokerView {
  /** Every session, those of absent clients included. */
  sessions(): ClientInfo[];
  /** Connections without an accepted CONNECT. */
  readonly pendingConnections: number;
  mayPublish(login: string, topic: string): boolean;
  /**
   * Publishes as a client of `login` would; nobody asks the access rules again. Resolves when such a client would have
   * its acknowledgement: false when the message could not be stored.
   */
  publish(message: Omit<RoutedMessage, 'clientId' | 'properties'>): Promise<boolean>;
  /** The sum of a metric's samples with these labels. Rejects for a name that is none. */
  metric(name: string, labels: Readonly<Record<string, string>>): Promise<number>;
  /** Breaks the connections of a login, or the one with this client id. Returns how many there were. */
  disconnect(login: string, clientId?: string): number;
}

/** A message on its way to its subscribers. What the access rules denied is none. */
export interface RoutedMessage {
  /** Who published. */
  readonly login: string;
  /** Of the client that sent it, or whose Will it is. Null for what did not come from a client. */
  readonly clientId: string | null;
  readonly topic: string;
  /** Valid until the observer returns. */
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: MessageProperties | null;
}

export function viewOf(broker: Broker): BrokerView {
  const { sessions, connections, hub, distribution } = broker.parts;
  return {
    sessions: () => [...sessions.values()].map(infoOf),
    get pendingConnections() {
      return [...connections].filter(({ client }) => client === null).length;
    },
    mayPublish: (login, topic) => hub.mayPublish({ login, clientId: '', id: '' }, topic),
    publish: ({ login, topic, payload, qos, retain }) =>
      distribution.post(Publication.of(topic, payload, qos, retain, login), sessions.account(login)),
    metric: async (name, labels) => sumOf(await broker.metrics(), name, labels),
    disconnect: (login, clientId) => broker.disconnect(login, clientId),
  };
}

/** Tells of every message once it is routed. */
export function observing(observer: (message: RoutedMessage) => void): PublicationListener {
  return ({ topic, payload, qos, retain, properties, expirySeconds, publisher: { login, clientId } }) =>
    observer({
      ...{ login, clientId, topic, payload, qos, retain },
      properties: readMessageProperties(properties, expirySeconds),
    });
}

const protocols = { 3: '3.1', 4: '3.1.1', 5: '5' } as const;

function infoOf(session: Session): ClientInfo {
  const { login, clientId, connected, persistent, level, outgoing } = session;
  const { inflightMessages, queuedMessages } = outgoing.backlog;
  return {
    ...{ login, clientId, connected, protocol: protocols[level], clean: !persistent },
    subscriptions: [...session.subscriptions].map(([filter, granted]) => ({ filter, qos: grantedQos(granted) })),
    ...{ inflightMessages, queuedMessages },
  };
}
