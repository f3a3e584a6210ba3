import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../observe/log.js';
import type { GroupCommit } from './group-commit.js';
import { sessionRange, splitSessionKey } from './keys.js';
import { decodeHead } from './outgoing-rows.js';
import type { SharedContents } from './shared-contents.js';

/** Rows that go in one group: so many delay nobody's acknowledgement. */
const ROWS_AT_ONCE = 256;

/**
 * Takes the rows of removed sessions off the disk, a few at a time. Nobody can find them any more; those that a crash
 * leaves behind go when the sessions are loaded.
 */
export class Sweeper {
  readonly #group: GroupCommit;
  readonly #contents: SharedContents;
  readonly #log: Log;
  readonly #sessions: number[] = [];
  #sweeping: Promise<void> | null = null;
  #closed = false;

  constructor(options: { group: GroupCommit; contents: SharedContents; log: Log }) {
    this.#group = options.group;
    this.#contents = options.contents;
    this.#log = options.log;
  }

  add(session: number): void {
    this.#sessions.push(session);
    this.#sweeping ??= this.#sweepAll();
  }

  /** Resolves when nothing is left to sweep. */
  async idle(): Promise<void> {
    await this.#sweeping;
  }

  /** What is left is for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sessions.length = 0;
    await this.#sweeping;
  }

  async #sweepAll(): Promise<void> {
    for (let session = this.#sessions.shift(); session !== undefined; session = this.#sessions.shift()) {
      // What was handed over in the turn that removed the session is on its way in the next one.
      await nextTurn();
      try {
        await this.#sweep(session);
      } catch (error) {
        this.#log.warn({ err: error }, 'rows of a removed session stay until the next start');
      }
    }
    this.#sweeping = null;
  }

  async #sweep(session: number): Promise<void> {
    for await (const rows of this.#group.chunks(sessionRange(session), ROWS_AT_ONCE)) {
      for (const [key, value] of rows) {
        const { kind } = splitSessionKey(key);
        const contentId = kind === 'o' ? decodeHead(value).contentId : 0;
        if (contentId !== 0) this.#contents.release(contentId);
        this.#group.delete(key);
      }
      if ((await this.#group.settled()) !== null || this.#closed) return;
    }
  }
}
