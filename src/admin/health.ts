import type { AdminContext } from './context.js';

/** How the broker is, in all: nothing in here is about a single user. */
export interface HealthState {
  /** `degraded`: new logins suffer. `failing`: nothing can be stored. */
  readonly status: 'ok' | 'degraded' | 'failing' | 'stopping';
  readonly uptime: number;
  readonly connections: number;
  /** `ok`, or the code of the fault that keeps the store from storing. */
  readonly store: string;
  /** The same for the credential backend. */
  readonly credentials: string;
}

export function healthOf({ parts, clock, startedAtMs, credentialsFault, stopping }: AdminContext): HealthState {
  const storeFault = parts.store.fault?.code ?? null;
  const credentials = credentialsFault();
  let status: HealthState['status'] = 'ok';
  if (credentials !== null) status = 'degraded';
  if (storeFault !== null) status = 'failing';
  if (stopping()) status = 'stopping';
  return {
    status,
    uptime: Math.floor((clock.monotonicMs() - startedAtMs) / 1_000),
    connections: parts.connections.size,
    store: storeFault ?? 'ok',
    credentials: credentials ?? 'ok',
  };
}
