import type { GroupCommit } from './group-commit.js';
import type { KeyRange } from './keys.js';

type LibraryOperation = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string };

/**
 * What aedes-persistence-level asks of its database, over the groups: every promise settles when the group that holds the
 * operation is on disk, or could not be written.
 */
export class LibraryDatabase {
  readonly #group: GroupCommit;

  constructor(group: GroupCommit) {
    this.#group = group;
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#group.get(key);
  }

  put(key: string, value: Buffer): Promise<void> {
    this.#group.put(key, value);
    return this.written();
  }

  del(key: string): Promise<void> {
    this.#group.delete(key);
    return this.written();
  }

  batch(operations: readonly LibraryOperation[]): Promise<void> {
    for (const operation of operations) {
      if (operation.type === 'put') this.#group.put(operation.key, operation.value);
      else this.#group.delete(operation.key);
    }
    return this.written();
  }

  /**
   * Subscriptions are hidden: the library reads them only to fill its own matcher, which nobody asks, and their rows are
   * not in its format.
   */
  async *values(range: KeyRange): AsyncGenerator<Buffer> {
    if (range.gte.startsWith('subscriptions:')) return;
    for await (const [, value] of this.#group.entries(range)) yield value;
  }

  async clear(range: KeyRange): Promise<void> {
    for await (const [key] of this.#group.entries(range)) this.#group.delete(key);
    await this.written();
  }

  close(): Promise<void> {
    return this.#group.close();
  }

  written(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#group.committed((fault) => (fault === null ? resolve() : reject(fault)));
    });
  }
}
