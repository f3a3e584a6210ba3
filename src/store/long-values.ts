import type { Database, OpenDatabase } from './database.js';

/** Writes long values apart before they are put, so that nobody else's operations wait for them in a common group. */
export class LongValues {
  #db: Database | null = null;

  /** Opens the database that they are going to be put into; after a fault, another one. */
  opening(open: OpenDatabase): OpenDatabase {
    return async (mode) => {
      this.#db = await open(mode);
      return this.#db;
    };
  }

  /** Longer ones should be prepared. */
  get longBytes(): number {
    return this.#db?.longBytes ?? Number.POSITIVE_INFINITY;
  }

  /** What could not be written is written as it is put, and if that fails as well, everybody hears of it there. */
  async prepare(value: Buffer): Promise<void> {
    await this.#db?.prepare?.(value).catch(() => {});
  }

  /** It is not put after all. What stays of it is nobody's, and goes at the next start. */
  discard(value: Buffer): void {
    this.#db?.discard?.(value).catch(() => {});
  }
}
