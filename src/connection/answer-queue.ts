import type { Scheduler } from '../fairness/scheduler.js';
import { PUBACK, PUBCOMP, PUBREC } from '../mqtt/packets.js';
import { Reason, type ReasonCode } from '../mqtt/reason-codes.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { Counters } from '../observe/counters.js';
import { Deque } from '../session/deque.js';
import type { Session } from '../session/session.js';
import type { Store } from '../store/contract.js';
import type { Connection } from './connection.js';
import type { Wire } from './wire.js';

/** An answer that waits until its message is safe. */
interface Answer {
  readonly type: number;
  readonly packetId: number;
  /** What a client of MQTT 5 is told with it. */
  readonly code: ReasonCode;
  readonly text: string | null;
  /** Since when it is due, by the scheduler's time. */
  readonly sinceMs: number;
  safe: boolean;
}

export interface AnswerQueueOptions {
  readonly connection: Connection;
  readonly session: Session;
  readonly wire: Wire;
  readonly store: Pick<Store, 'idle' | 'committed'>;
  readonly scheduler: Scheduler;
  readonly counters: Counters;
  /** Called when some of them have left. */
  onLeft(): void;
}

/** PUBACK, PUBREC and PUBCOMP for one publisher. They leave in the order of its messages [MQTT-4.6.0-2]. */
export class AnswerQueue {
  /** Messages of QoS 1 and 2 that came and whose flow is not over: what a Receive Maximum bounds (MQTT 5, 3.3.4). */
  open = 0;
  readonly #options: AnswerQueueOptions;
  readonly #waiting = new Deque<Answer>();

  constructor(options: AnswerQueueOptions) {
    this.#options = options;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Answers when the message is safe; at once, behind those before it, when it needs not be (null). */
  whenSafe(ticket: SafetyTicket | null, type: number, packetId: number, code: ReasonCode): void {
    if (ticket === null && this.#waiting.length === 0) {
      this.#send(type, packetId, code, null, 0);
      return;
    }
    const answer = this.#newAnswer(type, packetId, code, null, ticket === null);
    this.#waiting.push(answer);
    ticket?.whenSafe((failed) => this.#settle(answer, failed));
  }

  /** Answers once everything before it is answered and, for a persistent session, what is known is on disk. */
  afterStore(type: number, packetId: number, code: ReasonCode = Reason.SUCCESS, text: string | null = null): void {
    const { store, session } = this.#options;
    const needsStore = session.writer !== null && type !== PUBACK;
    if (this.#waiting.length === 0 && (!needsStore || store.idle)) {
      this.#send(type, packetId, code, text, 0);
      return;
    }
    const answer = this.#newAnswer(type, packetId, code, text, false);
    this.#waiting.push(answer);
    if (needsStore) store.committed((fault) => this.#settle(answer, fault !== null));
    else this.#settle(answer, false);
  }

  #settle(answer: Answer, failed: boolean): void {
    const { connection, scheduler, onLeft } = this.#options;
    if (failed) {
      connection.close('store-fault');
      return;
    }
    answer.safe = true;
    const nowMs = scheduler.look();
    for (let first = this.#waiting.peek(); first?.safe; first = this.#waiting.peek()) {
      this.#waiting.shift();
      this.#send(first.type, first.packetId, first.code, first.text, nowMs - first.sinceMs);
    }
    onLeft();
  }

  #newAnswer(type: number, packetId: number, code: ReasonCode, text: string | null, safe: boolean): Answer {
    return { type, packetId, code, text, sinceMs: this.#options.scheduler.lookedAtMs, safe };
  }

  /** `waitedMs`: nothing, when it leaves in the slice that its packet came in. */
  #send(type: number, packetId: number, code: ReasonCode, text: string | null, waitedMs: number): void {
    const { wire, connection, counters } = this.#options;
    // Not with a PUBREL for what is not known. Of a flow that was begun over another connection nothing was counted here.
    const ends = type === PUBREC ? code >= Reason.UNSPECIFIED_ERROR : code !== Reason.PACKET_IDENTIFIER_NOT_FOUND;
    if (ends && this.open > 0) this.open--;
    wire.acknowledge(connection.outbox, type, packetId, code, text);
    if (type !== PUBCOMP && !connection.outbox.closed) {
      counters.publishAckSeconds[type === PUBACK ? 0 : 1].observe(waitedMs * 1e-3);
    }
  }
}
