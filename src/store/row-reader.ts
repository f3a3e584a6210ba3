import { type ClientKind, splitClientKey } from './keys.js';

export interface Row {
  readonly key: string;
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
  #ended = false;

  constructor(chunks: AsyncGenerator<[string, Buffer][]>, kind: ClientKind) {
    this.#chunks = chunks;
    this.#kind = kind;
  }

  /** Hands over the rows of this client, which come next, and before them those that belong to none. */
  async take(encodedId: string, orphan: (row: Row) => void, use: (row: Row) => void): Promise<void> {
    const end = `${encodedId}:`;
    while (this.#peek() || (await this.#read())) {
      const row = this.#next!;
      if (row.encodedId === encodedId) use(row);
      else if (`${row.encodedId}:` < end) orphan(row);
      else return;
      this.#next = null;
    }
  }

  async rest(orphan: (row: Row) => void): Promise<void> {
    for (; this.#peek() || (await this.#read()); this.#next = null) orphan(this.#next!);
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  /** False when the rows read so far are used up. */
  #peek(): boolean {
    if (this.#next !== null) return true;
    if (this.#index >= this.#chunk.length) return false;
    const [key, value] = this.#chunk[this.#index++]!;
    this.#next = { key, value, ...splitClientKey(key, this.#kind) };
    return true;
  }

  async #read(): Promise<boolean> {
    while (!this.#ended) {
      const { value, done } = await this.#chunks.next();
      if (done) {
        this.#ended = true;
      } else {
        this.#chunk = value;
        this.#index = 0;
        if (this.#peek()) return true;
      }
    }
    return false;
  }
}
