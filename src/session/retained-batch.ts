import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { QueuedMessage, RetainedIndex, RetainedMessage, SessionWriter, StoredRequest } from '../store/contract.js';
import type { UserAccount } from './user-account.js';

export interface NextRetained {
  readonly seq: number;
  readonly message: RetainedMessage;
  readonly qos: Qos;
  readonly identifiers: readonly number[] | null;
}

/** What a batch takes besides its filter and eight bytes for each message. */
const BYTES_PER_BATCH = 256;

/** How the messages of a batch are found again after a restart. */
export interface Asked {
  readonly filter: string;
  /** A date: when the subscription was made. */
  readonly askedAt: number;
  readonly writer: SessionWriter;
}

interface BatchOptions {
  readonly granted: Qos;
  readonly account: UserAccount;
  readonly identifier?: number | null;
  /** Null: the session ends with its connection, or may forget what it has not been sent of these. */
  readonly asked?: Asked | null;
}

/**
 * The retained messages that match a new subscription, sent as the window and the socket have room. A session that
 * subscribes to ten thousand of them neither fills its queue with them nor holds up the event loop. What a persistent
 * session was promised comes after a restart as well: the store keeps not the messages, which may be those of a thousand
 * sessions, but what was asked for and the last topic that was sent; such a batch is sorted by topic.
 */
export class RetainedBatch {
  /** Null: they are still to be found. */
  #messages: readonly RetainedMessage[] | null;
  readonly #granted: Qos;
  readonly #identifier: number | null;
  readonly #identifiers: readonly number[] | null;
  readonly #account: UserAccount;
  readonly #asked: Asked | null;
  #index = 0;
  #firstSeq = 0;
  /** How many they are at the most, while they are to be found. */
  #places = 0;
  /** Of the store's rows. */
  #place = 0;
  #after = '';
  #bytes = 0;
  #moved = false;

  /** Counted as pending of the account until they are sent, or the batch is cancelled. */
  constructor(messages: readonly RetainedMessage[] | null, { granted, account, identifier, asked }: BatchOptions) {
    this.#messages = messages;
    this.#granted = granted;
    this.#identifier = identifier ?? null;
    this.#identifiers = this.#identifier === null ? null : [this.#identifier];
    this.#account = account;
    this.#asked = asked ?? null;
    account.retainedPending += messages?.length ?? 0;
    this.#charge(BYTES_PER_BATCH + (asked?.filter.length ?? 0) + 8 * (messages?.length ?? 0));
  }

  /** What the store has of a session's. */
  static restore(stored: readonly StoredRequest[], account: UserAccount, writer: SessionWriter): RetainedBatch[] {
    return stored.map((request) => RetainedBatch.#restored(request, account, writer));
  }

  static #restored(stored: StoredRequest, account: UserAccount, writer: SessionWriter): RetainedBatch {
    const { filter, askedAt, qos: granted, identifier, place, next, last, after } = stored;
    const batch = new RetainedBatch(null, { granted, account, identifier, asked: { filter, askedAt, writer } });
    batch.#place = place;
    batch.#firstSeq = next;
    batch.#after = after;
    batch.#places = Math.max(0, last - next + 1);
    account.retainedPending += batch.#places;
    return batch;
  }

