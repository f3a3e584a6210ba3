import type { LimitsConfig } from '../config/config.js';
import type { UserAccount } from '../session/user-account.js';

/** A limit per user, and what a user has of it. */
export interface LimitUse {
  readonly limit: string;
  readonly used: number;
  readonly most: number;
}

export const userLimitNames = [
  ...['connectionsPerUser', 'sessionsPerUser', 'subscriptionsPerUser', 'queuedBytesPerUser'],
  ...['retainedMessagesPerUser', 'retainedBytesPerUser', 'memoryPerUser'],
];

/** Everything that a user may only have so much of. The ledger's numbers: the broker refuses by the same. */
export function limitUses(account: UserAccount, limits: LimitsConfig): LimitUse[] {
  const { connections, persistentSessions, subscriptions, retainedMessages, queuedBytes, heldBytes, balances } =
    account;
  return [
    { limit: 'connectionsPerUser', used: connections.size, most: limits.connectionsPerUser },
    { limit: 'sessionsPerUser', used: persistentSessions, most: limits.sessionsPerUser },
    { limit: 'subscriptionsPerUser', used: subscriptions, most: limits.subscriptionsPerUser },
    { limit: 'queuedBytesPerUser', used: queuedBytes, most: limits.queuedBytesPerUser },
    { limit: 'retainedMessagesPerUser', used: retainedMessages, most: limits.retainedMessagesPerUser },
    { limit: 'retainedBytesPerUser', used: balances.retained.bytes, most: limits.retainedBytesPerUser },
    { limit: 'memoryPerUser', used: heldBytes, most: limits.memoryPerUser },
  ];
}
