import type { CloseReason } from '../session/close-reason.js';
import type { Connection } from './connection.js';

/** Ends those of a login, or of the one client. Returns how many there were. */
export function endClients(
  connections: Iterable<Connection>,
  reason: CloseReason,
  login: string,
  clientId?: string,
): number {
  return endConnections(connections, reason, ({ client }) => {
    return client?.login === login && (clientId === undefined || client.clientId === clientId);
  });
}

/** Ends those that `are`. Returns how many there were. */
export function endConnections(
  connections: Iterable<Connection>,
  reason: CloseReason,
  are: (connection: Connection) => boolean,
): number {
  const found = [...connections].filter(are);
  for (const connection of found) connection.close(reason);
  return found.length;
}
