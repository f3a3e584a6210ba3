import { type Job, whenThere } from '../fairness/job.js';
import type { ReadLimits, SessionWriter, StoredMessage } from '../store/contract.js';
import type { Valve } from '../valve.js';
import type { Backlog } from './backlog.js';
import { type Entry, entryOf } from './outgoing-entry.js';
import type { DropReason } from './queue-quota.js';
import type { Sender } from './sender.js';
import { StoredRun } from './stored-run.js';
import type { UserAccount } from './user-account.js';

/** Brought into memory at a time: more than a window, so that the next are read while these are on their way. */
const READ: ReadLimits = { messages: 64, bytes: 64 * 1024 };
const ONE: ReadLimits = { messages: 1, bytes: 1 };

export interface ReaderContext {
  readonly account: UserAccount;
  mayReceive(topic: string): boolean;
  /** Does the job when it is the user's turn. */
  perform(job: Job): void;
  onDropped(reason: DropReason, topic: string): void;
  /** Messages of the session cannot be read from the store. */
  onUnreadable(error: unknown): void;
}

/** Why a stored message has to go; null: it stays. */
export type Judge = (message: StoredMessage) => 'denied' | DropReason | null;

/**
 * What of a backlog is in the store alone: brought into memory as it is due, and gone through where it lies. A user's
 * queues are read one after the other: the few threads that read are those that write what others wait for.
 */
export class BacklogReader {
  readonly #context: ReaderContext;
  readonly #writer: SessionWriter;
  readonly #backlog: Backlog;
  readonly #sender: Sender;
  readonly #pump: () => void;
  #bringing = false;

  constructor(
    context: ReaderContext,
    writer: SessionWriter,
    { waiting, sender, pump }: { waiting: Backlog; sender: Sender; pump: () => void },
  ) {
    this.#context = context;
    this.#writer = writer;
    this.#backlog = waiting;
    this.#sender = sender;
    this.#pump = pump;
  }

  /** The first that waits is in the store: the messages come into memory, and are sent then. */
  bringIn(): void {
    if (this.#bringing) return;
    this.#bringing = true;
    this.#context.perform(this.#bringFirst());
  }

  *#bringFirst(): Job {
    const { reads } = this.#context.account;
    yield* reads.take();
    try {
      yield* this.#bringPiece();
    } catch (error) {
      this.#context.onUnreadable(error);
      return;
    } finally {
      reads.give();
      this.#bringing = false;
    }
    this.#pump();
  }

  *#bringPiece(): Job {
    const { account, mayReceive } = this.#context;
    const run = this.#backlog.peek();
    if (!(run instanceof StoredRun) || this.#sender.outlet === null) return;
    const { firstSeq, lastSeq } = run;
    const limits = account.hasRoom(READ.bytes) ? READ : ONE;
    const { messages, next } = yield* whenThere(this.#writer.readOutgoing(firstSeq, lastSeq, limits));
    // Its client may have gone, and come again; or the session has ended.
    if (this.#backlog.peek() !== run || run.firstSeq !== firstSeq || this.#sender.outlet === null) return;
    const entries: Entry[] = [];
    for (const message of messages) {
      if (message.released) continue;
      this.#backlog.take(run, message.bytes);
      if (mayReceive(message.topic)) entries.push(entryOf(message, message.seq <= this.#sender.sentSeq));
      else this.#writer.deleteOutgoing(message.seq, message.contentId);
    }
    this.#backlog.advance(run, next ?? lastSeq + 1);
    this.#backlog.addFirst(entries);
  }

  /** Takes out what has to go. Returns how many messages that were. */
  *sift(judge: Judge): Generator<Valve | undefined, number, void> {
    const { reads } = this.#context.account;
    const last = this.#backlog.lastStored;
    let removed = 0;
    for (let from: number | null = 0; from !== null && from <= last; ) {
      yield* reads.take();
      try {
        from = yield* this.#siftFrom(from, last, judge, () => removed++);
      } catch (error) {
        this.#context.onUnreadable(error);
        return removed;
      } finally {
        reads.give();
      }
    }
    return removed;
  }

  /** Takes out what may not be received; or only counts it. */
  *withhold(mayReceive: (topic: string) => boolean, onlyCounts: boolean): Generator<Valve | undefined, number, void> {
    let denied = 0;
    const removed = yield* this.sift(({ topic }) => {
      if (mayReceive(topic)) return null;
      denied++;
      return onlyCounts ? null : 'denied';
    });
    return onlyCounts ? denied : removed;
  }

  /** Some of it; returns where to go on. */
  *#siftFrom(
    from: number,
    last: number,
    judge: Judge,
    onRemoved: () => void,
  ): Generator<Valve | undefined, number | null, void> {
    const run = this.#backlog.runFrom(from);
    if (run === undefined) return null;
    const to = Math.min(run.lastSeq, last);
    const { messages, next } = yield* whenThere(this.#writer.readOutgoing(Math.max(from, run.firstSeq), to, READ));
    for (const message of messages) {
      // Where it is by now; the session may have ended.
      const home = this.#backlog.runFrom(message.seq);
      if (message.released || !home?.has(message.seq)) continue;
      const reason = judge(message);
      if (reason === null) continue;
      this.#backlog.take(home, message.bytes);
      if (home.messages === 0) this.#backlog.drop(home);
      this.#writer.deleteOutgoing(message.seq, message.contentId);
      if (reason !== 'denied') this.#context.onDropped(reason, message.topic);
      onRemoved();
    }
    return next ?? to + 1;
  }
}
