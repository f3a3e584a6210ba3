import { SLOTS, slotOf } from '../../shard.js';
import { CONTENTS, type KeyRange, loginOf, RETAINED, readNumber, SCHEMA, SESSIONS, USER, WILL } from '../keys.js';

/** Which slots are a broker's, and whose a topic is. */
export interface Placement {
  readonly slots: readonly number[];
  readonly owns: (slot: number) => boolean;
  readonly ownerOf: (topic: string) => string;
}

export function placementOf(shards: number, shard: number, ownerOf: Placement['ownerOf']): Placement {
  const owns = (slot: number) => slot % shards === shard;
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter(owns);
  return { slots, owns, ownerOf };
}

/** What is about the layout, and not about a user. */
export const isSchemaKey = (key: string): boolean => key.startsWith(SCHEMA);

/**
 * The slot of a row, from its key alone: another number of shards moves rows by slots, and needs to look at none. Numbers
 * of sessions and of messages that are kept apart are their slot's modulo the number of slots.
 */
export function slotOfKey(key: string, placement: Placement): number {
  const slot = homeOf(key, placement.ownerOf);
  // What is in nobody's tree stays with who has it.
  return placement.owns(slot) ? slot : placement.slots[0]!;
}

function homeOf(key: string, ownerOf: Placement['ownerOf']): number {
  if (key.startsWith(SESSIONS)) return numberIn(key, SESSIONS) % SLOTS;
  if (key.startsWith(CONTENTS)) return numberIn(key, CONTENTS) % SLOTS;
  if (key.startsWith(RETAINED)) return slotOf(ownerOf(key.slice(RETAINED.length)));
  if (key.startsWith(WILL)) return slotOf(loginOf(decodeURIComponent(key.slice(WILL.length))));
  if (key.startsWith(USER)) return slotOf(decodeURIComponent(key.slice(USER.length)));
  throw new Error(`no slot for the key ${key}`);
}

/** The one slot that a range is in; null when it may be in any. */
export function slotOfRange({ gte, lt }: KeyRange): number | null {
  const session = /^s:([a-p]\d+)/.exec(gte)?.[1];
  return session !== undefined && lt.startsWith(`${SESSIONS}${session}`) ? readNumber(session) % SLOTS : null;
}

function numberIn(key: string, prefix: string): number {
  const end = key.indexOf(':', prefix.length);
  return readNumber(end === -1 ? key.slice(prefix.length) : key.slice(prefix.length, end));
}
