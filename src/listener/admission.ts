import type { LimitsConfig } from '../config/config.js';

/** How many connections there are, in all and from each address, from TCP accept to close. */
export class Admission {
  readonly #maxPerAddress: number;
  readonly #perAddress = new Map<string, number>();

  constructor(limits: Pick<LimitsConfig, 'connectionsPerAddress'>) {
    this.#maxPerAddress = limits.connectionsPerAddress;
  }

  /** Counts one more connection, or refuses it. What was admitted is released once. */
  admit(address: string): boolean {
    const count = this.#perAddress.get(address) ?? 0;
    if (count >= this.#maxPerAddress) return false;
    this.#perAddress.set(address, count + 1);
    return true;
  }

  release(address: string): void {
    const count = this.#perAddress.get(address) ?? 0;
    if (count > 1) this.#perAddress.set(address, count - 1);
    else this.#perAddress.delete(address);
  }
}
