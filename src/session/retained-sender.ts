import type { Clock } from '../clock.js';
import type { Job } from '../fairness/job.js';
import { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { RetainedIndex, RetainedMessage, SessionWriter } from '../store/contract.js';
import type { Backlog } from './backlog.js';
import { byTopic } from './by-topic.js';
import type { InflightWindow } from './inflight-window.js';
import { recordOf, retainedEntry } from './outgoing-entry.js';
import type { PacketIds } from './packet-ids.js';
import type { DropReason } from './queue-quota.js';
import type { NextRetained, RetainedBatch } from './retained-batch.js';
import type { Sender } from './sender.js';

/** Retained messages that are judged in one step. */
const JUDGED_PER_STEP = 256;

export interface RetainedContext {
  readonly clock: Clock;
  readonly retained: RetainedIndex;
  mayReceive(topic: string): boolean;
  /** Does the job when it is the user's turn. */
  perform(job: Job): void;
  whenStored(callback: () => void): void;
  onDropped(reason: DropReason, topic: string): void;
}

interface Parts {
  readonly waiting: Backlog;
  readonly sender: Sender;
  readonly inflight: InflightWindow;
  readonly ids: PacketIds;
  /** Goes on when messages are safe that it waits for. */
  readonly queue: { pump(): void };
  readonly places: Places;
}

/** The last place that was given in a session's order. */
export interface Places {
  last: number;
}

/** Retained messages on their way to one session, in their turn. */
export class RetainedSender {
  readonly #context: RetainedContext;
  readonly #writer: SessionWriter | null;
  readonly #parts: Parts;
  /** What has been sent of it the store does not know yet. */
  #moved: RetainedBatch | null = null;
  #finding = false;

  constructor(context: RetainedContext, writer: SessionWriter | null, parts: Parts) {
    this.#context = context;
    this.#writer = writer;
    this.#parts = parts;
  }

  /** Sends the next message of the batch, which is the first that waits. False when there is no room for it now. */
  send(batch: RetainedBatch): boolean {
    const { waiting, sender, inflight, ids } = this.#parts;
    if (batch.wanted !== null) {
      this.#findAll(batch, batch.wanted);
      return false;
    }
    const next = batch.next(this.#context.retained);
    if (next === null) {
      waiting.shift();
      batch.end();
      this.#moved = null;
      return true;
    }
    this.#moved = batch;
    const { expiresAt } = next.message;
    if (expiresAt !== null && expiresAt <= this.#context.clock.epochMs()) {
      batch.advance();
      return true;
    }
    if (next.qos > 0 && inflight.size >= inflight.limit) return false;
    if (next.qos === 2 && this.#writer !== null) {
      this.#queueFirst(batch.takeQos2(inflight.limit, this.#context.retained));
      return true;
    }
    batch.advance();
    const entry = retainedEntry(next.qos === 0 ? 0 : ids.next(inflight), next, null);
    if (!sender.entry(entry)) this.#context.onDropped('too-large', next.message.topic);
    else if (entry.qos > 0) {
      if (this.#writer !== null) this.#writer.putOutgoing(recordOf(entry), entry.message!);
      inflight.add(entry);
    }
    return true;
  }

  /** Nothing more is sent in this turn. */
  settle(): void {
    this.#moved?.settle();
    this.#moved = null;
  }

  /** Looks for what a batch of before the restart asked for, and has been due since. */
  #findAll(batch: RetainedBatch, wanted: NonNullable<RetainedBatch['wanted']>): void {
    if (this.#finding) return;
    this.#finding = true;
    this.#context.perform(this.#find(batch, wanted));
  }

  *#find(batch: RetainedBatch, { filter, askedAt, after }: NonNullable<RetainedBatch['wanted']>): Job {
    const { retained, mayReceive } = this.#context;
    const due: RetainedMessage[] = [];
    const matches = yield* retained.walk(filter);
    for (const [index, message] of matches.entries()) {
      if (message.topic > after && message.storedAt <= askedAt && mayReceive(message.topic)) due.push(message);
      if (index % JUDGED_PER_STEP === 0) yield;
    }
    const messages = yield* byTopic(due);
    this.#finding = false;
    const { places, queue } = this.#parts;
    places.last = batch.found(messages, places.last);
    queue.pump();
  }

  /** Puts QoS 2 messages at the front of the queue, where they wait to be on disk. */
  #queueFirst(messages: readonly NextRetained[]): void {
    const { waiting, inflight, ids, queue } = this.#parts;
    const ticket = new SafetyTicket();
    const entries = messages.map((next) => retainedEntry(ids.next(inflight), next, ticket));
    for (const entry of entries) this.#writer!.putOutgoing(recordOf(entry), entry.message!);
    waiting.addFirst(entries);
    ticket.wakes(queue);
    this.#context.whenStored(() => ticket.committed());
  }
}
