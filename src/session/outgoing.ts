import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { OutgoingRecord, SessionWriter } from '../store/contract.js';
import { Deque } from './deque.js';
import { InflightWindow } from './inflight-window.js';
import type { Outbox } from './outbox.js';
import { BEHIND_MESSAGES, OUTBOX_PRESSURE_BYTES } from './outbox-limits.js';
import type { DropReason, OutgoingContext } from './outgoing-context.js';
import { type Entry, entryOf, liveEntry, recordOf, retainedEntry } from './outgoing-entry.js';
import { PacketIds } from './packet-ids.js';
import { QueueQuota } from './queue-quota.js';
import { ReaderPace } from './reader-pace.js';
import { acknowledgeRelease, whenReleaseStored } from './release.js';
import { type NextRetained, RetainedBatch } from './retained-batch.js';
import { writeEntry, writePublication } from './write-message.js';

/**
 * The messages on their way to one session: in flight (sent, not acknowledged) and queued behind them, in order. It
 * outlives connections; `attach` and `detach` say when there is one. Persistent sessions have a `writer`, and every
 * message at QoS 1 and 2 is handed to it as it is queued, with the packet id that it keeps.
 */
export class OutgoingQueue {
  private readonly context: OutgoingContext;
  private readonly writer: SessionWriter | null;
  private outbox: Outbox | null = null;
  private readonly inflight: InflightWindow;
  private readonly queue = new Deque<Entry | RetainedBatch>();
  private readonly quota: QueueQuota;
  private readonly ids = new PacketIds();
  private lastSeq = 0;
  private readonly pace: ReaderPace;

  constructor(context: OutgoingContext, writer: SessionWriter | null) {
    this.context = context;
    this.writer = writer;
    this.inflight = new InflightWindow(context.limits, writer === null ? null : context.account);
    this.pace = new ReaderPace(context.clock);
    this.quota = new QueueQuota(context.limits, context.account);
  }

  /** Messages sent and not acknowledged, and those that wait behind them for room or for a connection. */
  get backlog(): { inflightMessages: number; queuedMessages: number } {
    return { inflightMessages: this.inflight.size, queuedMessages: this.queue.length };
  }

  /** A reader that is connected and takes what it is sent; shared subscriptions pass the others over. */
  get ready(): boolean {
    return this.outbox !== null && !this.pace.tooSlow && this.queue.length < this.context.limits.queuedMessages / 2;
  }

  get connected(): boolean {
    return this.outbox !== null;
  }

  /** Delivers a message to this session at the lower of its QoS and the granted one [MQTT-3.8.4-6]. */
  deliver(publication: Publication, granted: Qos): void {
    const { outbox } = this;
    const qos = lowerQos(publication.qos, granted);
    // The receiver remembers the packet id of QoS 2 over a crash: given to another message then, it would lose that one.
    const hold = publication.hold || (qos === 2 && this.writer !== null);
    publication.deliveries++;
    if (outbox !== null && this.queue.length === 0 && !hold) {
      if (outbox.hasRoom) {
        if (qos === 0) {
          writePublication(outbox, publication, 0, 0);
          if (outbox.bytes > OUTBOX_PRESSURE_BYTES) this.press(publication);
          return;
        }
        if (this.inflight.hasRoom(publication.end - publication.topicStart)) {
          this.sendNow(outbox, publication, qos);
          return;
        }
      } else if (qos === 0) {
        this.drop('not-reading', publication);
        return;
      }
    }
    // A QoS 0 message waits in the queue too, so that it does not overtake [MQTT-4.6.0-5]; offline it is not kept.
    if (qos === 0 && outbox === null) return;
    this.enqueue(publication, qos, hold);
  }

  /** Retained messages, for a new subscription: they follow what is queued already and precede what comes later. Returns how many left. */
  deliverRetained(batch: RetainedBatch): number {
    this.queue.push(batch);
    return this.pump();
  }

