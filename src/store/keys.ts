/**
 * The layout of keys. ':' separates, and what belongs to one session is in one range:
 *
 *     s:<session>                 the session
 *     s:<session>:i:<packet id>   a QoS 2 packet id that was received and is not released
 *     s:<session>:o:<seq>         a message of its queue, with what it says when that is short
 *     s:<session>:r:<place>       retained messages that a subscription asked for, until all of them are sent
 *     s:<session>:s:<filter>      a subscription
 *     s:<session>:t:<place>       how far such a request has come, once it has
 *     c:<content>                 what a long message says, once for all the queues that have it
 *     r:<topic>                   a retained message
 *     will:<client id>            a Will, as aedes-persistence-level has it
 *     user:<login>                what is remembered of a user
 *     schema:version
 *     large:<number>              whose value is so long that LevelDB has it in parts; where, says `parted-database.ts`
 *     part:<number>:<part>        one of them
 *
 * Sessions have numbers: client ids have up to 1 024 bytes, and would be in each of these keys.
 */
export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

export const SESSIONS = 's:';
export const CONTENTS = 'c:';
export const RETAINED = 'r:';
export const WILL = 'will:';
export const USER = 'user:';
export const SCHEMA = 'schema:';
export const LARGE = 'large:';
export const PART = 'part:';
export const SCHEMA_KEY = 'schema:version';

/** What a row of a session is; '' is the session itself. */
export type SessionRowKind = '' | 'i' | 'o' | 'r' | 's' | 't';

/** Every key that begins with `prefix`, which ends with ':'. ';' is the byte after it. */
export const rangeOf = (prefix: string): KeyRange => ({ gte: prefix, lt: `${prefix.slice(0, -1)};` });

const LENGTHS = 'abcdefghijklmnop';

/** A number so that keys sort as numbers do: a letter that says how many digits follow, and these. */
export function numberText(value: number): string {
  const digits = String(value);
  return LENGTHS[digits.length - 1] + digits;
}

export const readNumber = (text: string): number => Number(text.slice(1));

export const sessionKey = (session: number): string => SESSIONS + numberText(session);

/** All rows of a session, itself included. */
export const sessionRange = (session: number): KeyRange => {
  const key = sessionKey(session);
  return { gte: key, lt: `${key};` };
};

export const contentKey = (content: number): string => CONTENTS + numberText(content);

export const largeKey = (number: number): string => LARGE + numberText(number);
export const partKey = (number: number, part: number): string => `${PART}${numberText(number)}:${numberText(part)}`;
/** All parts of one value, in their order. */
export const partRange = (number: number): KeyRange => rangeOf(`${PART}${numberText(number)}:`);

/** A key of a session's range, taken apart. */
export function splitSessionKey(key: string): { session: string; kind: SessionRowKind; rest: string } {
  const end = key.indexOf(':', SESSIONS.length);
  if (end === -1) return { session: key.slice(SESSIONS.length), kind: '', rest: '' };
  return { session: key.slice(SESSIONS.length, end), kind: key[end + 1] as SessionRowKind, rest: key.slice(end + 3) };
}

/** Client ids are `login/id` in the broker, and a login has no '/'. Empty when there is no login. */
export const loginOf = (clientId: string): string => clientId.slice(0, Math.max(0, clientId.indexOf('/')));
