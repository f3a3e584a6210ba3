import { type ClientKind, splitClientKey } from './keys.js';

export interface Row {
  readonly key: string;
  readonly encodedId: string;
  readonly rest: string;
  readonly value: Buffer;
}

/** Rows of one kind in the order of their keys, taken client by client. */
export class RowReader {
  readonly #rows: AsyncIterator<[string, Buffer]>;
  readonly #kind: ClientKind;
  #next: Row | null | undefined;

  constructor(rows: AsyncIterable<[string, Buffer]>, kind: ClientKind) {
    this.#rows = rows[Symbol.asyncIterator]();
    this.#kind = kind;
  }

  /** Hands over the rows of this client, which come next, and before them those that belong to none. */
  async take(encodedId: string, orphan: (row: Row) => void, row: (row: Row) => void): Promise<void> {
    const end = `${encodedId}:`;
    for (let next = this.#next ?? (await this.#read()); next !== null; next = await this.#read()) {
      if (next.encodedId === encodedId) row(next);
      else if (`${next.encodedId}:` < end) orphan(next);
      else return;
    }
  }

  async rest(orphan: (row: Row) => void): Promise<void> {
    for (let next = this.#next ?? (await this.#read()); next !== null; next = await this.#read()) orphan(next);
  }

  async close(): Promise<void> {
    await this.#rows.return?.();
  }

  async #read(): Promise<Row | null> {
    if (this.#next === null) return null;
    const { value, done } = await this.#rows.next();
    if (done) {
      this.#next = null;
    } else {
      const [key, bytes] = value as [string, Buffer];
      this.#next = { key, value: bytes, ...splitClientKey(key, this.#kind) };
    }
    return this.#next;
  }
}
