import { networkOf } from '../network.js';
import { Account } from './account.js';
import type { Ledger } from './ledger.js';

/** What all peers together may hold before they are let in. */
const STRANGERS_BYTES = 64 * 1024 * 1024;

/** Before login, work and bytes belong to the network that a connection came from. */
export class Networks {
  readonly #ledger: Ledger;
  readonly #known = new Map<string, { readonly account: Account; connections: number }>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The account of an address, until as many have left it as have entered. */
  enter(address: string): Account {
    const name = networkOf(address);
    let network = this.#known.get(name);
    if (network === undefined) {
      network = { account: this.#ledger.open(new Account(name, this.#ledger)), connections: 0 };
      this.#known.set(name, network);
    }
    network.connections++;
    return network.account;
  }

  leave(account: Account): void {
    const network = this.#known.get(account.name);
    if (network === undefined || --network.connections > 0) return;
    this.#known.delete(account.name);
    this.#ledger.close(account);
  }

  /** They hold more than all of them may, together. */
  get full(): boolean {
    let held = 0;
    for (const { account } of this.#known.values()) held += account.heldBytes;
    return held > STRANGERS_BYTES;
  }
}
