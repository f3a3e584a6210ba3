import type { Clock } from '../clock.js';
import { Fault as BrokerFault } from '../errors.js';
import type { CertificateKind, Fault, FaultScope } from './fault-api.js';
import type { Waiting } from './waiting.js';

/** When a connection breaks. */
export interface DropRule {
  readonly after: number;
  readonly from: 'client' | 'broker';
  readonly type: number | null;
  readonly midPacket: boolean;
}

/** The kinds of faults, and what each needs to know. */
export interface Kinds {
  refuseConnect: { code: number };
  credentialsDown: null;
  credentialsSlow: { delayMs: number };
  dropConnection: DropRule;
  sendDisconnect: { reasonCode: number };
  holdAcknowledgements: null;
  loseAcknowledgement: { keepConnection: boolean };
  delayDelivery: { delayMs: number };
  throttleDelivery: { bytesPerSecond: number };
  stallReading: null;
  certificate: { kind: CertificateKind };
}

export type Kind = keyof Kinds;

/** Who holds something back for a fault, and lets go of it when the fault is lifted. */
export interface Holder {
  faultLifted(rule: unknown): void;
}

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

/** The faults that are set. Connections, credentials and certificates ask here what is to go wrong now. */
export class FaultBoard {
  readonly #rules = new Map<Kind, FaultRule<unknown>[]>();
  readonly #holders = new Set<Holder>();
  readonly #clock: Clock;
  readonly #waiting: Waiting;

  constructor(clock: Clock, waiting: Waiting) {
    this.#clock = clock;
    this.#waiting = waiting;
  }

  add<K extends Kind>(kind: K, parameters: Kinds[K], scope: FaultScope): FaultRule<Kinds[K]> {
    const rules = this.#of(kind);
    const rule: FaultRule<Kinds[K]> = new FaultRule(kind, parameters, scope, this.#waiting, () => {
      rules.splice(rules.indexOf(rule), 1);
      for (const holder of [...this.#holders]) holder.faultLifted(rule);
    });
    rules.push(rule);
    return rule;
  }

  liftAll(): void {
    for (const rules of this.#rules.values()) for (const rule of [...rules]) rule.lift();
  }

  /** The rule of this kind that strikes now; the hit is counted. */
  strike<K extends Kind>(kind: K, whom: FaultScope): FaultRule<Kinds[K]> | null {
    const rule = this.#of(kind).find((each) => each.concerns(whom)) ?? null;
    rule?.strike();
    return rule;
  }

  /** All rules of this kind that would strike. */
  all<K extends Kind>(kind: K, whom: FaultScope): FaultRule<Kinds[K]>[] {
    return this.#of(kind).filter((rule) => rule.concerns(whom));
  }

  join(holder: Holder): void {
    this.#holders.add(holder);
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** What the credential backend goes through before it answers. Rejects while it is down. */
  async credentials(login: string, signal: AbortSignal): Promise<void> {
    if (this.strike('credentialsDown', { login }) !== null) {
      throw new BrokerFault('E_CREDENTIALS_UNAVAILABLE', 'the credential backend is down, since a test said so');
    }
    const slow = this.strike('credentialsSlow', { login });
    if (slow === null) return;
    await new Promise<void>((resolve) => {
      const holder: Holder = { faultLifted: (rule) => rule === slow && over() };
      const over = (): void => {
        cancel();
        this.leave(holder);
        resolve();
      };
      const cancel = this.#clock.after(slow.parameters.delayMs, over);
      this.join(holder);
      signal.addEventListener('abort', over, { once: true });
    });
  }

  #of<K extends Kind>(kind: K): FaultRule<Kinds[K]>[] {
    let rules = this.#rules.get(kind);
    if (rules === undefined) {
      rules = [];
      this.#rules.set(kind, rules);
    }
    return rules as FaultRule<Kinds[K]>[];
  }
}
