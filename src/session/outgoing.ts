import { lowerQos, PUBREL, type Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { OutgoingRecord, SessionWriter } from '../store/store.js';
import { Deque } from './deque.js';
import type { Outbox } from './outbox.js';
import type { DropReason, OutgoingContext } from './outgoing-context.js';
import { type Entry, entryOf, liveEntry, RetainedBatch, recordOf, retainedEntry } from './outgoing-entry.js';
import { PacketIds } from './packet-ids.js';
import { QueueQuota } from './queue-quota.js';
import { ReaderPace } from './reader-pace.js';
import { writeEntry, writePublication } from './write-message.js';

const PUBREL_HEAD = (PUBREL << 4) | 2; // [MQTT-3.6.1-1]
/** A socket that has not taken this much gets no further messages until it has; QoS 0 messages are dropped. */
const OUTBOX_LIMIT_BYTES = 1024 * 1024;
/** A socket that has not taken this much asks the publishers of its own user to slow down. */
const OUTBOX_PRESSURE_BYTES = 256 * 1024;
/**
 * The messages on their way to one session: in flight (sent, not acknowledged) and queued behind them, in order. It
 * outlives connections; `attach` and `detach` say when there is one. Persistent sessions have a `writer`, and every
 * message at QoS 1 and 2 is handed to it as it is queued, with the packet id that it keeps.
 */
export class OutgoingQueue {
  /** Messages dropped since the session began. */
  dropped = 0;

  private readonly context: OutgoingContext;
  private readonly writer: SessionWriter | null;
  private outbox: Outbox | null = null;
  private readonly inflight = new Map<number, Entry>();
  private readonly queue = new Deque<Entry | RetainedBatch>();
  private readonly quota: QueueQuota;
  private readonly ids = new PacketIds();
  private lastSeq = 0;
  private readonly pace: ReaderPace;

  constructor(context: OutgoingContext, writer: SessionWriter | null) {
    this.context = context;
    this.writer = writer;
    this.pace = new ReaderPace(context.clock);
    this.quota = new QueueQuota(context.limits, context.account);
  }

  /** Messages sent and not acknowledged. */
  get inflightMessages(): number {
    return this.inflight.size;
  }

  /** Messages waiting for room in the window, or for a connection. */
  get queuedMessages(): number {
    return this.queue.length;
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
    publication.deliveries++;
    if (outbox !== null && this.queue.length === 0 && !publication.hold) {
      if (outbox.bytes < OUTBOX_LIMIT_BYTES) {
        if (qos === 0) {
          writePublication(outbox, publication, 0, 0);
          if (outbox.bytes > OUTBOX_PRESSURE_BYTES) this.press(publication);
          return;
        }
        if (this.inflight.size < this.context.limits.inflightMessages) {
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
    this.enqueue(publication, qos);
  }

  /** Retained messages, for a new subscription: they follow what is queued already and precede what comes later. */
  deliverRetained(batch: RetainedBatch): void {
    if (batch.length === 0) return;
    this.queue.push(batch);
    this.pump();
  }

  /** PUBACK: the message is delivered. False for a packet id that is not in flight at QoS 1. */
  puback(packetId: number): boolean {
    const entry = this.inflight.get(packetId);
    if (entry === undefined || entry.qos !== 1) return false;
    this.finish(entry);
    if (this.queue.length > 0) this.pump();
    return true;
  }

  /**
   * PUBREC: the receiver has the message. PUBREL is sent by `sendRelease` once that is on disk, or a crash would send
   * the message a second time [MQTT-4.3.3-2]. Null for a packet id that is not in flight at QoS 2.
   */
  pubrec(packetId: number): Entry | null {
    const entry = this.inflight.get(packetId);
    if (entry === undefined || entry.qos !== 2) return null;
    if (!entry.released) {
      entry.released = true;
      if (this.writer !== null) this.writer.releaseOutgoing(recordOf(entry));
      entry.ticket?.receiverDone();
      entry.ticket = null;
      entry.message = null;
    }
    return entry;
  }

  sendRelease(packetId: number): void {
    this.outbox?.acknowledge(PUBREL_HEAD, packetId);
  }

  /** PUBCOMP: the flow of a QoS 2 message ends. */
  pubcomp(packetId: number): boolean {
    const entry = this.inflight.get(packetId);
    if (entry === undefined || entry.qos !== 2 || !entry.released) return false;
    this.finish(entry);
    if (this.queue.length > 0) this.pump();
    return true;
  }

  /** The session has a connection: what was in flight is sent again, in order, with DUP [MQTT-4.4.0-1]. */
  attach(outbox: Outbox): void {
    this.outbox = outbox;
    this.pace.tooSlow = false;
    for (const entry of this.inflight.values()) {
      if (entry.released) outbox.acknowledge(PUBREL_HEAD, entry.packetId);
      else writeEntry(outbox, entry, true);
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
    for (const entry of this.inflight.values()) entry.ticket?.receiverDone();
    this.inflight.clear();
    for (let entry = this.queue.shift(); entry !== undefined; entry = this.queue.shift()) {
      if (entry instanceof RetainedBatch) continue;
      entry.ticket?.receiverDone();
      this.quota.remove(entry);
    }
    this.pace.release();
  }

  /** Takes back what the store kept, in order of `seq`. Any of the first window may have been sent before. */
  restore(records: readonly OutgoingRecord[]): void {
    for (const [index, record] of records.entries()) {
      const entry = entryOf(record, index < this.context.limits.inflightMessages);
      this.lastSeq = Math.max(this.lastSeq, record.seq);
      this.ids.continueAfter(record.packetId);
      if (record.released) {
        this.inflight.set(entry.packetId, entry);
      } else {
        this.quota.add(entry);
        this.queue.push(entry);
      }
    }
  }

  /** Sends what the window and the socket have room for. */
  pump(): void {
    const { outbox } = this;
    if (outbox === null) return;
    const window = this.context.limits.inflightMessages;
    while (outbox.bytes < OUTBOX_LIMIT_BYTES) {
      const entry = this.queue.peek();
      if (entry === undefined) break;
      if (entry instanceof RetainedBatch) {
        if (!this.sendRetained(outbox, entry, window)) break;
        continue;
      }
      if (entry.ticket?.hold && !entry.ticket.safe) break;
      if (entry.qos > 0 && this.inflight.size >= window) break;
      this.queue.shift();
      this.quota.remove(entry);
      writeEntry(outbox, entry, entry.sent);
      entry.sent = true;
      if (entry.qos > 0) {
        this.inflight.set(entry.packetId, entry);
        if (this.writer === null) entry.message = null;
      }
    }
    if (this.queue.length < this.context.limits.queuedMessages / 4) this.pace.caughtUp();
  }

  private sendNow(outbox: Outbox, publication: Publication, qos: 1 | 2): void {
    const entry = this.newEntry(publication, qos);
    entry.sent = true;
    writePublication(outbox, publication, qos, entry.packetId);
    this.inflight.set(entry.packetId, entry);
    if (this.writer !== null) this.keep(entry, publication);
  }

  private enqueue(publication: Publication, qos: Qos): void {
    const { limits } = this.context;
    const refusal = this.quota.refuses(publication.end - publication.topicStart, this.queue.length);
    if (refusal !== null) {
      this.drop(refusal, publication);
      return;
    }
    const entry = this.newEntry(publication, qos);
    entry.message = publication.message();
    this.quota.add(entry);
    this.queue.push(entry);
    if (qos > 0 && this.writer !== null) this.keep(entry, publication);
    if (publication.hold) publication.needsStore().holds(this);
    if (this.queue.length > limits.queuedMessages / 2 || this.quota.bytes > limits.queuedBytes / 2) {
      this.press(publication);
    }
  }

  /** Asks the publisher to be read less, if it is of the same user and this reader keeps up at all. */
  private press(publication: Publication): void {
    if (this.outbox === null || this.pace.tooSlow || publication.login !== this.context.account.login) return;
    publication.pressure ??= this.pace;
  }

  private newEntry(publication: Publication, qos: Qos): Entry {
    const packetId = qos === 0 ? 0 : this.ids.next(this.inflight);
    return liveEntry(++this.lastSeq, packetId, qos, publication.hold ? publication.needsStore() : null);
  }

  /** Hands the message to the store. The publisher is answered when it is on disk, or acknowledged from here. */
  private keep(entry: Entry, publication: Publication): void {
    entry.message = publication.message();
    entry.ticket = publication.needsStore();
    entry.ticket.add();
    this.writer!.putOutgoing(recordOf(entry));
  }

  private finish(entry: Entry): void {
    this.inflight.delete(entry.packetId);
    if (this.writer !== null) {
      this.writer.deleteOutgoing(entry.seq);
      entry.ticket?.receiverDone();
    }
  }

  /** Sends the next retained message of a batch. False when there is no room for it now. */
  private sendRetained(outbox: Outbox, batch: RetainedBatch, window: number): boolean {
    const next = batch.next();
    if (next === null) {
      this.queue.shift();
      return true;
    }
    if (this.context.retained.get(next.message.topic) !== next.message) {
      // Replaced or deleted since: whoever did that was delivered as a live message.
      batch.advance();
      return true;
    }
    if (next.qos > 0 && this.inflight.size >= window) return false;
    batch.advance();
    const packetId = next.qos === 0 ? 0 : this.ids.next(this.inflight);
    const entry = retainedEntry(++this.lastSeq, packetId, next.qos, next.message);
    writeEntry(outbox, entry, false);
    if (entry.qos > 0) {
      this.inflight.set(entry.packetId, entry);
      if (this.writer !== null) this.writer.putOutgoing(recordOf(entry));
      else entry.message = null;
    }
    return true;
  }

  private drop(reason: DropReason, publication: Publication): void {
    this.dropped++;
    this.press(publication);
    this.context.onDropped(reason);
  }
}
