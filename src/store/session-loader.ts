import type { Log } from '../observe/log.js';
import type { QueuedMessage, RetainedPosition, SessionRecord, StoredRequest, StoredSession } from './contract.js';
import { rangeOf, readNumber, SESSIONS, type SessionRowKind, splitSessionKey } from './keys.js';
import { decodeHead } from './outgoing-rows.js';
import { decodePosition, decodeRequest, decodeSession, decodeSubscription } from './rows.js';
import { type SessionParts, SessionRows } from './session-rows.js';

/** A session whose rows are being read. */
interface Reading {
  readonly text: string;
  readonly rows: SessionRows;
  readonly stored: StoredSession;
}

/**
 * Every session with its rows, in one pass, a few at a time. Rows without a session are what was left of one that was
 * removed right before a crash; they go.
 */
export async function* loadSessions(parts: SessionParts, log: Log): AsyncGenerator<StoredSession> {
  const { group, contents, numbers } = parts;
  /** Contents that such rows have. */
  const left: number[] = [];
  let orphans = 0;
  let reading: Reading | null = null;
  for await (const chunk of group.chunks(rangeOf(SESSIONS))) {
    const before = orphans;
    for (const [key, value] of chunk) {
      const { session, kind, rest } = splitSessionKey(key);
      if (kind === '') {
        if (reading !== null) yield reading.stored;
        reading = begin(session, value);
        numbers.add(reading.stored.session.clientId, reading.rows);
      } else if (reading?.text === session) {
        take(reading, kind, rest, value, parts);
      } else {
        const contentId = kind === 'o' ? decodeHead(value).contentId : 0;
        if (contentId !== 0) left.push(contentId);
        group.delete(key);
        orphans++;
      }
    }
    if (orphans > before) await group.settled();
  }
  if (reading !== null) yield reading.stored;
  for (const contentId of left) contents.releaseUnused(contentId);
  if (orphans > 0) log.info({ rows: orphans }, 'rows without a session were removed from the store');
}

function begin(text: string, value: Buffer): Reading {
  const session = decodeSession(value);
  const stored = { session, subscriptions: [], requests: [], outgoing: [], incoming: [] };
  return { text, rows: new SessionRows(readNumber(text)), stored };
}

function take(
  { rows, stored }: Reading,
  kind: Exclude<SessionRowKind, ''>,
  rest: string,
  value: Buffer,
  { contents }: SessionParts,
): void {
  if (kind === 's') stored.subscriptions.push(decodeSubscription(rest, value));
  else if (kind === 'i') stored.incoming.push(readNumber(rest));
  else if (kind === 'r') {
    const place = readNumber(rest);
    stored.requests.push({ ...decodeRequest(place, value), next: place, after: '' });
  } else if (kind === 't') move(stored.requests, readNumber(rest), decodePosition(value));
  else {
    const seq = readNumber(rest);
    const { packetId, qos, released, expiresAt, bytes, contentId } = decodeHead(value);
    if (contentId !== 0) contents.found(contentId);
    rows.lastSeq = seq;
    const sent = wasSent(seq, released, stored.session);
    stored.outgoing.push({ seq, packetId, qos, released, expiresAt, bytes, sent });
  }
}

/** Requests come before their positions. */
function move(requests: StoredRequest[], place: number, position: RetainedPosition): void {
  const index = requests.findIndex((request) => request.place === place);
  if (index !== -1) requests[index] = { ...requests[index]!, ...position };
}

/** A record that was saved as its client left says what was sent; after it nothing was, until the client came back. */
function wasSent(seq: number, released: boolean, { expiresAt, sentSeq }: SessionRecord): QueuedMessage['sent'] {
  if (released) return 'yes';
  if (expiresAt === null || sentSeq === null) return 'unknown';
  return seq <= sentSeq ? 'yes' : 'no';
}
