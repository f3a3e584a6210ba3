import { type ClientKind, splitClientKey } from './keys-version-1.js';

export interface Row {
  readonly encodedId: string;
  readonly rest: string;
  readonly value: Buffer;
}

/** Rows of one kind in the order of their keys, taken client by client. */
export class RowReader {
  readonly #chunks: AsyncGenerator<[string, Buffer][]>;
  readonly #kind: ClientKind;
  #chunk: [string, Buffer][] = [];
  #index = 0;
  #next: Row | null = null;

  constructor(chunks: AsyncGenerator<[string, Buffer][]>, kind: ClientKind) {
    this.#chunks = chunks;
    this.#kind = kind;
  }

  /** The next row of this client; null at the end. Those of clients before it, which nobody has asked for, are passed over. */
  async next(encodedId: string): Promise<Row | null> {
    const end = `${encodedId}:`;
    for (let row = await this.#peek(); row !== null; row = await this.#peek()) {
      if (row.encodedId !== encodedId && `${row.encodedId}:` > end) return null;
      this.#next = null;
      if (row.encodedId === encodedId) return row;
    }
    return null;
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  async #peek(): Promise<Row | null> {
    if (this.#next !== null) return this.#next;
    while (this.#index === this.#chunk.length) {
      const { value, done } = await this.#chunks.next();
      if (done) return null;
      this.#chunk = value;
      this.#index = 0;
    }
    const [key, value] = this.#chunk[this.#index++]!;
    this.#next = { value, ...splitClientKey(key, this.#kind) };
    return this.#next;
  }
}
