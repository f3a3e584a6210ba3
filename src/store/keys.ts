/**
 * The layout of keys, as aedes-persistence-level has it: a kind, the percent-encoded client id, what tells the rows of one
 * client apart. ':' separates, and cannot occur in an encoded client id.
 */
export type ClientKind = 'session' | 'subscriptions' | 'outgoing' | 'incoming';

export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

export const RETAINED = 'retained:';
export const WILL = 'will:';
export const USER = 'user:';
export const SCHEMA_KEY = 'schema:version';

/** Ends with ':', so that no client's rows are within the range of another whose id begins the same. */
export const clientPrefix = (kind: ClientKind, clientId: string): string => `${kind}:${encodeURIComponent(clientId)}:`;

/** Every key that begins with `prefix`, which ends with ':'. ';' is the byte after it. */
export const rangeOf = (prefix: string): KeyRange => ({ gte: prefix, lt: `${prefix.slice(0, -1)};` });

/** 16 digits, as many as the largest safe integer has, so that keys sort as numbers do. */
export const padNumber = (value: number): string => String(value).padStart(16, '0');

/** The client id of a key of this kind, encoded as it is there, and what follows it. */
export function splitClientKey(key: string, kind: ClientKind): { encodedId: string; rest: string } {
  const from = kind.length + 1;
  const colon = key.indexOf(':', from);
  return { encodedId: key.slice(from, colon), rest: key.slice(colon + 1) };
}

/** Client ids are `login/id` in the broker, and a login has no '/'. Empty when there is no login. */
export const loginOf = (clientId: string): string => clientId.slice(0, Math.max(0, clientId.indexOf('/')));
