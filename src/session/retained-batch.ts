import { lowerQos, type Qos } from '../mqtt/packets.js';
import type { RetainedIndex, RetainedMessage } from '../store/contract.js';
import type { UserAccount } from './user-account.js';

export interface NextRetained {
  readonly message: RetainedMessage;
  readonly qos: Qos;
}

/**
 * The retained messages that match a new subscription, sent as the window and the socket have room. A session that
 * subscribes to ten thousand of them neither fills its queue with them nor holds up the event loop.
 */
export class RetainedBatch {
  readonly #messages: readonly RetainedMessage[];
  readonly #granted: Qos;
  readonly #account: UserAccount;
  #index = 0;

  /** Counted as pending of `account` until they are sent, or the batch is cancelled. */
  constructor(messages: readonly RetainedMessage[], granted: Qos, account: UserAccount) {
    this.#messages = messages;
    this.#granted = granted;
    this.#account = account;
    account.retainedPending += messages.length;
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
      if (retained.get(message.topic) === message) return { message, qos: lowerQos(message.qos, this.#granted) };
    }
    return null;
  }

  advance(): void {
    this.#index++;
    this.#account.retainedPending--;
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
