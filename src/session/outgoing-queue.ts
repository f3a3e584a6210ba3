import type { Clock } from '../clock.js';
import { type Grant, grantedQos, RETAIN_AS_PUBLISHED } from '../mqtt/grant.js';
import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { RetainedIndex, SessionWriter, StoredMessage } from '../store/contract.js';
import { Backlog } from './backlog.js';
import { type Acknowledged, InflightWindow, type WindowContext } from './inflight-window.js';
import { type Entry, entryOf, liveEntry, recordOf, retainedEntry } from './outgoing-entry.js';
import type { Outlet } from './outlet.js';
import { PacketIds } from './packet-ids.js';
import type { DropReason } from './queue-quota.js';
import { BEHIND_MESSAGES, PRESSING_BYTES, ReaderPace } from './reader-pace.js';
import { type NextRetained, RetainedBatch } from './retained-batch.js';

/** What a queue needs from around it. */
export interface OutgoingContext extends WindowContext {
  readonly clock: Clock;
  readonly retained: RetainedIndex;
  readonly counters: { messagesDelivered: number };
  onDropped(reason: DropReason, topic: string): void;
}

/**
 * The messages on their way to one session: in flight (sent, not acknowledged) and queued behind them, in order. It
 * outlives connections; `attach` and `detach` say when there is one. Persistent sessions have a `writer`, and every
 * message at QoS 1 and 2 is handed to it as it is queued, with the packet id that it keeps.
 */
export class OutgoingQueue {
  readonly #context: OutgoingContext;
  readonly #writer: SessionWriter | null;
  #outlet: Outlet | null = null;
  readonly #inflight: InflightWindow;
  readonly #queue: Backlog;
  readonly #ids = new PacketIds();
  #lastSeq = 0;
  #sentSeq = 0;
  readonly #pace: ReaderPace;
  readonly #currentOutlet = (): Outlet | null => this.#outlet;

  constructor(context: OutgoingContext, writer: SessionWriter | null) {
    this.#context = context;
    this.#writer = writer;
    this.#inflight = new InflightWindow(context, writer);
    this.#pace = new ReaderPace(context.clock, context.account.login);
    this.#queue = new Backlog(context.limits, context.account);
  }

