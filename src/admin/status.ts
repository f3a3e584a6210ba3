import { packageVersion } from '../config/package-folder.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { healthOf } from './health.js';
import { json, type Route } from './route.js';

/** How the broker is, in one answer. */
export function statusRoutes(context: AdminContext): readonly Route[] {
  const { parts, backend, controls, certificates } = context;
  const version = packageVersion();

  function status() {
    const { store, connections, sessions, ledger } = parts;
    const { status, uptime: uptimeSeconds, store: storeState, credentials: state } = healthOf(context);
    const logins = new Set<string>();
    let slowedUsers = 0;
    let waitingConnections = 0;
    for (const { incoming, outgoing } of parts.accounts.values()) {
      if (incoming?.closed === true || outgoing?.closed === true) slowedUsers++;
      waitingConnections += incoming?.waiting ?? 0;
    }
    for (const { client } of connections) if (client !== null) logins.add(client.login);
    return {
      ...{ status, version, uptimeSeconds, store: storeState, credentials: { backend, state } },
      connections: connections.size,
      usersOnline: logins.size,
      slowedUsers,
      waitingConnections,
      sessions: sessions.size,
      retainedMessages: store.retained.size,
      heldBytes: ledger.heldBytes,
      heldBytesLimit: ledger.limitForAll,
      certificates: certificates().map(({ role, expiresAt }) => ({ role, expires: dateOf(expiresAt) })),
    };
  }

  return [
    { method: 'GET', path: '/status', answer: () => json(status()) },
    {
      method: 'POST',
      path: '/certificates/reload',
      answer: async () => {
        await controls.reloadCertificates();
        return json({ reloaded: true });
      },
    },
  ];
}
