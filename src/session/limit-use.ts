import type { Ledger } from '../fairness/ledger.js';
import type { Pace } from '../fairness/pace.js';
import type { UserAccount } from './user-account.js';
import type { UserLimitName } from './user-limits.js';

/** Limits of which a user has so much; rates are something else. */
export const countedLimits = [
  ...(['connectionsPerUser', 'sessionsPerUser', 'subscriptionsPerUser'] as const),
  ...(['queuedMessagesPerUser', 'queuedBytesPerUser'] as const),
  ...(['retainedMessagesPerUser', 'retainedBytesPerUser', 'memoryPerUser'] as const),
] as const satisfies readonly UserLimitName[];

/** A limit per user, and what a user has of it. */
export interface LimitUse {
  readonly limit: UserLimitName;
  readonly used: number;
  readonly most: number;
}

/** How one direction of a user's messages is slowed. */
export interface SlowedUse {
  readonly direction: 'in' | 'out';
  /** What is allowed; null: as much as comes. */
  readonly messagesPerSecond: number | null;
  readonly bytesPerSecond: number | null;
  /** What may come at once now, beyond which it is slowed; null: not limited. */
  readonly messagesLeft: number | null;
  readonly bytesLeft: number | null;
  /** It waits now. */
  readonly slowed: boolean;
  /** For how long it has waited, in all. */
  readonly slowedMs: number;
  /** So many connections wait for their turn. */
  readonly waiting: number;
}

/** The same numbers that are asked when something is refused. */
export function limitUse(account: UserAccount, ledger: Ledger): LimitUse[] {
  const { limits, balances } = account;
  const used: Record<(typeof countedLimits)[number], number> = {
    connectionsPerUser: account.connections.size,
    sessionsPerUser: account.persistentSessions,
    subscriptionsPerUser: account.subscriptions,
    queuedMessagesPerUser: account.queuedMessages,
    queuedBytesPerUser: account.queuedBytes,
    retainedMessagesPerUser: account.retainedMessages,
    retainedBytesPerUser: balances.retained.bytes,
    memoryPerUser: account.heldBytes,
  };
  return countedLimits.map((limit) => {
    const most = limit === 'memoryPerUser' ? ledger.limitOf(account) : limits[limit];
    return { limit, used: used[limit], most };
  });
}

export function slowedUse({ incoming, outgoing }: UserAccount): SlowedUse[] {
  return [stateOf('in', incoming), stateOf('out', outgoing)];
}

const NOT_LIMITED = { messagesPerSecond: null, bytesPerSecond: null, messagesLeft: null, bytesLeft: null };

function stateOf(direction: 'in' | 'out', pace: Pace | null): SlowedUse {
  if (pace === null) return { direction, ...NOT_LIMITED, slowed: false, slowedMs: 0, waiting: 0 };
  const { messagesPerSecond, bytesPerSecond, messagesLeft, bytesLeft, closedMs } = pace.state();
  return {
    ...{ direction, messagesPerSecond: messagesPerSecond || null, bytesPerSecond: bytesPerSecond || null },
    ...{ messagesLeft, bytesLeft, slowed: pace.closed, slowedMs: closedMs, waiting: pace.waiting },
  };
}

/** Of his connections, so many are only there since their messages wait. */
const MOST_OF_THEM = 0.5;

/** Why a user who has as many connections as he may may have no more: what he has, or what his rate makes wait. */
export function whyNoMore(
  account: UserAccount,
  now: number,
): { readonly reason: string; readonly more: { readonly limit: number; readonly detail?: string } } {
  const { connections, incoming, limits } = account;
  const limit = limits.connectionsPerUser;
  if (incoming === null || incoming.waiting < connections.size * MOST_OF_THEM) {
    return { reason: 'too-many-connections', more: { limit } };
  }
  const { waiting } = incoming;
  const { messagesPerSecond, bytesPerSecond, messagesLeft } = incoming.state();
  const because = (detail: string) => ({ reason: 'connections-wait', more: { limit, detail } });
  if (messagesLeft === null) return because(`${waiting} wait, at ${bytesPerSecond} bytes a second`);
  const until = new Date(now + (1_000 * (waiting - messagesLeft)) / messagesPerSecond).toISOString();
  return because(`${waiting} wait, at ${messagesPerSecond} messages a second, until ${until} if no more come`);
}