  /** Messages sent and not acknowledged, and those that wait behind them for room or for a connection. */
  get backlog(): { inflightMessages: number; queuedMessages: number } {
    return { inflightMessages: this.#inflight.size, queuedMessages: this.#queue.length };
  }

  /** A reader that is connected and takes what it is sent; shared subscriptions pass the others over. */
  get ready(): boolean {
    return this.#outlet !== null && !this.#pace.tooSlow && this.#queue.length < this.#context.limits.queuedMessages / 2;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  get connected(): boolean {
    return this.#outlet !== null;
  }

  /** The highest `seq` that was ever sent to the client. */
  get sentSeq(): number {
    return this.#sentSeq;
  }

  /**
   * Delivers a message to this session at the lower of its QoS and the granted one [MQTT-3.8.4-6], without a retain flag
   * [MQTT-3.3.1-9] unless it is wanted as published.
   */
  deliver(publication: Publication, granted: Grant): void {
    const outlet = this.#outlet;
    const qos = lowerQos(publication.qos, grantedQos(granted));
    const retain = publication.retain && (granted & RETAIN_AS_PUBLISHED) !== 0;
    // The receiver remembers the packet id of QoS 2 over a crash: given to another message then, it would lose that one.
    const safeFirst = publication.safeFirst || (qos === 2 && this.#writer !== null);
    publication.deliveries++;
    if (outlet !== null && this.#queue.length === 0 && !safeFirst) {
      if (outlet.hasRoom) {
        if (qos === 0) {
          this.#context.counters.messagesDelivered++;
          outlet.publication(publication, 0, 0, retain);
          if (outlet.bytes > PRESSING_BYTES) this.#pace.press(publication);
          return;
        }
        if (this.#inflight.hasRoom(publication.messageBytes)) {
          this.#sendNow(outlet, publication, qos, retain);
          return;
        }
      } else if (qos === 0) {
        this.#drop('not-reading', publication);
        return;
      }
    }
    // A QoS 0 message waits in the queue too, so that it does not overtake [MQTT-4.6.0-5]; offline it is not kept.
    if (qos === 0 && outlet === null) return;
    this.#enqueue(publication, qos, retain, safeFirst);
  }

  /** Retained messages, for a new subscription: they follow what is queued already and precede what comes later. Returns how many left. */
  deliverRetained(batch: RetainedBatch): number {
    this.#lastSeq = batch.place(this.#lastSeq);
    this.#queue.addBatch(batch);
    return this.pump();
  }

  puback(packetId: number): Acknowledged {
    return this.#pumped(this.#inflight.puback(packetId));
  }

  pubrec(packetId: number): Acknowledged {
    return this.#inflight.pubrec(packetId, this.#currentOutlet);
  }

  pubcomp(packetId: number): Acknowledged {
    return this.#pumped(this.#inflight.pubcomp(packetId));
  }

  /** A place in the window may be free. */
  #pumped(met: Acknowledged): Acknowledged {
    if (met === 'done' && this.#queue.length > 0) this.pump();
    return met;
  }

  /** The session has a connection: what was in flight is sent again, in order, with DUP [MQTT-4.4.0-1]. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#pace.tooSlow = false;
    for (const entry of this.#inflight) {
      if (entry.released) this.#inflight.release(entry, this.#currentOutlet);
      else this.#write(outlet, entry);
    }
    this.pump();
  }

  /** The session's connection is gone. QoS 0 messages that still waited are not kept. */
  detach(): void {
    this.#outlet = null;
    this.#queue.dropQos0();
    this.#pace.release();
  }

  /** What the access rules deny by now leaves, but for what is on its way. Returns how many messages that were. */
  withhold(mayReceive: (topic: string) => boolean): number {
    const { entries, ofBatches } = this.#queue.withhold(mayReceive);
    for (const { qos, seq } of entries) if (qos > 0) this.#writer?.deleteOutgoing(seq);
    this.pump();
    return entries.length + ofBatches;
  }

  /** The session ends: everything is let go of. What is on disk is removed by the session. */
  clear(): void {
    this.#outlet = null;
    this.#inflight.clear();
    this.#queue.clear();
    this.#pace.release();
  }

  /** Takes back what the store kept, in order of `seq`. Where nobody knows, the first window may have been sent. */
  restore(messages: readonly StoredMessage[], sentSeq: number | null): void {
    const { inflightMessages } = this.#context.limits;
    for (const [index, message] of messages.entries()) {
      const sent = message.sent === 'yes' || (message.sent === 'unknown' && index < inflightMessages);
      const entry = entryOf(message, sent);
      if (sent) this.#sentSeq = message.seq;
      this.#lastSeq = message.seq;
      this.#ids.continueAfter(message.packetId);
      if (message.released) this.#inflight.add(entry);
      else this.#queue.add(entry);
    }
    // What comes later must not count as sent, also when the queue is empty.
    this.#sentSeq = Math.max(this.#sentSeq, sentSeq ?? 0);
    this.#lastSeq = Math.max(this.#lastSeq, this.#sentSeq);
  }

  /** Sends what the window and the socket have room for. Returns how many messages that were. */
  pump(): number {
    const outlet = this.#outlet;
    if (outlet === null) return 0;
    const window = this.#context.limits.inflightMessages;
    let sent = 0;
    for (; outlet.hasRoom; sent++) {
      const entry = this.#queue.peek();
      if (entry === undefined) break;
      if (entry instanceof RetainedBatch) {
        if (!this.#sendRetained(outlet, entry, window)) break;
        continue;
      }
      if (entry.safeFirst && entry.ticket !== null && !entry.ticket.safe) break;
      // A queue of more than 65 535 messages has given some ids out twice: the second waits for the first.
      if (entry.qos > 0 && (this.#inflight.size >= window || this.#inflight.has(entry.packetId))) break;
      this.#queue.shift();
      this.#write(outlet, entry);
      if (entry.qos > 0) this.#inflight.add(entry);
    }
    if (this.#queue.length <= window) this.#pace.caughtUp();
    return sent;
  }

  /** Sends an entry's message; the second time with DUP, which only QoS 1 and 2 carry [MQTT-3.3.1-2]. */
  #write(outlet: Outlet, entry: Entry): void {
    const dup = entry.sent && entry.qos > 0;
    if (!entry.sent) {
      entry.sent = true;
      this.#context.counters.messagesDelivered++;
      if (entry.seq > this.#sentSeq) this.#sentSeq = entry.seq;
    }
    outlet.message(entry.message!, entry.qos, entry.packetId, entry.retain, dup);
  }

  #sendNow(outlet: Outlet, publication: Publication, qos: 1 | 2, retain: boolean): void {
    const entry = liveEntry(++this.#lastSeq, this.#ids.next(this.#inflight), qos, retain, null);
    entry.sent = true;
    this.#sentSeq = entry.seq;
    this.#context.counters.messagesDelivered++;
    outlet.publication(publication, qos, entry.packetId, retain);
    if (this.#writer !== null) this.#keep(entry, publication);
    this.#inflight.add(entry);
  }

  #enqueue(publication: Publication, qos: Qos, retain: boolean, safeFirst: boolean): void {
    const { limits } = this.#context;
    const refusal = this.#queue.refuses(publication.messageBytes);
    if (refusal !== null) {
      this.#drop(refusal, publication);
      return;
    }
    const packetId = qos === 0 ? 0 : this.#ids.next(this.#inflight);
    const entry = liveEntry(++this.#lastSeq, packetId, qos, retain, safeFirst ? publication.needsStore() : null);
    entry.message = publication.message();
    this.#queue.add(entry);
    if (qos > 0 && this.#writer !== null) this.#keep(entry, publication);
    if (safeFirst) publication.needsStore().wakes(this);
    if (this.#queue.length > limits.queuedMessages / 2 || this.#queue.bytes > limits.queuedBytes / 2)
      this.#pace.fills();
    else if (this.#queue.length < BEHIND_MESSAGES) return;
    if (this.#outlet !== null) this.#pace.press(publication);
  }

  /** Hands the message to the store. The publisher is answered when it is on disk, or acknowledged from here. */
  #keep(entry: Entry, publication: Publication): void {
    entry.message = publication.message();
    entry.ticket = publication.needsStore().add();
    this.#writer!.putOutgoing(recordOf(entry));
  }

  /** Sends the next retained message of a batch. False when there is no room for it now. */
  #sendRetained(outlet: Outlet, batch: RetainedBatch, window: number): boolean {
    const next = batch.next(this.#context.retained);
    if (next === null) {
      this.#queue.shift();
      return true;
    }
    if (next.qos > 0 && this.#inflight.size >= window) return false;
    if (next.qos === 2 && this.#writer !== null) {
      this.#queueRetained(batch.takeQos2(window, this.#context.retained));
      return true;
    }
    batch.advance();
    const entry = retainedEntry(next.qos === 0 ? 0 : this.#ids.next(this.#inflight), next, null);
    this.#write(outlet, entry);
    if (entry.qos > 0) {
      if (this.#writer !== null) this.#writer.putOutgoing(recordOf(entry));
      this.#inflight.add(entry);
    }
    return true;
  }

  /** Puts QoS 2 messages at the front of the queue, where they wait to be on disk. */
  #queueRetained(messages: readonly NextRetained[]): void {
    const ticket = new SafetyTicket();
    const entries = messages.map((next) => retainedEntry(this.#ids.next(this.#inflight), next, ticket));
    for (const entry of entries) this.#writer!.putOutgoing(recordOf(entry));
    this.#queue.addFirst(entries);
    ticket.wakes(this);
    this.#context.whenStored(() => ticket.committed());
  }

  #drop(reason: DropReason, publication: Publication): void {
    this.#pace.fills();
    if (this.#outlet !== null) this.#pace.press(publication);
    this.#context.onDropped(reason, publication.topic);
  }
}
