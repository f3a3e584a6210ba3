import { packageVersion } from '../config/package-folder.js';
import type { AdminContext } from './context.js';
import { json, type Route } from './route.js';

/** How the broker is, in one answer. */
export function statusRoutes(context: AdminContext): readonly Route[] {
  const { parts, clock, backend, credentialsFault, stopping, controls } = context;
  const startedAtMs = clock.monotonicMs();
  const version = packageVersion();

  function status() {
    const { store, connections, sessions, ledger } = parts;
    const storeFault = store.fault?.code ?? null;
    const credentials = credentialsFault();
    const logins = new Set<string>();
    for (const { client } of connections) if (client !== null) logins.add(client.login);
    return {
      status: stopping() ? 'stopping' : storeFault !== null ? 'failing' : credentials !== null ? 'degraded' : 'ok',
      version,
      uptimeSeconds: Math.floor((clock.monotonicMs() - startedAtMs) / 1_000),
      store: storeFault ?? 'ok',
      credentials: { backend, state: credentials ?? 'ok' },
      connections: connections.size,
      usersOnline: logins.size,
      sessions: sessions.size,
      retainedMessages: store.retained.size,
      heldBytes: ledger.heldBytes,
      heldBytesLimit: ledger.limitForAll,
    };
  }

  return [
    { method: 'GET', path: '/status', answer: () => json(status()) },
    {
      method: 'POST',
      path: '/certificates/reload',
      answer: async () => {
        await controls.reload();
        return json({ reloaded: true });
      },
    },
  ];
}
