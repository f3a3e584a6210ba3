import type { Store } from './contract.js';

/** Bytes are those of topics, payloads and properties, without what the database adds. */
export interface UserUsage {
  readonly user: string;
  sessions: number;
  subscriptions: number;
  queuedMessages: number;
  queuedBytes: number;
  retainedMessages: number;
  retainedBytes: number;
}

/** What each user keeps, by name. `ownerOf` says whose a retained message is: the store does not remember who sent it. */
export async function usageByUser(store: Store, ownerOf: (topic: string) => string): Promise<UserUsage[]> {
  const users = new Map<string, UserUsage>();
  const of = (user: string): UserUsage => {
    let usage = users.get(user);
    if (usage === undefined) {
      const nothing = {
        sessions: 0,
        subscriptions: 0,
        queuedMessages: 0,
        queuedBytes: 0,
        retainedMessages: 0,
        retainedBytes: 0,
      };
      usage = { user, ...nothing };
      users.set(user, usage);
    }
    return usage;
  };
  for await (const { session, subscriptions, outgoing } of store.loadSessions()) {
    const usage = of(session.login);
    usage.sessions++;
    usage.subscriptions += subscriptions.length;
    usage.queuedMessages += outgoing.length;
    for (const { bytes } of outgoing) usage.queuedBytes += bytes;
  }
  for (const message of store.retained) {
    const usage = of(ownerOf(message.topic));
    usage.retainedMessages++;
    usage.retainedBytes += bytesOf(message);
  }
  return [...users.values()].sort((a, b) => (a.user < b.user ? -1 : 1));
}

const bytesOf = ({ topic, payload, properties }: { topic: string; payload: Buffer; properties: Buffer | null }) =>
  Buffer.byteLength(topic) + payload.length + (properties?.length ?? 0);
