import type { Fault, FaultScope } from './fault-api.js';
import type { Waiting } from './waiting.js';

/** One rule of `Faults`. `Parameters` is what the kind of fault needs to know. */
export class FaultRule<Parameters> implements Fault {
  readonly parameters: Parameters;
  hits = 0;
  readonly #kind: string;
  readonly #scope: FaultScope;
  readonly #waiting: Waiting;
  readonly #onLift: () => void;
  #limit = Number.POSITIVE_INFINITY;
  #lifted = false;

  constructor(kind: string, parameters: Parameters, scope: FaultScope, waiting: Waiting, onLift: () => void) {
    this.#kind = kind;
    this.parameters = parameters;
    this.#scope = { ...scope };
    this.#waiting = waiting;
    this.#onLift = onLift;
  }

  once(): this {
    return this.times(1);
  }

  times(count: number): this {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`times(${count}): a whole number from 1 on`);
    this.#limit = count;
    return this;
  }

  lift(): void {
    if (this.#lifted) return;
    this.#lifted = true;
    this.#onLift();
  }

  concerns({ login, clientId }: FaultScope): boolean {
    if (this.#lifted || this.hits >= this.#limit) return false;
    const scope = this.#scope;
    if (scope.login !== undefined && scope.login !== login) return false;
    return scope.clientId === undefined || scope.clientId === clientId;
  }

  /** Counts a hit. */
  strike(): void {
    this.hits++;
    this.#waiting.changed();
  }

  async waitForHits(count = 1, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    const failure = () => `The fault ${this.#kind} has struck ${this.hits} of ${count} times`;
    await this.#waiting.until(() => this.hits >= count || undefined, { timeoutMs, failure });
  }
}
