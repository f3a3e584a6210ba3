import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { SessionWriter } from '../store/contract.js';
import { Deque } from './deque.js';
import type { Entry } from './outgoing-entry.js';
import { type DropReason, QueueQuota } from './queue-quota.js';
import { RetainedBatch } from './retained-batch.js';
import { StoredRun } from './stored-run.js';
import type { UserAccount } from './user-account.js';

/** Messages that leave the store in one step. */
const EXPIRED_PER_STEP = 256;

export interface BacklogContext {
  readonly limits: LimitsConfig;
  readonly account: UserAccount;
  readonly clock: Clock;
  /** What is stored is in memory all the same. */
  readonly storedInMemory: boolean;
  onDropped(reason: DropReason, topic: string): void;
}

export type Waiting = Entry | RetainedBatch | StoredRun;

/** A message whose content is in the store alone. */
export interface StoredPlace {
  readonly seq: number;
  readonly bytes: number;
  readonly expiresAt: number | null;
}

/**
 * What waits for room in the window, or for a connection: messages, which the user pays for, those of absent clients in
 * runs that the store has, and retained batches.
 */
export class Backlog {
  readonly #queue = new Deque<Waiting>();
  readonly #quota: QueueQuota;
  readonly #context: BacklogContext;
  /** Null for a session that is not kept. */
  readonly #writer: SessionWriter | null;
  #length = 0;
  /** The first time at which a message in memory expires. */
  #soonestExpiry = Number.POSITIVE_INFINITY;
  /** The same of those that are in the store alone. */
  #soonestStored = Number.POSITIVE_INFINITY;

  constructor(context: BacklogContext, writer: SessionWriter | null) {
    this.#context = context;
    this.#writer = writer;
    this.#quota = new QueueQuota(context.limits, context.account, context.storedInMemory);
  }

  /** Messages, and batches. */
  get length(): number {
    return this.#length;
  }

  get isHalfFull(): boolean {
    const { queuedMessages, queuedBytes } = this.#context.limits;
    return this.#length > queuedMessages / 2 || this.#quota.bytes > queuedBytes / 2;
  }

  /** Why a message of `bytes` can't be added; null when it can. `stored`: with its content in the store alone. */
  refuses(bytes: number, stored: boolean): DropReason | null {
    return this.#quota.refuses(bytes, this.#length, stored);
  }

  peek(): Waiting | undefined {
    return this.#queue.peek();
  }

  add(entry: Entry): void {
    this.#count(entry);
    this.#queue.push(entry);
  }

  /** A message that nobody waits for: it stays in the store. */
  addStored({ seq, bytes, expiresAt }: StoredPlace): void {
    this.#quota.addStored(bytes);
    this.#length++;
    this.noteStored(expiresAt);
    let run = this.#queue.last;
    if (!(run instanceof StoredRun)) {
      run = new StoredRun(seq);
      this.#queue.push(run);
    }
    run.append(seq, bytes);
  }

  addBatch(batch: RetainedBatch): void {
    this.#length++;
    this.#queue.push(batch);
  }

