import type { LibrarySubscription } from 'aedes-persistence-level/asyncPersistence.js';
import type { StoredSubscription } from './contract.js';

/** The options byte of MQTT 5: no local, retain as published, retain handling (two bits). */
export function fromLibrary(subscription: LibrarySubscription): StoredSubscription {
  const { topic, qos, nl, rap, rh, subscriptionIdentifier } = subscription;
  const options = (nl ? 1 << 2 : 0) | (rap ? 1 << 3 : 0) | ((rh ?? 0) << 4);
  return { filter: topic, qos, options, identifier: subscriptionIdentifier ?? null };
}

export function toLibrary(subscription: StoredSubscription): LibrarySubscription {
  const { filter, qos, options, identifier } = subscription;
  return {
    topic: filter,
    qos,
    rh: (options >> 4) & 0b11,
    rap: (options & (1 << 3)) !== 0,
    nl: (options & (1 << 2)) !== 0,
    ...(identifier !== null && { subscriptionIdentifier: identifier }),
  };
}
