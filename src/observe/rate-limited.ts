import type { Clock } from '../clock.js';

/**
 * For lines that a client can cause at will: refusals, denials, connects. Whoever causes them has a memory of its own
 * here, so that nobody makes the lines of another one disappear. Users who are logged in and networks from which nobody
 * is have separate budgets: inventing logins, or coming from a thousand networks, takes nothing from a user.
 */
export interface RateLimited {
  /** Of a user who is logged in. */
  user(login: string): LineLimit;
  /** Of somebody who is not logged in: an address, or with IPv6 its /64 network. */
  network(network: string): LineLimit;
  /** Of nobody in particular, all of it in one budget. */
  line(key: string, write: WriteLine): void;
  /** Writes what is held back and lets go of the timers. */
  close(): void;
}

export interface LineLimit {
  /**
   * Writes the first `burst` lines of a kind at once (one unless given), and from then on at most one per period: the
   * last one, with how many others were suppressed. Building a line costs nothing before it is due.
   */
  line(kind: string, write: WriteLine, burst?: number): void;
}

type WriteLine = (suppressed: number) => void;

interface Options {
  readonly clock: Clock;
  readonly periodMs?: number;
  /** Beyond these, users share one memory; a user who was quiet for a period is forgotten. */
  readonly maxUsers?: number;
  /** The same for networks. */
  readonly maxNetworks?: number;
  /** Keys of `line`. */
  readonly maxKeys?: number;
}

/** A user's lines are told apart by kind and perhaps by client id; what goes beyond shares one kind. */
const kindsPerUser = 32;
/** Fewer, since networks can be had by the thousand. */
const kindsPerNetwork = 8;

export function createRateLimited(options: Options): RateLimited {
  const { clock, periodMs = 10_000, maxUsers = 10_000, maxNetworks = 1_000, maxKeys = 1_000 } = options;
  const users = new Budget(maxUsers, () => new Owner(clock, periodMs, kindsPerUser));
  const networks = new Budget(maxNetworks, () => new Owner(clock, periodMs, kindsPerNetwork));
  const nobody = new Owner(clock, periodMs, maxKeys);
  return {
    user: (login) => users.of(login),
    network: (network) => networks.of(network),
    line: (key, write) => nobody.line(key, write),
    close: () => {
      users.close();
      networks.close();
      nobody.close();
    },
  };
}

/** Owners of one sort, as many as may be; the others share one. */
class Budget {
  readonly #max: number;
  readonly #make: () => Owner;
  readonly #owners = new Map<string, Owner>();
  readonly #others: Owner;

  constructor(max: number, make: () => Owner) {
    this.#max = max;
    this.#make = make;
    this.#others = make();
  }

  /** Looks the owner up with each line: one that was quiet is forgotten in between. */
  of(name: string): LineLimit {
    return { line: (kind, write, burst) => this.#owner(name).line(kind, write, burst) };
  }

  #owner(name: string): Owner {
    const known = this.#owners.get(name);
    if (known !== undefined) return known;
    if (this.#owners.size >= this.#max) return this.#others;
    const owner = this.#make();
    owner.onQuiet = () => this.#owners.delete(name);
    this.#owners.set(name, owner);
    return owner;
  }

  close(): void {
    for (const owner of [...this.#owners.values(), this.#others]) owner.close();
  }
}

/** One kind of line, from its first one until a period passes without any. */
interface Held {
  /** Written at once in this period. */
  written: number;
  suppressed: number;
  /** The last one that was suppressed. */
  write: WriteLine | null;
  cancel: () => void;
}

/** All kinds beyond the limit share this one, so that inventing kinds does not get more lines written. */
const overflow = '\0';

class Owner {
  onQuiet: () => void = () => {};
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #maxKinds: number;
  readonly #kinds = new Map<string, Held>();

  constructor(clock: Clock, periodMs: number, maxKinds: number) {
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#maxKinds = maxKinds;
  }

  line(kind: string, write: WriteLine, burst = 1): void {
    const key = this.#kinds.has(kind) || this.#kinds.size < this.#maxKinds ? kind : overflow;
    let held = this.#kinds.get(key);
    if (held === undefined) {
      held = { written: 0, suppressed: 0, write: null, cancel: this.#afterPeriod(key) };
      this.#kinds.set(key, held);
    }
    if (held.written < burst) {
      held.written += 1;
      write(0);
      return;
    }
    held.suppressed += 1;
    held.write = write;
  }

  close(): void {
    const kinds = [...this.#kinds.values()];
    this.#kinds.clear();
    this.onQuiet();
    for (const { cancel, write, suppressed } of kinds) {
      cancel();
      write?.(suppressed - 1);
    }
  }

  /** A quiet kind is forgotten, a noisy one gets its line and another period. */
  #periodOver(key: string): void {
    const held = this.#kinds.get(key);
    if (held === undefined) return;
    const { write, suppressed } = held;
    if (write === null) {
      this.#kinds.delete(key);
      if (this.#kinds.size === 0) this.onQuiet();
      return;
    }
    held.write = null;
    held.suppressed = 0;
    held.written = 1;
    held.cancel = this.#afterPeriod(key);
    write(suppressed - 1);
  }

  #afterPeriod(key: string): () => void {
    return this.#clock.after(this.#periodMs, () => this.#periodOver(key));
  }
}
