import type { Job } from '../fairness/job.js';
import { type Grant, grantedQos, RETAIN_AS_PUBLISHED } from '../mqtt/grant.js';
import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { QueuedMessage, SessionWriter } from '../store/contract.js';
import type { Valve } from '../valve.js';
import { Backlog, type BacklogContext } from './backlog.js';
import { BacklogReader, type ReaderContext } from './backlog-reader.js';
import { type Acknowledged, InflightWindow, type WindowContext } from './inflight-window.js';
import { type Entry, liveEntry, recordOf, releasedEntry } from './outgoing-entry.js';
import type { Outlet } from './outlet.js';
import { PacketIds } from './packet-ids.js';
import type { DropReason } from './queue-quota.js';
import { BEHIND_MESSAGES, PRESSING_BYTES, ReaderPace } from './reader-pace.js';
import { byPlace, RetainedBatch } from './retained-batch.js';
import { type RetainedContext, RetainedSender } from './retained-sender.js';
import { Sender } from './sender.js';
import { StoredRun } from './stored-run.js';

/** What a queue needs from around it. */
export interface OutgoingContext extends WindowContext, BacklogContext, ReaderContext, RetainedContext {}

/**
 * The messages on their way to one session: in flight (sent, not acknowledged) and queued behind them, in order. It
 * outlives connections; `attach` and `detach` say when there is one. Persistent sessions have a `writer`, and every
 * message at QoS 1 and 2 is handed to it as it is queued, with the packet id that it keeps.
 */
export class OutgoingQueue {
  readonly #context: OutgoingContext;
  readonly #writer: SessionWriter | null;
  readonly sender = new Sender();
  readonly #inflight: InflightWindow;
  /** What waits behind the window. */
  readonly #waiting: Backlog;
  /** Null when nothing of the session is in the store. */
  readonly #stored: BacklogReader | null;
  readonly #ids = new PacketIds();
  readonly #retained: RetainedSender;
  readonly #places = { last: 0 };
  readonly #pace: ReaderPace;