  /**
   * Gives its messages their places in the session's order, behind `lastSeq`, and returns the last of them. Not as they
   * are sent: what is queued behind them has later places, and that is the order in which all of it is sent again after a
   * restart. From here on the store has it, if it is to.
   */
  place(lastSeq: number): number {
    if (this.#firstSeq > 0) return Math.max(lastSeq, this.lastSeq);
    this.#firstSeq = lastSeq + 1;
    this.#place = this.#firstSeq;
    this.#put();
    return this.lastSeq;
  }

  get firstSeq(): number {
    return this.#firstSeq + this.#index;
  }

  get lastSeq(): number {
    return this.#firstSeq + (this.#messages?.length ?? this.#places) - 1;
  }

  get length(): number {
    return this.#messages === null ? this.#places : this.#messages.length - this.#index;
  }

  /** What it asks for, from which topic on, while its messages are to be found. */
  get wanted(): { filter: string; askedAt: number; after: string } | null {
    if (this.#messages !== null || this.#asked === null) return null;
    const { filter, askedAt } = this.#asked;
    return { filter, askedAt, after: this.#after };
  }

  /**
   * Here they are. There are more than it has places for when some came in the very millisecond in which it asked: then
   * they all have others, behind `lastSeq`. Returns the session's last place.
   */
  found(messages: readonly RetainedMessage[], lastSeq: number): number {
    if (this.#messages !== null) return lastSeq;
    const fits = messages.length <= this.#places;
    this.#account.retainedPending += messages.length - this.#places;
    this.#charge(8 * messages.length);
    this.#messages = messages;
    if (fits) return lastSeq;
    this.#firstSeq = lastSeq + 1;
    this.#put();
    this.#moved = true;
    this.settle();
    return this.lastSeq;
  }

  /**
   * The message to send next, with its QoS; null at the end. One that was replaced or deleted since is passed over:
   * whoever did that was delivered as a live message.
   */
  next(retained: RetainedIndex): NextRetained | null {
    const messages = this.#messages ?? [];
    for (; this.#index < messages.length; this.advance()) {
      const message = messages[this.#index]!;
      if (retained.get(message.topic) !== message) continue;
      const qos = lowerQos(message.qos, this.#granted);
      return { seq: this.#firstSeq + this.#index, message, qos, identifiers: this.#identifiers };
    }
    return null;
  }

  advance(): void {
    this.#after = this.#messages![this.#index]!.topic;
    this.#moved = true;
    this.#index++;
    this.#account.retainedPending--;
  }

  /** Tells the store how far it has come: in the turn in which that was sent, or put. */
  settle(): void {
    if (!this.#moved || this.#asked === null) return;
    this.#moved = false;
    const { writer } = this.#asked;
    if (this.length === 0) this.#forget();
    else writer.moveRequest(this.#place, { next: this.firstSeq, after: this.#after });
  }

  /** The rules deny some of it by now. Returns how many. What is still to be found is judged then. */
  withhold(mayReceive: (topic: string) => boolean): number {
    if (this.#messages === null) return 0;
    const before = this.#messages.length;
    const kept = this.#messages.filter(({ topic }, i) => i < this.#index || mayReceive(topic));
    const withheld = before - kept.length;
    this.#account.retainedPending -= withheld;
    this.#messages = kept;
    return withheld;
  }

  /** How many the rules would deny, of those that are found. */
  countDenied(mayReceive: (topic: string) => boolean): number {
    return (this.#messages ?? []).filter(({ topic }, i) => i >= this.#index && !mayReceive(topic)).length;
  }

  /** Nobody waits for it any more; its session has ended, perhaps. */
  cancel(): void {
    this.#account.retainedPending -= this.length;
    this.#places = 0;
    this.#messages ??= [];
    this.#index = this.#messages.length;
    this.#charge(-this.#bytes);
  }

  /** Nothing is left of it, or the client was not told that it is to come. */
  end(): void {
    this.cancel();
    this.#forget();
  }

  /** At most `limit` messages from here on that are all to be sent at QoS 2. */
  takeQos2(limit: number, retained: RetainedIndex): NextRetained[] {
    const taken: NextRetained[] = [];
    while (taken.length < limit) {
      const next = this.next(retained);
      if (next?.qos !== 2) break;
      taken.push(next);
      this.advance();
    }
    return taken;
  }

  #forget(): void {
    if (this.#place > 0) this.#asked?.writer.deleteRequest(this.#place);
    this.#place = 0;
  }

  #put(): void {
    if (this.#asked === null) return;
    const { filter, askedAt, writer } = this.#asked;
    const { lastSeq: last } = this;
    const { qos, identifier } = { qos: this.#granted, identifier: this.#identifier };
    writer.putRequest({ place: this.#place, last, filter, qos, identifier, askedAt });
  }

  #charge(bytes: number): void {
    this.#bytes += bytes;
    this.#account.retainedPendingBytes += bytes;
    this.#account.balances.queues.add(bytes);
  }
}

/** What the store has of a session, in its order. */
export const byPlace = (messages: readonly QueuedMessage[], batches: readonly RetainedBatch[]) => {
  const placeOf = (item: QueuedMessage | RetainedBatch) => (item instanceof RetainedBatch ? item.firstSeq : item.seq);
  return batches.length === 0 ? messages : [...messages, ...batches].sort((a, b) => placeOf(a) - placeOf(b));
};
