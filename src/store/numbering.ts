import { SLOTS } from '../shard.js';
import type { Database } from './database.js';
import { rangeOf, readNumber } from './keys.js';

/** The highest number among keys that begin with `prefix`; 0 when there is none. */
export async function lastNumber(db: Database, prefix: string): Promise<number> {
  const iterator = db.iterator({ ...rangeOf(prefix), reverse: true, limit: 1 });
  try {
    const [row] = await iterator.nextv(1);
    return row === undefined ? 0 : readNumber(row[0].slice(prefix.length).split(':', 1)[0]!);
  } finally {
    await iterator.close();
  }
}

/** Numbers that were never given before. Where several brokers share a database, a number is its slot's modulo SLOTS. */
export class Numbers {
  readonly slotted: boolean;
  #last: number;

  private constructor(last: number, slotted: boolean) {
    this.#last = slotted ? Math.floor(last / SLOTS) : last;
    this.slotted = slotted;
  }

  /** Beyond those of the keys that begin with `prefix`. */
  static async after(db: Database, prefix: string): Promise<Numbers> {
    return new Numbers(await lastNumber(db, prefix), db.slotted === true);
  }

  next(slot: number): number {
    this.#last++;
    return this.slotted ? this.#last * SLOTS + slot : this.#last;
  }

  /** Whether what has this number is kept beside what has that one. */
  beside(number: number, other: number): boolean {
    return !this.slotted || number % SLOTS === other % SLOTS;
  }
}
