import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { SessionWriter } from '../store/contract.js';
import { Deque } from './deque.js';
import type { Entry } from './outgoing-entry.js';
import { type DropReason, QueueQuota } from './queue-quota.js';
import { RetainedBatch } from './retained-batch.js';
import type { UserAccount } from './user-account.js';

/** Messages that leave the store in one step. */
const EXPIRED_PER_STEP = 256;

export interface BacklogContext {
  readonly limits: LimitsConfig;
  readonly account: UserAccount;
  readonly clock: Clock;
  onDropped(reason: DropReason, topic: string): void;
}

/** What waits for room in the window, or for a connection: messages, which the user pays for, and retained batches. */
export class Backlog {
  readonly #queue = new Deque<Entry | RetainedBatch>();
  readonly #quota: QueueQuota;

  readonly #context: BacklogContext;
  /** Null for a session that is not kept. */
  readonly #writer: SessionWriter | null;
  /** The first time at which a message here expires. */
  #soonestExpiry = Number.POSITIVE_INFINITY;

  constructor(context: BacklogContext, writer: SessionWriter | null) {
    this.#context = context;
    this.#writer = writer;
    this.#quota = new QueueQuota(context.limits, context.account);
  }

  get length(): number {
    return this.#queue.length;
  }

  get isHalfFull(): boolean {
    const { queuedMessages, queuedBytes } = this.#context.limits;
    return this.#queue.length > queuedMessages / 2 || this.#quota.bytes > queuedBytes / 2;
  }

  /** Why a message of `bytes` can't be added; null when it can. */
  refuses(bytes: number): DropReason | null {
    return this.#quota.refuses(bytes, this.#queue.length);
  }

  peek(): Entry | RetainedBatch | undefined {
    return this.#queue.peek();
  }

  add(entry: Entry): void {
    this.#count(entry);
    this.#queue.push(entry);
  }

  addBatch(batch: RetainedBatch): void {
    this.#queue.push(batch);
  }

  /** Puts messages in front of all others. */
  addFirst(entries: readonly Entry[]): void {
    for (const entry of entries) this.#count(entry);
    this.#queue.unshift(entries);
  }

  /** The first of it leaves. */
  shift(): Entry | RetainedBatch | undefined {
    const first = this.#queue.shift();
    if (first !== undefined && !(first instanceof RetainedBatch)) this.#quota.remove(first);
    return first;
  }

  /** The client is gone: messages of QoS 0 are not kept. */
  dropQos0(): void {
    this.#queue.filter((entry) => {
      if (entry instanceof RetainedBatch || entry.qos > 0) return true;
      this.#quota.remove(entry);
      return false;
    });
  }

  /** Takes out what may not be received any more. Returns the messages, and how many of batches there were besides. */
  withhold(mayReceive: (topic: string) => boolean): { readonly entries: readonly Entry[]; readonly ofBatches: number } {
    const entries: Entry[] = [];
    let ofBatches = 0;
    this.#queue.filter((entry) => {
      if (entry instanceof RetainedBatch) {
        ofBatches += entry.withhold(mayReceive);
        return true;
      }
      if (mayReceive(entry.message!.topic)) return true;
      this.#quota.remove(entry);
      entry.ticket?.receiverDone();
      entries.push(entry);
      return false;
    });
    return { entries, ofBatches };
  }

  /** Nobody waits for any of it any more. */
  clear(): void {
    for (let entry = this.shift(); entry !== undefined; entry = this.shift()) {
      if (entry instanceof RetainedBatch) entry.cancel();
      else entry.ticket?.receiverDone();
    }
  }
  /** Nobody may be sent it any more, unless that was begun (3.3.2.3.3). */
  isExpired({ sent, message }: Entry): boolean {
    const expiresAt = message?.expiresAt ?? null;
    return expiresAt !== null && !sent && expiresAt <= this.#context.clock.epochMs();
  }

  /** A message that has left the backlog and is not sent after all. */
  discard(entry: Entry, reason: DropReason): void {
    if (entry.qos > 0 && this.#writer !== null) this.#writer.deleteOutgoing(entry.seq, entry.message?.contentId);
    entry.ticket?.receiverDone();
    this.#context.onDropped(reason, entry.message!.topic);
  }

  /** A message here is not to be delivered any more. */
  get hasExpired(): boolean {
    return this.#soonestExpiry <= this.#context.clock.epochMs();
  }

  /** Takes out the messages whose time is over. In steps, since there may be many. */
  *expire(): Generator<undefined, void, void> {
    const expired: Entry[] = [];
    this.#soonestExpiry = Number.POSITIVE_INFINITY;
    this.#queue.filter((entry) => {
      if (entry instanceof RetainedBatch) return true;
      if (!this.isExpired(entry)) {
        this.#noteExpiry(entry);
        return true;
      }
      this.#quota.remove(entry);
      expired.push(entry);
      return false;
    });
    for (const [index, entry] of expired.entries()) {
      this.discard(entry, 'expired');
      if (index % EXPIRED_PER_STEP === 0) yield;
    }
  }

  #count(entry: Entry): void {
    this.#quota.add(entry);
    this.#noteExpiry(entry);
  }

  #noteExpiry({ sent, message }: Entry): void {
    const expiresAt = message?.expiresAt ?? null;
    if (expiresAt !== null && !sent && expiresAt < this.#soonestExpiry) this.#soonestExpiry = expiresAt;
  }
}
