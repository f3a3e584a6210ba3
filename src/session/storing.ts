import type { Balance } from '../fairness/account.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import { Valve } from '../valve.js';

/** What a user may have handed to the store that is not on disk yet: all users wait for the same groups. */
const STORING_BYTES = 1024 * 1024;
/** What a row takes besides the message: its key, its place in the group, and its time on the disk's way. */
const BYTES_PER_ROW = 512;

/**
 * The messages of one user that the store has and the disk has not. One small message to a thousand persistent sessions
 * is a thousand rows, and whatever one user has in a group of the store, everybody's next acknowledgement waits for.
 */
export class Storing {
  /** Closed while that is too much: none of the user's connections hands over more then. */
  readonly valve = new Valve();
  readonly #balance: Balance;

  constructor(balance: Balance) {
    this.#balance = balance;
  }

  /** All parts of a message were handed over: its ticket gives back what is charged now. */
  charge(messageBytes: number, ticket: SafetyTicket): void {
    ticket.charged(this, this.add(messageBytes, ticket.pending));
  }

  /** A message was handed over, in so many rows. Returns what to give back when it is on disk. */
  add(messageBytes: number, rows: number): number {
    const bytes = messageBytes + rows * BYTES_PER_ROW;
    this.#balance.add(bytes);
    if (this.#balance.bytes > STORING_BYTES) this.valve.close();
    return bytes;
  }

  done(bytes: number): void {
    this.#balance.add(-bytes);
    if (this.valve.closed && this.#balance.bytes <= STORING_BYTES / 2) this.valve.open();
  }
}
