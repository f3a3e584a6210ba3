import type { Account } from '../fairness/account.js';

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
  #bytes = 0;

  constructor(account: Account) {
    this.#account = account;
  }

  /** Who pays, from here on. */
  set account(account: Account) {
    this.#account.balances.readAhead.add(-this.#bytes);
    this.#account = account;
    account.balances.readAhead.add(this.#bytes);
  }

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Adds what has come. False when nothing more should be read for now. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.#count(chunk.length + BYTES_PER_CHUNK);
  }

  /** Puts back what is left of the chunk that was taken last, or of one that could not wait. */
  unshift(chunk: Buffer, at: number): boolean {
    this.#chunks.unshift(chunk);
    this.#at = at;
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
    this.#count(-this.#bytes);
  }

  #count(bytes: number): boolean {
    this.#bytes += bytes;
    const { readAhead } = this.#account.balances;
    readAhead.add(bytes);
    if (this.#bytes > BYTES || this.#chunks.length > CHUNKS) return false;
    return readAhead.bytes <= ACCOUNT_BYTES && this.#account.hasRoom(0);
  }
}
