import type { Tally } from './tally.js';

/** The key of the limit that a reason stands for, where one does. */
const limitOf: ReadonlyMap<string, string> = new Map([
  ['too-many-connections', 'connectionsPerUser'],
  ['connections-wait', 'connectionsPerUser'],
  ['too-many-sessions', 'sessionsPerUser'],
  ['too-many-subscriptions', 'subscriptionsPerUser'],
  ['memory-limit', 'memoryPerUser'],
  ['queue-full', 'queuedMessages'],
  ['user-quota', 'queuedBytesPerUser'],
  ['retained-quota', 'retainedMessagesPerUser'],
]);

export const limitNames: readonly string[] = [
  ...new Set(limitOf.values()),
  ...['messagesInPerSecond', 'bytesInPerSecond', 'messagesOutPerSecond', 'bytesOutPerSecond'],
];

/** Counts that a user has come to a limit, if the reason is one. */
export function countLimit({ limitHits }: { readonly limitHits: Tally }, reason: string): void {
  const limit = limitOf.get(reason);
  if (limit !== undefined) limitHits.add(limit);
}
