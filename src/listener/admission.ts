import type { LimitsConfig } from '../config/config.js';

/** How many connections there are from each network, from TCP accept to close. */
export class Admission {
  readonly #limits: Pick<LimitsConfig, 'connectionsPerAddress'>;
  readonly #connections = new Map<string, number>();

  constructor(limits: Pick<LimitsConfig, 'connectionsPerAddress'>) {
    this.#limits = limits;
  }

  /** How many networks have a connection; nothing is kept of the others. */
  get networks(): number {
    return this.#connections.size;
  }

  /**
   * Counts one more connection, or refuses it. What was admitted is released once. With `spare` ones it is to be seen by
   * `fits` whether it may stay.
   */
  admit(network: string, spare = 0): boolean {
    const count = this.#connections.get(network) ?? 0;
    if (count >= this.#limits.connectionsPerAddress + spare) return false;
    this.#connections.set(network, count + 1);
    return true;
  }

  /** Whether there are no more than without spare ones. */
  fits(network: string): boolean {
    return (this.#connections.get(network) ?? 0) <= this.#limits.connectionsPerAddress;
  }

  release(network: string): void {
    const count = this.#connections.get(network) ?? 0;
    if (count > 1) this.#connections.set(network, count - 1);
    else this.#connections.delete(network);
  }
}