  /** PUBACK: the message is delivered. False for a packet id that is not in flight at QoS 1. */
  puback(packetId: number): boolean {
    const entry = this.inflight.find(packetId);
    if (entry === null || entry.qos !== 1) return false;
    this.finish(entry);
    if (this.queue.length > 0) this.pump();
    return true;
  }

  /** PUBREC: the receiver has the message. PUBREL answers it, also one for a message that is not known any more. */
  pubrec(packetId: number): void {
    const entry = this.inflight.find(packetId);
    if (entry?.qos === 2) this.release(entry);
    else acknowledgeRelease(this.outbox, packetId);
  }

  private release(entry: Entry): void {
    if (!entry.released) {
      entry.released = true;
      if (this.writer !== null) this.writer.releaseOutgoing(recordOf(entry));
      entry.ticket?.receiverDone();
      entry.ticket = null;
      this.inflight.letGo(entry);
    }
    whenReleaseStored(entry, this.writer === null ? null : this.context, () => {
      if (this.inflight.find(entry.packetId) === entry) acknowledgeRelease(this.outbox, entry.packetId);
    });
  }

  /** PUBCOMP: the flow of a QoS 2 message ends. */
  pubcomp(packetId: number): boolean {
    const entry = this.inflight.find(packetId);
    if (entry === null || entry.qos !== 2 || !entry.released) return false;
    this.finish(entry);
    if (this.queue.length > 0) this.pump();
    return true;
  }

  /** The session has a connection: what was in flight is sent again, in order, with DUP [MQTT-4.4.0-1]. */
  attach(outbox: Outbox): void {
    this.outbox = outbox;
    this.pace.tooSlow = false;
    for (const entry of this.inflight) {
      if (entry.released) this.release(entry);
      else writeEntry(outbox, entry);
    }
    this.pump();
  }

  /** The session's connection is gone. QoS 0 messages that still waited are not kept. */
  detach(): void {
    this.outbox = null;
    this.queue.filter((entry) => {
      if (entry instanceof RetainedBatch || entry.qos > 0) return true;
      this.quota.remove(entry);
      return false;
    });
    this.pace.release();
  }

  /** The session ends: everything is let go of. What is on disk is removed by the session. */
  clear(): void {
    this.outbox = null;
    for (const entry of this.inflight) entry.ticket?.receiverDone();
    this.inflight.clear();
    for (let entry = this.queue.shift(); entry !== undefined; entry = this.queue.shift()) {
      if (entry instanceof RetainedBatch) entry.cancel();
      else {
        entry.ticket?.receiverDone();
        this.quota.remove(entry);
      }
    }
    this.pace.release();
  }

  /** Takes back what the store kept, in order of `seq`. Any of the first window may have been sent before. */
  restore(records: readonly OutgoingRecord[]): void {
    for (const [index, record] of records.entries()) {
      const entry = entryOf(record, index < this.context.limits.inflightMessages);
      this.lastSeq = Math.max(this.lastSeq, record.seq);
      this.ids.continueAfter(record.packetId);
      if (record.released) this.inflight.add(entry);
      else {
        this.quota.add(entry);
        this.queue.push(entry);
      }
    }
  }

  /** Sends what the window and the socket have room for. Returns how many messages that were. */
  pump(): number {
    const { outbox } = this;
    if (outbox === null) return 0;
    let sent = 0;
    const window = this.context.limits.inflightMessages;
    for (; outbox.hasRoom; sent++) {
      const entry = this.queue.peek();
      if (entry === undefined) break;
      if (entry instanceof RetainedBatch) {
        if (!this.sendRetained(outbox, entry, window)) break;
        continue;
      }
      if (entry.hold && entry.ticket !== null && !entry.ticket.safe) break;
      // A queue of more than 65 535 messages has given some ids out twice: the second waits for the first.
      if (entry.qos > 0 && (this.inflight.size >= window || this.inflight.has(entry.packetId))) break;
      this.queue.shift();
      this.quota.remove(entry);
      writeEntry(outbox, entry);
      if (entry.qos > 0) this.inflight.add(entry);
    }
    if (this.queue.length <= window) this.pace.caughtUp();
    return sent;
  }

