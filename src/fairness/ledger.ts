import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { Account, Whole } from './account.js';

/** Of V8's limit, the part that is for young objects: nothing that is kept can stay there. */
const YOUNG_BYTES = 48 * 1024 * 1024;
/** Of the heap that the process was given, what all accounts together may hold, and that at the most. */
const SHARE_OF_HEAP = 0.6;
const MOST_BYTES = 256 * 1024 * 1024;
/** So much more than that is held only when some had much before others came: then who has most has to go. */
const OVERDRAWN = 1.25;
/** When so much of the heap is in use, whatever the accounts say, the heaviest has to go. */
const HEAP_IN_DANGER = 0.85;

export interface LedgerOptions {
  /** Bytes that one account may hold. */
  readonly memoryPerUser: number;
  /** Bytes that all accounts may hold together; 0: derived from the heap. */
  readonly memory: number;
}

/**
 * The accounts, and the two limits on what they hold: one for each, and one for all of them together. While the second
 * is reached, nobody may hold more than an equal part of it: who has little goes on.
 */
export class Ledger implements Whole {
  heldBytes = 0;
  /** Bytes. */
  limitForAll = 0;
  unsentLimit = 0;
  #limitPerUser = 0;
  readonly #accounts = new Set<Account>();

  constructor(limits: LedgerOptions) {
    this.setLimits(limits);
  }

  /** Who holds more than he may from now on holds it, and gets no more. */
  setLimits({ memoryPerUser, memory }: LedgerOptions): void {
    this.limitForAll = memory > 0 ? memory : Math.min(MOST_BYTES, Math.floor(heapBytes() * SHARE_OF_HEAP));
    this.#limitPerUser = Math.min(memoryPerUser, this.limitForAll);
    this.unsentLimit = this.#limitPerUser / 4;
  }

  open<A extends Account>(account: A): A {
    this.#accounts.add(account);
    return account;
  }

  close(account: Account): void {
    this.#accounts.delete(account);
  }

  get accounts(): Iterable<Account> {
    return this.#accounts;
  }

  /** Bytes that one account may hold. */
  limitOf({ memoryLimit }: Account): number {
    return memoryLimit === null ? this.#limitPerUser : Math.min(memoryLimit, this.limitForAll);
  }

  mayHold(account: Account, bytes: number): boolean {
    const after = account.heldBytes + bytes;
    if (after > this.limitOf(account)) return false;
    return this.heldBytes + bytes <= this.limitForAll || after <= this.limitForAll / this.#accounts.size;
  }

  /** The process comes near to what it was given: with more than the accounts may hold, or for a reason of its own. */
  get inDanger(): boolean {
    if (this.heldBytes > this.limitForAll * OVERDRAWN) return true;
    return keptBytes() > heapBytes() * HEAP_IN_DANGER;
  }

  /** Who holds most of what goes with connections; null when nobody holds anything. */
  get heaviest(): Account | null {
    let heaviest: Account | null = null;
    for (const account of this.#accounts) {
      if (account.connectedBytes > (heaviest?.connectedBytes ?? 0)) heaviest = account;
    }
    return heaviest;
  }
}

/** What the process may keep in its heap: what `--max-old-space-size` says, or V8 by itself. */
function heapBytes(): number {
  return getHeapStatistics().heap_size_limit - YOUNG_BYTES;
}

function keptBytes(): number {
  let bytes = 0;
  for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics()) {
    if (!name.startsWith('new_')) bytes += used;
  }
  return bytes;
}
