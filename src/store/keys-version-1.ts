/**
 * The layout of keys that versions 0 and 1 have, which is that of aedes-persistence-level: a kind, the percent-encoded
 * client id, what tells the rows of one client apart. ':' separates, and cannot occur in an encoded client id.
 */
export type ClientKind = 'session' | 'subscriptions' | 'outgoing' | 'incoming';

export const FORMER_RETAINED = 'retained:';

/** What keys of those versions begin with, but for the Wills, which stay as they are. */
export const FORMER_PREFIXES = [
  'session:',
  'subscriptions:',
  'outgoing:',
  'outgoing-id:',
  'incoming:',
  FORMER_RETAINED,
] as const;

/** The client id of a key of this kind, encoded as it is there, and what follows it. */
export function splitClientKey(key: string, kind: ClientKind): { encodedId: string; rest: string } {
  const from = kind.length + 1;
  const colon = key.indexOf(':', from);
  return { encodedId: key.slice(from, colon), rest: key.slice(colon + 1) };
}
