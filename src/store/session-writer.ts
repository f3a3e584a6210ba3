import type {
  ContentPlace,
  OutgoingRecord,
  ReadLimits,
  RetainedPosition,
  RetainedRequest,
  SessionRecord,
  SessionWriter,
  StoredMessage,
  StoredSubscription,
} from './contract.js';
import { readNumber } from './keys.js';
import { contentBytes, decodeHead, encodeOutgoing, encodeReleased, messageIn, recordOf } from './outgoing-rows.js';
import { encodePosition, encodeRequest, encodeSession, encodeSubscription, INCOMING_VALUE } from './rows.js';
import { type SessionParts, SessionRows } from './session-rows.js';

/** Several may exist for one session: they share its place. */
export class StoredSessionWriter implements SessionWriter {
  readonly #parts: SessionParts;
  readonly #clientId: string;
  #known: SessionRows;

  constructor(parts: SessionParts, clientId: string) {
    this.#parts = parts;
    this.#clientId = clientId;
    this.#known = NOWHERE;
  }

  /** Where to write; a new place for a session that is not there, or not any more. */
  #rows(): SessionRows {
    if (this.#known.gone) this.#known = this.#parts.numbers.of(this.#clientId);
    return this.#known;
  }

  /** Where there is something to read or to take away; null: nowhere. */
  #found(): SessionRows | null {
    if (this.#known === NOWHERE) this.#known = this.#parts.numbers.get(this.#clientId) ?? NOWHERE;
    return this.#known.gone ? null : this.#known;
  }

  save(record: SessionRecord): void {
    this.#parts.group.put(this.#rows().key, encodeSession(record));
  }

  subscribe(subscriptions: readonly StoredSubscription[]): void {
    const { group } = this.#parts;
    for (const subscription of subscriptions) {
      group.put(this.#rows().subscription(subscription.filter), encodeSubscription(subscription));
    }
  }

  unsubscribe(filters: readonly string[]): void {
    const rows = this.#found();
    if (rows === null) return;
    for (const filter of filters) this.#parts.group.delete(rows.subscription(filter));
  }

  putRequest(request: RetainedRequest): void {
    this.#parts.group.put(this.#rows().request(request.place), encodeRequest(request));
  }

  moveRequest(place: number, position: RetainedPosition): void {
    this.#parts.group.put(this.#rows().position(place), encodePosition(position));
  }

  deleteRequest(place: number): void {
    const rows = this.#found();
    if (rows === null) return;
    this.#parts.group.delete(rows.request(place));
    this.#parts.group.delete(rows.position(place));
  }

  putOutgoing(record: OutgoingRecord, place?: ContentPlace): void {
    const { group, contents } = this.#parts;
    const rows = this.#rows();
    const contentId = contents.keep(record, place?.bytes ?? contentBytes(record), place, rows.number);
    // Numbers grow, but for those that retained messages were given before they were sent.
    const fresh = record.seq > rows.lastSeq;
    if (fresh) rows.lastSeq = record.seq;
    const row = (): Buffer => encodeOutgoing(record, contentId);
    // Most are never written, so plain ones are made when they are. What could fail fails here, where it concerns this
    // message alone: in the group it would keep everybody's from being written.
    const plain = record.identifiers === null && record.properties === null;
    group.put(rows.message(record.seq), plain ? row : row(), fresh);
  }

  releaseOutgoing({ seq, packetId }: OutgoingRecord, contentId = 0): void {
    const rows = this.#rows();
    if (seq > rows.lastSeq) rows.lastSeq = seq;
    this.#parts.group.put(rows.message(seq), encodeReleased(packetId));
    if (contentId !== 0) this.#parts.contents.release(contentId);
  }

  deleteOutgoing(seq: number, contentId = 0, delivered = false): void {
    const rows = this.#found();
    if (rows === null) return;
    // Not without its content: a row that names one must not be on disk alone.
    this.#parts.group.delete(rows.message(seq), delivered && contentId === 0);
    if (contentId !== 0) this.#parts.contents.release(contentId);
  }

  async readOutgoing(
    from: number,
    to: number,
    limits: ReadLimits,
  ): Promise<{ messages: StoredMessage[]; next: number | null }> {
    const { group, contents } = this.#parts;
    const messages: StoredMessage[] = [];
    const rows = this.#found();
    if (rows === null || from > to) return { messages, next: null };
    const range = { gte: rows.message(from), lt: `${rows.message(to)};` };
    let next: number | null = null;
    let bytes = 0;
    for (const [key, value] of await group.read(range, limits.messages, limits.bytes)) {
      const seq = readNumber(key.slice(rows.outgoing.length));
      const head = decodeHead(value);
      bytes += head.bytes;
      if (messages.length > 0 && bytes > limits.bytes) return { messages, next: seq };
      const { contentId } = head;
      const message = contentId === 0 ? messageIn(value, head) : await contents.read(contentId);
      next = seq < to ? seq + 1 : null;
      // Without its content, which only a damaged store can have lost, there is nothing to send.
      if (message === null) this.deleteOutgoing(seq);
      else messages.push({ ...recordOf(seq, head, message), contentId, bytes: head.bytes });
    }
    return { messages, next };
  }

  putIncoming(packetId: number): void {
    this.#parts.group.put(this.#rows().incoming(packetId), INCOMING_VALUE);
  }

  deleteIncoming(packetId: number): void {
    const rows = this.#found();
    if (rows !== null) this.#parts.group.delete(rows.incoming(packetId));
  }

  remove(): void {
    const rows = this.#found();
    if (rows === null) return;
    const { group, numbers, sweeper } = this.#parts;
    group.delete(rows.key);
    numbers.forget(this.#clientId, rows);
    sweeper.add(rows.number);
  }
}

/** Of a writer that has written nothing yet: sessions that are only looked at have no place. */
const NOWHERE = new SessionRows(0);
NOWHERE.gone = true;
