import type { Balance } from './account.js';

/** The bytes that one thing keeps, and the balance that they are charged to: nobody's at first, perhaps, or another's later. */
export class Charge {
  bytes = 0;
  #balance: Balance | null;

  constructor(balance: Balance | null = null) {
    this.#balance = balance;
  }

  /** Who pays, from here on, for all of it. */
  set balance(balance: Balance | null) {
    this.#balance?.add(-this.bytes);
    this.#balance = balance;
    balance?.add(this.bytes);
  }

  /** So much more is kept; or less, if it is negative. */
  add(bytes: number): void {
    this.bytes += bytes;
    this.#balance?.add(bytes);
  }
}
