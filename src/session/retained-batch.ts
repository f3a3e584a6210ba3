import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { RetainedIndex, RetainedMessage } from '../store/contract.js';
import type { UserAccount } from './user-account.js';

export interface NextRetained {
  readonly seq: number;
  readonly message: RetainedMessage;
  readonly qos: Qos;
  readonly identifiers: readonly number[] | null;
}

/**
 * The retained messages that match a new subscription, sent as the window and the socket have room. A session that
 * subscribes to ten thousand of them neither fills its queue with them nor holds up the event loop.
 */
export class RetainedBatch {
  #messages: readonly RetainedMessage[];
  readonly #granted: Qos;
  readonly #identifiers: readonly number[] | null;
  readonly #account: UserAccount;
  #index = 0;
  #firstSeq = 0;

  /** Counted as pending of `account` until they are sent, or the batch is cancelled. */
  constructor(
    messages: readonly RetainedMessage[],
    granted: Qos,
    account: UserAccount,
    identifier: number | null = null,
  ) {
    this.#messages = messages;
    this.#granted = granted;
    this.#identifiers = identifier === null ? null : [identifier];
    this.#account = account;
    account.retainedPending += messages.length;
  }

  /**
   * Gives its messages their places in the session's order, behind `lastSeq`, and returns the last of them. Not as they
   * are sent: what is queued behind them has later places, and that is the order in which all of it is sent again after a
   * restart.
   */
  place(lastSeq: number): number {
    this.#firstSeq = lastSeq + 1;
    return lastSeq + this.length;
  }

  get length(): number {
    return this.#messages.length - this.#index;
  }

  /**
   * The message to send next, with its QoS; null at the end. One that was replaced or deleted since is passed over:
   * whoever did that was delivered as a live message.
   */
  next(retained: RetainedIndex): NextRetained | null {
    for (; this.#index < this.#messages.length; this.advance()) {
      const message = this.#messages[this.#index]!;
      if (retained.get(message.topic) !== message) continue;
      const qos = lowerQos(message.qos, this.#granted);
      return { seq: this.#firstSeq + this.#index, message, qos, identifiers: this.#identifiers };
    }
    return null;
  }

  advance(): void {
    this.#index++;
    this.#account.retainedPending--;
  }

  /** The rules deny some of it by now. Returns how many. */
  withhold(mayReceive: (topic: string) => boolean): number {
    const kept = this.#messages.filter(({ topic }, i) => i < this.#index || mayReceive(topic));
    const withheld = this.#messages.length - kept.length;
    this.#account.retainedPending -= withheld;
    this.#messages = kept;
    return withheld;
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    this.#account.retainedPending -= this.length;
    this.#index = this.#messages.length;
  }

  /** At most `limit` messages from here on that are all to be sent at QoS 2. */
  takeQos2(limit: number, retained: RetainedIndex): NextRetained[] {
    const taken: NextRetained[] = [];
    while (taken.length < limit) {
      const next = this.next(retained);
      if (next?.qos !== 2) break;
      taken.push(next);
      this.advance();
    }
    return taken;
  }
}