  constructor(context: OutgoingContext, writer: SessionWriter | null) {
    this.#context = context;
    this.#writer = writer;
    this.#inflight = new InflightWindow(context, writer);
    this.#pace = new ReaderPace(context.clock, context.account);
    this.#waiting = new Backlog(context, writer);
    const parts = { waiting: this.#waiting, sender: this.sender, inflight: this.#inflight, ids: this.#ids };
    this.#stored = writer === null ? null : new BacklogReader(context, writer, { ...parts, pump: () => this.pump() });
    this.#retained = new RetainedSender(context, writer, { ...parts, places: this.#places, queue: this });
  }

  /** Messages sent and not acknowledged, those that wait behind them, and for how long the first has been in flight. */
  get backlog(): { inflightMessages: number; queuedMessages: number; oldestInflightMs: number | null } {
    const { size: inflightMessages, oldestMs: oldestInflightMs } = this.#inflight;
    return { inflightMessages, queuedMessages: this.#waiting.length, oldestInflightMs };
  }

  /** A reader that is connected and takes what it is sent; shared subscriptions pass the others over. */
  get ready(): boolean {
    return this.connected && !this.#pace.tooSlow && this.#waiting.length < this.#context.limits.queuedMessages / 2;
  }

  get empty(): boolean {
    return this.#waiting.length === 0 && !this.#inflight.hasAgain;
  }

  get connected(): boolean {
    return this.sender.outlet !== null;
  }

  get sentSeq(): number {
    return this.sender.sentSeq;
  }

  /**
   * Delivers a message to this session at the lower of its QoS and the granted one [MQTT-3.8.4-6], without a retain flag
   * [MQTT-3.3.1-9] unless it is wanted as published.
   */
  deliver(publication: Publication, granted: Grant, identifiers: readonly number[] | null = null): void {
    const { outlet } = this.sender;
    const qos = lowerQos(publication.qos, grantedQos(granted));
    const retain = publication.retain && (granted & RETAIN_AS_PUBLISHED) !== 0;
    // The receiver remembers the packet id of QoS 2 over a crash: given to another message then, it would lose that one.
    const safeFirst = publication.safeFirst || (qos === 2 && this.#writer !== null);
    publication.deliveries++;
    if (outlet !== null && this.empty && !safeFirst) {
      if (outlet.hasRoom) {
        if (qos === 0) {
          if (!this.sender.publication(publication, 0, 0, retain, identifiers)) {
            this.#context.onDropped('too-large', publication.topic);
          } else if (outlet.bytes > PRESSING_BYTES) this.#pace.press(publication);
          return;
        }
        if (this.#inflight.hasRoom(publication.messageBytes)) {
          this.#sendNow(publication, qos, retain, identifiers);
          return;
        }
      } else if (qos === 0 && !outlet.slowed) {
        this.#drop('not-reading', publication);
        return;
      }
    }
    // A QoS 0 message waits in the queue too, so that it does not overtake [MQTT-4.6.0-5]; offline it is not kept.
    if (qos === 0 && outlet === null) return;
    this.#enqueue(publication, qos, retain, identifiers, safeFirst);
  }

  /** Retained messages that are about to be promised have their places, and those that are to be kept are stored. */
  reserve(batch: RetainedBatch): void {
    this.#places.last = batch.place(this.#places.last);
  }

  /** Retained messages, for a new subscription, behind what is queued already. Returns how many left. */
  deliverRetained(batch: RetainedBatch): number {
    this.reserve(batch);
    this.#waiting.addBatch(batch);
    return this.pump();
  }

  puback(packetId: number): Acknowledged {
    return this.#pumped(this.#inflight.puback(packetId));
  }

  /** PUBREC with an error: MQTT 5. */
  refused(packetId: number): Acknowledged {
    return this.#pumped(this.#inflight.refused(packetId));
  }

  pubrec(packetId: number): Acknowledged {
    return this.#inflight.pubrec(packetId, this.sender.current);
  }

  pubcomp(packetId: number): Acknowledged {
    return this.#pumped(this.#inflight.pubcomp(packetId));
  }

  /** A place in the window may be free. */
  #pumped(met: Acknowledged): Acknowledged {
    if (met === 'done' && !this.empty) this.pump();
    return met;
  }

  /** The session has a connection: what was in flight is sent again first, in order, with DUP [MQTT-4.4.0-1]. */
  attach(outlet: Outlet): void {
    this.sender.attach(outlet);
    this.#pace.tooSlow = false;
    this.#inflight.limit = Math.min(outlet.receiveMaximum, this.#context.limits.inflightMessages);
    this.#waiting.addFirst(this.#inflight.takeSurplus());
    this.#inflight.resume(this.sender);
    this.pump();
  }

  /** The session's connection is gone. QoS 0 messages that still waited are not kept. */
  detach(): void {
    this.sender.attach(null);
    this.#waiting.leaveMemory();
    this.#pace.release();
  }

  /** What the rules deny by now leaves, but for what is on its way; what `others` would is only counted. How many? */
  *withhold(others: ((topic: string) => boolean) | null = null): Generator<Valve | undefined, number, void> {
    const { mayReceive } = this.#context;
    let denied = others === null ? this.#waiting.withhold(mayReceive) : this.#waiting.countDenied(others);
    if (this.#stored !== null) denied += yield* this.#stored.withhold(others ?? mayReceive, others !== null);
    this.pump();
    return denied;
  }

  /** A message that waits is not to be delivered any more. */
  get hasExpired(): boolean {
    return this.#waiting.hasExpired;
  }

  /** Takes out the messages whose time is over, unless their sending was begun (3.3.2.3.3). */
  *expire(): Job {
    yield* this.#waiting.expire();
    if (this.#stored === null || !this.#waiting.hasStoredExpired) return;
    yield* this.#stored.sift(({ seq, expiresAt }) => {
      if (expiresAt === null || seq <= this.sentSeq) return null;
      if (expiresAt <= this.#context.clock.epochMs()) return 'expired';
      this.#waiting.noteStored(expiresAt);
      return null;
    });
  }

  /** The session ends: everything is let go of. What is on disk is removed by the session. */
  clear(): void {
    this.sender.attach(null);
    this.#inflight.clear();
    this.#waiting.clear();
    this.#pace.release();
  }

  /** Takes back what the store kept, in order of `seq`. Where nobody knows, the first window may have been sent. */
  restore(messages: readonly QueuedMessage[], sentSeq: number | null, batches: readonly RetainedBatch[] = []): void {
    const { inflightMessages } = this.#context.limits;
    for (const [index, item] of byPlace(messages, batches).entries()) {
      this.#places.last = Math.max(this.#places.last, item instanceof RetainedBatch ? item.lastSeq : item.seq);
      if (item instanceof RetainedBatch) {
        this.#waiting.addBatch(item);
        continue;
      }
      if (item.sent === 'yes' || (item.sent === 'unknown' && index < inflightMessages)) this.sender.sentSeq = item.seq;
      this.#ids.continueAfter(item.packetId);
      if (item.released) this.#inflight.add(releasedEntry(item));
      else this.#waiting.addStored(item);
    }
    // What comes later must not count as sent, also when the queue is empty.
    this.sender.sentSeq = Math.max(this.sentSeq, sentSeq ?? 0);
    this.#places.last = Math.max(this.#places.last, this.sentSeq);
  }

  /** Sends what the window and the socket have room for. Returns how many messages that were. */
  pump(): number {
    const { outlet } = this.sender;
    if (outlet === null) return 0;
    const window = this.#inflight.limit;
    let sent = 0;
    for (; outlet.hasRoom; sent++) {
      if (this.#inflight.sendAgain(this.sender)) continue;
      const entry = this.#waiting.peek();
      if (entry === undefined) break;
      if (entry instanceof StoredRun) {
        this.#stored!.bringIn();
        break;
      }
      if (entry instanceof RetainedBatch) {
        if (!this.#retained.send(entry)) break;
        continue;
      }
      if (entry.safeFirst && entry.ticket !== null && !entry.ticket.safe) break;
      // A queue of more than 65 535 messages has given some ids out twice: the second waits for the first.
      if (entry.qos > 0 && (this.#inflight.size >= window || this.#inflight.has(entry.packetId))) break;
      this.#waiting.shift();
      if (this.#waiting.isExpired(entry)) this.#waiting.discard(entry, 'expired');
      else if (!this.sender.entry(entry)) this.#waiting.discard(entry, 'too-large');
      else if (entry.qos > 0) this.#inflight.add(entry);
    }
    this.#retained.settle();
    if (this.#waiting.length <= window) this.#pace.caughtUp();
    return sent;
  }

  #sendNow(publication: Publication, qos: 1 | 2, retain: boolean, identifiers: readonly number[] | null): void {
    const packetId = this.#ids.next(this.#inflight);
    if (!this.sender.publication(publication, qos, packetId, retain, identifiers)) {
      this.#context.onDropped('too-large', publication.topic);
      return;
    }
    const entry = liveEntry(++this.#places.last, packetId, qos, retain, identifiers, null);
    this.sender.sent(entry);
    if (this.#writer !== null) this.#keep(entry, publication);
    this.#inflight.add(entry);
  }

  #enqueue(
    publication: Publication,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | null,
    safeFirst: boolean,
  ): void {
    const stays = this.#writer !== null && !this.connected;
    const refusal = this.#waiting.refuses(publication.messageBytes, stays);
    if (refusal !== null) {
      this.#drop(refusal, publication);
      return;
    }
    const packetId = qos === 0 ? 0 : this.#ids.next(this.#inflight);
    const ticket = safeFirst ? publication.needsStore() : null;
    const entry = liveEntry(++this.#places.last, packetId, qos, retain, identifiers, ticket);
    entry.message = publication.message();
    if (stays)
      this.#waiting.addStored({ seq: entry.seq, bytes: entry.message.bytes, expiresAt: entry.message.expiresAt });
    else this.#waiting.add(entry);
    if (qos > 0 && this.#writer !== null) this.#keep(entry, publication);
    if (safeFirst && !stays) publication.needsStore().wakes(this);
    if (this.#waiting.isHalfFull) this.#pace.fills();
    else if (this.#waiting.length < BEHIND_MESSAGES) return;
    if (this.connected) this.#pace.press(publication);
  }

  /** Hands the message to the store. The publisher is answered when it is on disk, or acknowledged from here. */
  #keep(entry: Entry, publication: Publication): void {
    entry.message = publication.message();
    entry.ticket = publication.needsStore().add();
    this.#writer!.putOutgoing(recordOf(entry), entry.message);
  }

  #drop(reason: DropReason, publication: Publication): void {
    this.#pace.fills();
    if (this.connected) this.#pace.press(publication);
    this.#context.onDropped(reason, publication.topic);
  }
}