  /** Puts messages in front of all others. */
  addFirst(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const entry of entries) this.#count(entry);
    this.#queue.unshift(entries);
  }

  /** The first of it leaves: a message or a batch. */
  shift(): void {
    const first = this.#queue.shift();
    if (first === undefined) return;
    this.#length--;
    if (!(first instanceof RetainedBatch || first instanceof StoredRun)) this.#quota.remove(first);
  }

  /** The client is gone: messages of QoS 0 are not kept, and the others are in the store. */
  leaveMemory(): void {
    const left: Waiting[] = [];
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) {
      const last = left.at(-1);
      if (item instanceof RetainedBatch) left.push(item);
      else if (item instanceof StoredRun) {
        if (last instanceof StoredRun) last.absorb(item);
        else left.push(item);
      } else if (item.qos === 0) {
        this.#quota.remove(item);
        this.#length--;
      } else if (this.#writer === null) left.push(item);
      else {
        const { bytes, expiresAt } = item.message!;
        this.#quota.leaveMemory(bytes);
        this.noteStored(expiresAt);
        const run = last instanceof StoredRun ? last : new StoredRun(item.seq);
        run.append(item.seq, bytes);
        if (run !== last) left.push(run);
      }
    }
    this.#queue.unshift(left);
  }

  /** The last message that is in the store alone; 0: there is none. */
  get lastStored(): number {
    let last = 0;
    for (const item of this.#queue) if (item instanceof StoredRun) last = item.lastSeq;
    return last;
  }

  /** The run that has `seq`, or the next one. */
  runFrom(seq: number): StoredRun | undefined {
    for (const item of this.#queue) if (item instanceof StoredRun && item.lastSeq >= seq) return item;
    return undefined;
  }

  /** A message of a run was read: it is in the run no more. */
  take(run: StoredRun, bytes: number): void {
    run.remove(bytes);
    this.#quota.removeStored(1, bytes);
    this.#length--;
  }

  /** Of the first run, everything before `seq` is taken. */
  advance(run: StoredRun, seq: number): void {
    run.firstSeq = seq;
    if (seq > run.lastSeq || run.messages === 0) this.drop(run);
  }

  /** Nothing is left of a run; what it should still have is not in the store. */
  drop(run: StoredRun): void {
    this.#quota.removeStored(run.messages, run.bytes);
    this.#length -= run.messages;
    this.#queue.filter((item) => item !== run);
  }

  /** Takes out what may not be received any more, as far as it is in memory. Returns how many messages that were. */
  withhold(mayReceive: (topic: string) => boolean): number {
    let withheld = 0;
    this.#queue.filter((item) => {
      if (item instanceof StoredRun) return true;
      if (item instanceof RetainedBatch) {
        withheld += item.withhold(mayReceive);
        return true;
      }
      if (mayReceive(item.message!.topic)) return true;
      this.#remove(item);
      withheld++;
      return false;
    });
    return withheld;
  }

  /** How many of those in memory are denied by rules that are not in force. */
  countDenied(mayReceive: (topic: string) => boolean): number {
    let denied = 0;
    for (const item of this.#queue) {
      if (item instanceof RetainedBatch) denied += item.countDenied(mayReceive);
      else if (!(item instanceof StoredRun) && !mayReceive(item.message!.topic)) denied++;
    }
    return denied;
  }

  /** Nobody waits for any of it any more. */
  clear(): void {
    for (let item = this.#queue.peek(); item !== undefined; item = this.#queue.peek()) {
      if (item instanceof StoredRun) {
        this.drop(item);
        continue;
      }
      this.shift();
      if (item instanceof RetainedBatch) item.cancel();
      else item.ticket?.receiverDone();
    }
  }

  /** Nobody may be sent it any more, unless that was begun (3.3.2.3.3). */
  isExpired({ sent, message }: Entry): boolean {
    const expiresAt = message?.expiresAt ?? null;
    return expiresAt !== null && !sent && expiresAt <= this.#context.clock.epochMs();
  }

  /** A message that has left the backlog and is not sent after all. */
  discard(entry: Entry, reason: DropReason): void {
    this.#forget(entry);
    this.#context.onDropped(reason, entry.message!.topic);
  }

  /** A message here is not to be delivered any more. */
  get hasExpired(): boolean {
    return Math.min(this.#soonestExpiry, this.#soonestStored) <= this.#context.clock.epochMs();
  }

  /** The same of the store. Whoever goes through it then, as is asked for by this, notes the expiry of those that stay. */
  get hasStoredExpired(): boolean {
    const expired = this.#soonestStored <= this.#context.clock.epochMs();
    if (expired) this.#soonestStored = Number.POSITIVE_INFINITY;
    return expired;
  }

  /** Takes out the messages in memory whose time is over. In steps, since there may be many. */
  *expire(): Generator<undefined, void, void> {
    const expired: Entry[] = [];
    this.#soonestExpiry = Number.POSITIVE_INFINITY;
    this.#queue.filter((item) => {
      if (item instanceof RetainedBatch || item instanceof StoredRun) return true;
      if (!this.isExpired(item)) {
        this.#noteExpiryOf(item);
        return true;
      }
      this.#quota.remove(item);
      this.#length--;
      expired.push(item);
      return false;
    });
    for (const [index, entry] of expired.entries()) {
      this.discard(entry, 'expired');
      if (index % EXPIRED_PER_STEP === 0) yield;
    }
  }

  /** A message that is in the store alone, and stays there. */
  noteStored(expiresAt: number | null): void {
    if (expiresAt !== null && expiresAt < this.#soonestStored) this.#soonestStored = expiresAt;
  }

  #count(entry: Entry): void {
    this.#quota.add(entry);
    this.#length++;
    this.#noteExpiryOf(entry);
  }

  #noteExpiryOf({ sent, message }: Entry): void {
    const expiresAt = message?.expiresAt ?? null;
    if (expiresAt !== null && !sent && expiresAt < this.#soonestExpiry) this.#soonestExpiry = expiresAt;
  }

  #remove(entry: Entry): void {
    this.#quota.remove(entry);
    this.#length--;
    this.#forget(entry);
  }

  #forget(entry: Entry): void {
    if (entry.qos > 0 && this.#writer !== null) this.#writer.deleteOutgoing(entry.seq, entry.message?.contentId);
    entry.ticket?.receiverDone();
  }
}
