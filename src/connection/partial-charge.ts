import type { Account } from '../fairness/account.js';
import { Charge } from '../fairness/charge.js';
import type { PartialFrame } from './frames.js';
import { ProtocolError } from './protocol-error.js';

/** A frame that came in part is not counted up to this size: that happens at the end of every record that is read. */
const UNCOUNTED_BYTES = 1024;
/** Up to this size it is never refused. */
const UNREFUSED_BYTES = 16 * 1024;
/** And has room up to this size, however full its user's account is: an UNSUBSCRIBE gives back. */
const ALWAYS_BYTES = 256 * 1024;

/** Charges what is kept of a connection's frame that is not whole. */
export class PartialCharge {
  #account: Account;
  readonly #charge: Charge;

  constructor(account: Account) {
    this.#account = account;
    this.#charge = new Charge(account.balances.partial);
  }

  /** Who pays, from here on. */
  set account(account: Account) {
    this.#account = account;
    this.#charge.balance = account.balances.partial;
  }

  /** The frame has grown, or is whole or given up (null). Throws a `ProtocolError` when it takes too much. */
  update(frame: PartialFrame | null): void {
    const bytes = frame === null || frame.bytes <= UNCOUNTED_BYTES ? 0 : frame.bytes;
    const more = bytes - this.#charge.bytes;
    if (more === 0) return;
    const { partial } = this.#account.balances;
    if (bytes > UNREFUSED_BYTES && more > 0 && partial.bytes + more > ALWAYS_BYTES && !this.#account.hasRoom(more)) {
      throw new ProtocolError('quota', 'too many packets that came in part');
    }
    this.#charge.add(more);
  }
}
