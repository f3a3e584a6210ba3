import type { BrokerParts } from '../broker-parts.js';
import type { Session } from '../session/session.js';
import type { ClientInfo, ClientScope } from './api.js';

const protocols = { 3: '3.1', 4: '3.1.1', 5: '5' } as const;

/** Every session, those of absent clients included. */
export function sessionsOf({ sessions }: BrokerParts): ClientInfo[] {
  return [...sessions.values()].map(infoOf);
}

export function isAmong(client: ClientInfo, { login, clientId }: ClientScope): boolean {
  return (login === undefined || client.login === login) && (clientId === undefined || client.clientId === clientId);
}

export function nameOf({ login, clientId }: ClientScope): string {
  if (login === undefined) return clientId === undefined ? 'a client' : `a client "${clientId}"`;
  return clientId === undefined ? `a client of ${login}` : `${login}'s client "${clientId}"`;
}

/** Lines for an error. */
export function describeClients(parts: BrokerParts): string[] {
  const all = sessionsOf(parts);
  const pending = [...parts.connections].filter(({ client }) => client === null).length;
  const lines = all.map((client) => {
    const { login, clientId, connected, protocol, subscriptions, inflightMessages, queuedMessages } = client;
    const filters = subscriptions.map(({ filter }) => filter).join(', ');
    return [
      `  ${login} "${clientId}" (MQTT ${protocol}${connected ? '' : ', away'})`,
      filters === '' ? 'without subscriptions' : `subscribed to ${filters}`,
      ...(inflightMessages > 0 ? [`, ${inflightMessages} in flight`] : []),
      ...(queuedMessages > 0 ? [`, ${queuedMessages} queued`] : []),
    ]
      .join(' ')
      .replaceAll(' ,', ',');
  });
  return [
    lines.length === 0 ? 'No client is connected.' : 'Clients:',
    ...lines,
    ...(pending === 0 ? [] : [`${pending} connection${pending === 1 ? '' : 's'} without an accepted CONNECT.`]),
  ];
}

function infoOf(session: Session): ClientInfo {
  const { login, clientId, connected, persistent, level, outgoing } = session;
  return {
    ...{ login, clientId, connected, protocol: protocols[level], clean: !persistent },
    subscriptions: [...session.subscriptions].map(([filter, qos]) => ({ filter, qos })),
    ...outgoing.backlog,
  };
}
