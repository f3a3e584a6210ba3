import type { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { Database } from './database.js';
import type { KeyRange } from './keys.js';

export type Committed = (fault: Fault | null) => void;

/** A function makes it when it is written, or read before: most messages are acknowledged earlier, and need none. */
export type RowValue = Buffer | (() => Buffer);

interface Operation {
  /** Null deletes. */
  value: RowValue | null;
  /** The key is nowhere on disk nor in an earlier group, so that deleting it means never writing it. */
  fresh: boolean;
}

/** Operations that are written together, and who waits for them. */
export class Group {
  readonly operations = new Map<string, Operation>();
  readonly callbacks: Committed[] = [];
  /** None of its operations is older. */
  sinceMs = 0;

  get empty(): boolean {
    return this.operations.size === 0 && this.callbacks.length === 0;
  }

  put(key: string, value: RowValue, fresh: boolean): void {
    const operation = this.operations.get(key);
    if (operation === undefined) this.operations.set(key, { value, fresh });
    else operation.value = value;
  }

  /** Whether a put went that need never be written now. */
  delete(key: string): boolean {
    const operation = this.operations.get(key);
    if (operation === undefined) this.operations.set(key, { value: null, fresh: false });
    else if (operation.fresh) return this.operations.delete(key);
    else operation.value = null;
    return false;
  }

  /** Takes out a put that need never be written; false: there is none. */
  spare(key: string): boolean {
    return this.hasFresh(key) && this.operations.delete(key);
  }

  hasFresh(key: string): boolean {
    return this.operations.get(key)?.fresh === true;
  }

  /** What failed may be on the disk all the same, in part or whole. */
  noneFresh(): void {
    for (const operation of this.operations.values()) operation.fresh = false;
  }

  /** Takes in what came after it. */
  absorb(later: Group): void {
    for (const [key, operation] of later.operations) {
      const known = this.operations.get(key);
      if (known === undefined) this.operations.set(key, operation);
      else {
        known.value = operation.value;
        // It may be a delete, and that has to be written.
        known.fresh = false;
      }
    }
    for (const callback of later.callbacks) this.callbacks.push(callback);
  }

  /** What is pending for the key: null deletes; undefined: nothing. */
  valueOf(key: string): Buffer | null | undefined {
    const operation = this.operations.get(key);
    return operation === undefined ? undefined : made(operation);
  }

  /** Adds what it changes within the range. */
  collect({ gte, lt }: KeyRange, changes: Map<string, Buffer | null>): void {
    for (const [key, operation] of this.operations) if (key >= gte && key < lt) changes.set(key, made(operation));
  }

  async write(db: Database, sync: boolean): Promise<void> {
    const batch = db.batch();
    for (const [key, operation] of this.operations) {
      const value = made(operation);
      if (value === null) batch.del(key);
      else batch.put(key, value);
    }
    await batch.write({ sync });
  }
}

function made(operation: Operation): Buffer | null {
  if (typeof operation.value === 'function') operation.value = operation.value();
  return operation.value;
}

/** Tells all that wait, whatever one of them does. By index: callbacks may add to the list while it is worked through. */
export function tellAll(callbacks: readonly Committed[], fault: Fault | null, log: Log): void {
  for (let index = 0; index < callbacks.length; index++) {
    try {
      callbacks[index]?.(fault);
    } catch (error) {
      log.error({ err: error }, 'a callback of the store failed');
    }
  }
}
