import type { KeyRange } from './keys.js';

/** The little of abstract-level that the store needs, so that a test can put its own in place. */
export interface Database {
  /** Rows of several brokers are in it, told apart by their slots: numbers have to say which (see shard.ts). */
  readonly slotted?: boolean;
  /** How long operations should wait while most of them are taken back that soon: each costs much. Not there: not at all. */
  readonly ripenMs?: number;
  get(key: string): Promise<Buffer | undefined>;
  iterator(range: ReadOptions): RowIterator;
  batch(): DatabaseBatch;
  /** Values that are longer should be prepared; not there: however long they are, there is nothing to prepare. */
  readonly longBytes?: number;
  /**
   * Writes what it can of a long value that is going to be put into a batch: this very buffer, soon. That batch
   * takes no longer than others then.
   */
  prepare?(value: Buffer): Promise<void>;
  /** It is not going to be put after all. */
  discard?(value: Buffer): Promise<void>;
  /** Where there is such a thing. */
  compactRange?(start: string, end: string): Promise<void>;
  close(): Promise<void>;
}

export interface ReadOptions extends KeyRange {
  /** What is read ahead. */
  readonly highWaterMarkBytes?: number;
  readonly limit?: number;
  /** From the last key to the first. */
  readonly reverse?: boolean;
  /** False: the keys alone. */
  readonly values?: boolean;
}

/** Rows in the order of their keys' bytes, as they were when the iterator was made. */
export interface RowIterator extends AsyncIterable<[string, Buffer]> {
  /** At most `count` rows; none at the end. */
  nextv(count: number): Promise<[string, Buffer][]>;
  close(): Promise<void>;
}

export interface DatabaseBatch {
  put(key: string, value: Buffer): unknown;
  del(key: string): unknown;
  write(options: { sync: boolean }): Promise<void>;
}

/** `create`: at start. `existing`: after a fault; making an empty store in the place of a lost one would lose all. */
export type OpenMode = 'create' | 'existing';
export type OpenDatabase = (mode: OpenMode) => Promise<Database>;
