import type { Traffic } from '../mqtt/traffic.js';
import type { History } from '../observe/history.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { CloseReason } from '../session/close-reason.js';

/** Connects of one user, and ends of connections, that have a line each within the limiter's period. */
export const COMINGS_LOGGED = 20;

interface Ending {
  readonly n: number;
  readonly address: string;
  readonly openedAt: number;
  readonly traffic: Traffic;
  readonly client: {
    readonly login: string;
    readonly clientId: string;
    readonly wire: { readonly version: string };
  } | null;
}

/** Tells log and history that a connection ends: of a client that was let in, or of a peer in `network`. */
export function tellEnd(
  { log, noisyLog, history }: { readonly log: Log; readonly noisyLog: RateLimited; readonly history: History },
  { n, address, openedAt, traffic, client }: Ending,
  network: string,
  reason: CloseReason,
  detail: string | undefined,
): void {
  const why = detail === undefined ? { reason } : { reason, detail };
  if (client !== null) {
    const { login, clientId, wire } = client;
    const shared = { n, login, clientId, address, protocol: wire.version, openedAt, ...traffic };
    history.ended({ ...shared, reason, detail: detail ?? null });
    const line = (suppressed: number) =>
      log.info({ login, client: clientId, ...why, ...(suppressed > 0 ? { suppressed } : {}) }, 'disconnected');
    // A device that comes and goes all the time must not hide why another one is thrown out.
    noisyLog.user(login).line(`disconnected:${reason}`, line, COMINGS_LOGGED);
  } else if (reason !== 'refused') {
    history.refused(address, null, null, reason);
    const line = (suppressed: number) =>
      log.info(
        { address, ...why, ...(suppressed > 0 ? { suppressed } : {}) },
        'connection closed before CONNECT was accepted',
      );
    noisyLog.network(network).line('closed', line);
  }
}
