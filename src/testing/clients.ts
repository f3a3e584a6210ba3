import type { ClientInfo, ClientScope } from './api.js';
import type { BrokerView } from './broker-view.js';

export function isAmong(client: Pick<ClientInfo, 'login' | 'clientId'>, { login, clientId }: ClientScope): boolean {
  return (login === undefined || client.login === login) && (clientId === undefined || client.clientId === clientId);
}

export function nameOf({ login, clientId }: ClientScope): string {
  if (login === undefined) return clientId === undefined ? 'a client' : `a client "${clientId}"`;
  return clientId === undefined ? `a client of ${login}` : `${login}'s client "${clientId}"`;
}

/** Lines for an error. */
export function describeClients(broker: BrokerView): string[] {
  const pending = broker.pendingConnections;
  const lines = broker.sessions().map((client) => {
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