  private sendNow(outbox: Outbox, publication: Publication, qos: 1 | 2): void {
    const entry = liveEntry(++this.lastSeq, this.ids.next(this.inflight), qos, null);
    entry.sent = true;
    writePublication(outbox, publication, qos, entry.packetId);
    if (this.writer !== null) this.keep(entry, publication);
    this.inflight.add(entry);
  }

  private enqueue(publication: Publication, qos: Qos, hold: boolean): void {
    const { limits } = this.context;
    const refusal = this.quota.refuses(publication.end - publication.topicStart, this.queue.length);
    if (refusal !== null) {
      this.drop(refusal, publication);
      return;
    }
    const packetId = qos === 0 ? 0 : this.ids.next(this.inflight);
    const entry = liveEntry(++this.lastSeq, packetId, qos, hold ? publication.needsStore() : null);
    entry.message = publication.message();
    this.quota.add(entry);
    this.queue.push(entry);
    if (qos > 0 && this.writer !== null) this.keep(entry, publication);
    if (hold) publication.needsStore().holds(this);
    if (this.queue.length > limits.queuedMessages / 2 || this.quota.bytes > limits.queuedBytes / 2) this.pace.fills();
    else if (this.queue.length < BEHIND_MESSAGES) return;
    this.press(publication);
  }

  /** Asks the publisher to be read less, if it is of the same user and this reader keeps up at all. */
  private press(publication: Publication): void {
    if (this.outbox === null || this.pace.tooSlow || publication.login !== this.context.account.login) return;
    publication.pressure ??= this.pace;
  }

  /** Hands the message to the store. The publisher is answered when it is on disk, or acknowledged from here. */
  private keep(entry: Entry, publication: Publication): void {
    entry.message = publication.message();
    entry.ticket = publication.needsStore().add();
    this.writer!.putOutgoing(recordOf(entry));
  }

  private finish(entry: Entry): void {
    this.inflight.delete(entry);
    if (this.writer !== null) {
      this.writer.deleteOutgoing(entry.seq);
      entry.ticket?.receiverDone();
    }
  }

  /** Sends the next retained message of a batch. False when there is no room for it now. */
  private sendRetained(outbox: Outbox, batch: RetainedBatch, window: number): boolean {
    const next = batch.next(this.context.retained);
    if (next === null) {
      this.queue.shift();
      return true;
    }
    if (next.qos > 0 && this.inflight.size >= window) return false;
    if (next.qos === 2 && this.writer !== null) {
      this.holdRetained(batch.takeQos2(window, this.context.retained));
      return true;
    }
    batch.advance();
    const packetId = next.qos === 0 ? 0 : this.ids.next(this.inflight);
    const entry = retainedEntry(++this.lastSeq, packetId, next, null);
    writeEntry(outbox, entry);
    if (entry.qos > 0) {
      if (this.writer !== null) this.writer.putOutgoing(recordOf(entry));
      this.inflight.add(entry);
    }
    return true;
  }

  /** Puts QoS 2 messages at the front of the queue, where they wait to be on disk. */
  private holdRetained(messages: readonly NextRetained[]): void {
    const ticket = new SafetyTicket();
    const entries = messages.map((next) => retainedEntry(++this.lastSeq, this.ids.next(this.inflight), next, ticket));
    for (const entry of entries) {
      this.writer!.putOutgoing(recordOf(entry));
      this.quota.add(entry);
    }
    this.queue.unshift(entries);
    ticket.holds(this);
    this.context.whenStored(() => ticket.committed());
  }

  private drop(reason: DropReason, publication: Publication): void {
    this.pace.fills();
    this.press(publication);
    this.context.onDropped(reason);
  }
}
