import type { Account } from '../fairness/account.js';
import { Charge } from '../fairness/charge.js';

/**
 * Bytes that are read although they must wait. A client that sends a burst and closes takes back what its kernel still
 * holds, so it is better held here; more than this stays with the client until it can be handled.
 */
const BYTES = 256 * 1024;
/** The same in pieces: each costs memory of its own, and a client may send one byte at a time. */
const CHUNKS = 1_024;
/** The same for all connections of an account: beyond it each keeps only what it has read already. */
const ACCOUNT_BYTES = 4 * 1024 * 1024;
/** What a chunk takes besides its bytes. */
const BYTES_PER_CHUNK = 256;

/** Received bytes of one connection that wait, in order. */
export class ReadAhead {
  #account: Account;
  #chunks: Buffer[] = [];
  /** Where the first chunk begins. */
  #at = 0;
  readonly #charge: Charge;

  constructor(account: Account) {
    this.#account = account;
    this.#charge = new Charge(account.balances.readAhead);
  }

  /** Who pays, from here on. */
  set account(account: Account) {
    this.#account = account;
    this.#charge.balance = account.balances.readAhead;
  }

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Adds what has come. False when nothing more should be read for now. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.#count(chunk.length + BYTES_PER_CHUNK);
  }

  /**
   * Puts back what is left of the chunk that was taken last, or of one that could not wait; behind `behind`, if that is
   * what comes first.
   */
  unshift(chunk: Buffer, at: number, behind: Buffer | null): boolean {
    if (behind !== null && this.#chunks[0] === behind) {
      this.#chunks.splice(1, 0, chunk.subarray(at));
    } else {
      this.#chunks.unshift(chunk);
      this.#at = at;
    }
    return this.#count(chunk.length - at + BYTES_PER_CHUNK);
  }

  /** The next chunk, and where to begin in it. */
  shift(): { chunk: Buffer; at: number } {
    const chunk = this.#chunks.shift()!;
    const at = this.#at;
    this.#at = 0;
    this.#count(at - chunk.length - BYTES_PER_CHUNK);
    return { chunk, at };
  }

  clear(): void {
    this.#chunks = [];
    this.#at = 0;
    this.#count(-this.#charge.bytes);
  }

  #count(bytes: number): boolean {
    this.#charge.add(bytes);
    if (this.#charge.bytes > BYTES || this.#chunks.length > CHUNKS) return false;
    return this.#account.balances.readAhead.bytes <= ACCOUNT_BYTES && this.#account.hasRoom(0);
  }
}
