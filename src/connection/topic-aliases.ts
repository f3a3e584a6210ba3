import { Charge } from '../fairness/charge.js';
import { Reason } from '../mqtt/reason-codes.js';
import { ProtocolError } from './protocol-error.js';
import type { PublishHead } from './wire.js';

/** What an alias takes besides its topic. */
const BYTES_PER_ALIAS = 160;
/** An alias for a shorter topic would be no shorter. */
const SHORTEST_TOPIC_BYTES = 8;

/** The topic aliases that a client has set; they end with its connection [MQTT-3.3.2-7]. */
export class ReceivedAliases {
  readonly #maximum: number;
  /** By alias: the topic with its two length bytes. */
  #topics: Map<number, Buffer> | null = null;
  readonly charge = new Charge();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Sets the alias of a PUBLISH that has a topic too, or puts the topic back into one that has the alias alone. */
  resolve(head: PublishHead, alias: number): void {
    if (alias < 1 || alias > this.#maximum) {
      throw new ProtocolError(
        'MQTT-3.3.2-9',
        `a topic alias that is not from 1 to ${this.#maximum}`,
        Reason.TOPIC_ALIAS_INVALID,
      );
    }
    this.#topics ??= new Map();
    const known = this.#topics.get(alias);
    if (head.topicEnd > head.topicStart) {
      const { chunk, topicStart, topicEnd } = head;
      if (known !== undefined) {
        if (known.compare(chunk, topicStart - 2, topicEnd) === 0) return;
        this.charge.add(-known.length - BYTES_PER_ALIAS);
      }
      // A copy: it is known for longer than the received bytes are kept.
      const topic = Buffer.allocUnsafeSlow(topicEnd - topicStart + 2);
      chunk.copy(topic, 0, topicStart - 2, topicEnd);
      this.#topics.set(alias, topic);
      this.charge.add(topic.length + BYTES_PER_ALIAS);
      return;
    }
    if (known === undefined) {
      throw new ProtocolError(
        'MQTT-3.3.2-7',
        `topic alias ${alias}, which stands for no topic yet`,
        Reason.PROTOCOL_ERROR,
      );
    }
    withTopic(head, known);
  }
}

/** Makes the message anew, with its topic: [topic, two bytes for a packet id, payload]. */
function withTopic(head: PublishHead, topic: Buffer): void {
  const { chunk, payloadStart, end } = head;
  const made = Buffer.allocUnsafe(topic.length + 2 + end - payloadStart);
  topic.copy(made, 0);
  chunk.copy(made, topic.length + 2, payloadStart, end);
  head.chunk = made;
  head.topicStart = 2;
  head.topicEnd = topic.length;
  head.payloadStart = topic.length + 2;
  head.end = made.length;
  head.whole = false;
}

/** The topic aliases that a client is sent: its first topics get one each, as many as it takes. */
export class SentAliases {
  readonly #maximum: number;
  readonly #aliases = new Map<string, number>();
  readonly charge = new Charge();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The alias for a topic: negative when the client knows it, positive when it is to be told now; 0: none. */
  of(topic: string, topicBytes: number): number {
    const known = this.#aliases.get(topic);
    if (known !== undefined) return -known;
    if (topicBytes < SHORTEST_TOPIC_BYTES || this.#aliases.size === this.#maximum) return 0;
    const alias = this.#aliases.size + 1;
    this.#aliases.set(topic, alias);
    this.charge.add(2 * topic.length + BYTES_PER_ALIAS);
    return alias;
  }
}
