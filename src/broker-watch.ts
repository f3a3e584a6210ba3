import { type BrokerParts, liveSessions } from './broker-parts.js';
import type { Clock } from './clock.js';
import type { CredentialGuard } from './credentials/guard.js';
import { createRevalidation, type LiveSession, type Revalidation } from './credentials/revalidation.js';
import { guardMemory } from './fairness/memory-guard.js';
import type { Log } from './observe/log.js';

/** How often keepalives, drain deadlines, Will delays and the expiry of sessions are looked at. */
const TICK_MS = 1_000;
/** How often messages that expired while they waited are looked for; what is sent is looked at as it is sent. */
const EXPIRY_PERIOD_MS = 60_000;

export interface WatchOptions {
  readonly guard: CredentialGuard;
  readonly parts: BrokerParts;
  readonly revalidateMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the connections of a login that is revoked. Returns how many there were. */
  readonly disconnect: (login: string) => number;
  /** Who is logged in with a browser. */
  readonly browsers: () => Iterable<LiveSession>;
}

/** Has an eye on who is in, on what is due, and on the memory. */
export function watch(options: WatchOptions): { readonly revalidation: Revalidation; close(): void } {
  const { guard, parts, clock, log, disconnect } = options;
  const { connections, sessions, wills, accounts, ruleChanges } = parts;
  guard.onRevoked((login) => {
    const count = disconnect(login);
    if (count > 0) log.info({ login, connections: count }, 'login revoked: its connections were closed');
  });
  guard.onGroups((login, groups) => {
    const account = accounts.known(login);
    if (account !== undefined) ruleChanges.setGroups(account, groups);
  });
  const revalidation = createRevalidation({
    ...{ guard, clock, log, periodMs: options.revalidateMs },
    sessions: function* () {
      yield* liveSessions(connections);
      yield* options.browsers();
    },
  });
  const cancelTicks = clock.every(TICK_MS, () => {
    const nowMs = clock.monotonicMs();
    for (const connection of connections) connection.tick(nowMs);
    sessions.expire();
    wills.tick();
    accounts.tick();
  });
  const cancelExpiry = clock.every(EXPIRY_PERIOD_MS, () => {
    sessions.expireMessages();
    parts.distribution.expireRetained();
  });
  const memory = guardMemory({ ...parts, clock, log });
  return {
    revalidation,
    close() {
      memory.close();
      revalidation.close();
      cancelTicks();
      cancelExpiry();
    },
  };
}
