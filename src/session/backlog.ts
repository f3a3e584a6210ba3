import type { LimitsConfig } from '../config/config.js';
import { Deque } from './deque.js';
import type { Entry } from './outgoing-entry.js';
import { type DropReason, QueueQuota } from './queue-quota.js';
import { RetainedBatch } from './retained-batch.js';
import type { UserAccount } from './user-account.js';

/** What waits for room in the window, or for a connection: messages, which the user pays for, and retained batches. */
export class Backlog {
  readonly #queue = new Deque<Entry | RetainedBatch>();
  readonly #quota: QueueQuota;

  constructor(limits: LimitsConfig, account: UserAccount) {
    this.#quota = new QueueQuota(limits, account);
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Of the messages. */
  get bytes(): number {
    return this.#quota.bytes;
  }

  /** Why a message of `bytes` can't be added; null when it can. */
  refuses(bytes: number): DropReason | null {
    return this.#quota.refuses(bytes, this.#queue.length);
  }

  peek(): Entry | RetainedBatch | undefined {
    return this.#queue.peek();
  }

  add(entry: Entry): void {
    this.#quota.add(entry);
    this.#queue.push(entry);
  }

  addBatch(batch: RetainedBatch): void {
    this.#queue.push(batch);
  }

  /** Puts messages in front of all others. */
  addFirst(entries: readonly Entry[]): void {
    for (const entry of entries) this.#quota.add(entry);
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
}
