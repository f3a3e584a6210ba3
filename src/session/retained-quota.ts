import { ownerOf } from '../mqtt/retained-owner.js';
import { levelsOf } from '../mqtt/topics.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { limitHint } from '../observe/in-words.js';
import { countLimit } from '../observe/limits-reached.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { RetainedMessage } from '../store/contract.js';
import type { UserAccount } from './user-account.js';

/** What a level of a topic takes in the tree: two hundred levels of one letter are far more than their text. */
const BYTES_PER_LEVEL = 128;
/** What a retained message takes besides. */
const BYTES_PER_MESSAGE = 400;

/** How much each user keeps as retained messages, whatever their topics are: whoever published one pays for it. */
export class RetainedQuota {
  readonly #account: (login: string) => UserAccount;
  readonly #log: Log;
  readonly #noisyLog: RateLimited;
  readonly #counters: Counters;
  readonly #history: History;

  constructor(options: {
    readonly account: (login: string) => UserAccount;
    readonly log: Log;
    readonly noisyLog: RateLimited;
    readonly counters: Counters;
    readonly history: History;
  }) {
    this.#account = options.account;
    this.#log = options.log;
    this.#noisyLog = options.noisyLog;
    this.#counters = options.counters;
    this.#history = options.history;
  }

  /**
   * False when keeping a message instead of `before` would go over a limit. `messageBytes` are those of its payload and its
   * properties.
   */
  admits(topic: string, messageBytes: number, before: RetainedMessage | undefined, account: UserAccount): boolean {
    const replaced = before !== undefined && ownerOf(before) === account.login;
    const more = bytesIn(topic, messageBytes) - (replaced ? bytesOf(before) : 0);
    const messages = account.retainedMessages + (replaced ? 0 : 1);
    const bytes = account.balances.retained.bytes + more;
    const { retainedMessagesPerUser, retainedBytesPerUser } = account.limits;
    const fits = messages <= retainedMessagesPerUser && bytes <= retainedBytesPerUser;
    if (fits && (more <= 0 || account.hasRoom(more))) return true;
    const { login } = account;
    countLimit(this.#counters, 'retained-quota');
    this.#history.denied({ login, clientId: '' }, 'retain', topic, 'retained-quota', () => limitHint('retained-quota'));
    this.#noisyLog
      .user(login)
      .line('retained', (suppressed) =>
        this.#log.warn(
          { login, topic: topic.slice(0, 200), messages, bytes, dropped: suppressed + 1 },
          'message not retained: the limit of this user is reached',
        ),
      );
    return false;
  }

  added(message: RetainedMessage): void {
    const account = this.#account(ownerOf(message));
    account.retainedMessages++;
    account.balances.retained.add(bytesOf(message));
  }

  removed(message: RetainedMessage): void {
    const account = this.#account(ownerOf(message));
    account.retainedMessages--;
    account.balances.retained.add(-bytesOf(message));
  }
}

/** What a retained message takes in memory. */
function bytesOf(message: RetainedMessage): number {
  return bytesIn(message.topic, message.payload.length + (message.properties?.length ?? 0));
}

function bytesIn(topic: string, messageBytes: number): number {
  return BYTES_PER_MESSAGE + topic.length + levelsOf(topic) * BYTES_PER_LEVEL + messageBytes;
}
