import type { LimitsConfig } from '../config/config.js';
import { firstTwoLevels, levelsOf } from '../mqtt/topics.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { RetainedMessage } from '../store/contract.js';

/** What a level of a topic takes in the tree: two hundred levels of one letter are far more than their text. */
const BYTES_PER_LEVEL = 128;

interface Usage {
  messages: number;
  bytes: number;
}

/**
 * How much each user's tree keeps as retained messages. Counted by the first two levels of the topic, which is the
 * user's tree: the store need not remember who published.
 */
export class RetainedQuota {
  readonly #limits: LimitsConfig;
  readonly #log: Log;
  readonly #noisyLog: RateLimited;
  readonly #usage = new Map<string, Usage>();

  constructor(limits: LimitsConfig, log: Log, noisyLog: RateLimited) {
    this.#limits = limits;
    this.#log = log;
    this.#noisyLog = noisyLog;
  }

  /** False when keeping `message` instead of `before` would go over the limit; it is delivered all the same. */
  admits(message: RetainedMessage, before: RetainedMessage | undefined, login: string): boolean {
    const used = this.#usage.get(firstTwoLevels(message.topic));
    const messages = (used?.messages ?? 0) + (before === undefined ? 1 : 0);
    const bytes = (used?.bytes ?? 0) + bytesOf(message) - (before === undefined ? 0 : bytesOf(before));
    const { retainedMessagesPerUser, retainedBytesPerUser } = this.#limits;
    if (messages <= retainedMessagesPerUser && bytes <= retainedBytesPerUser) return true;
    this.#noisyLog.line(`retained:${login}`, (suppressed) =>
      this.#log.warn(
        { login, topic: message.topic.slice(0, 200), messages, bytes, dropped: suppressed + 1 },
        'message not retained: the limit of this user is reached',
      ),
    );
    return false;
  }

  added(message: RetainedMessage): void {
    const tree = firstTwoLevels(message.topic);
    const used = this.#usage.get(tree);
    if (used === undefined) {
      this.#usage.set(tree, { messages: 1, bytes: bytesOf(message) });
      return;
    }
    used.messages++;
    used.bytes += bytesOf(message);
  }

  removed(message: RetainedMessage): void {
    const tree = firstTwoLevels(message.topic);
    const used = this.#usage.get(tree);
    if (used === undefined) return;
    used.messages--;
    used.bytes -= bytesOf(message);
    if (used.messages === 0) this.#usage.delete(tree);
  }
}

function bytesOf(message: RetainedMessage): number {
  return message.topic.length + levelsOf(message.topic) * BYTES_PER_LEVEL + message.payload.length;
}
