/** What one user may cost within one turn of the event loop before the others get theirs, in messages handled. */
const UNITS_PER_TURN = 6_000;
const LEAST_UNITS_PER_USER = 150;

/** Who pays for work: a user. What it has spent is noted here, and understood by `Turn` alone. */
export interface Payer {
  /** Units spent in turn `turnId`. */
  turnId: number;
  turnUnits: number;
  /** What the share was in that turn. */
  turnShare: number;
}

/** Work left over from an earlier turn. */
export interface Deferred {
  goOn(): void;
}

/** A socket that gathered something to write. */
export interface Flushable {
  flush(): void;
}

/**
 * One turn of the event loop, shared by all connections of a broker. It does two things at the end of each:
 *
 * - writes every socket that got something, once. Everything for one socket within a turn becomes one write, one TLS
 *   record and one system call (bench row "QoS 0, 1 → 1": 0.6 µs a message instead of 10).
 * - keeps users from crowding each other out: a connection whose user has had a fair share of the turn leaves the rest
 *   of its bytes for the next one, and is read no further until then.
 */
export class Turn {
  /** Counts turns; payers compare it to know whether their units are of this turn. */
  id = 1;
  /** Milliseconds, at the end of the last turn. */
  endedAt = 0;
  /** What one user may spend in this turn. */
  unitsPerUser = UNITS_PER_TURN;

  #scheduled = false;
  #relieving = false;
  #dirty: Flushable[] = [];
  /** In the order of their turns: those that got nothing of the last one come first. */
  #deferred: Deferred[] = [];
  #starved: Deferred[] = [];
  #activeUsers = 0;
  readonly #run = (): void => this.#end();

  /** Makes sure that this turn has an end. */
  touch(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** `outbox` has something to write at the end of this turn. */
  mark(outbox: Flushable): void {
    this.#dirty.push(outbox);
    this.touch();
  }

  /** `connection` has spent its user's share; it goes on in the next turn. */
  defer(connection: Deferred): void {
    this.#deferred.push(connection);
    this.touch();
  }

  /** The others of its user have spent the share before `connection` got anything: it is the first in the next turn. */
  deferStarved(connection: Deferred): void {
    this.#starved.push(connection);
    this.touch();
  }

  /**
   * `connection` may go on: at once (bench row "QoS 1, 1 → 1"), but not within the packets of another one that was
   * relieved just so. A chain of a thousand connections that make room for each other would exhaust the stack.
   */
  relieve(connection: Deferred): void {
    if (this.#relieving) {
      this.defer(connection);
      return;
    }
    this.#relieving = true;
    try {
      connection.goOn();
    } finally {
      this.#relieving = false;
    }
  }

  /** Nothing is left of the user's share of this turn. */
  spent(payer: Payer): boolean {
    return this.#unitsOf(payer) >= this.unitsPerUser;
  }

  /** Charges `units` to a user. False when the user's share of this turn is spent. */
  spend(payer: Payer, units: number): boolean {
    payer.turnUnits = this.#unitsOf(payer) + units;
    if (payer.turnId !== this.id) {
      payer.turnId = this.id;
      payer.turnShare = this.unitsPerUser;
      this.#activeUsers++;
    }
    return payer.turnUnits < this.unitsPerUser;
  }

  /**
   * What the user has spent of this turn. One packet cannot be handled in parts, so it may cost many shares (a message
   * to a thousand readers): what goes beyond the share is paid off by the turns that follow.
   */
  #unitsOf(payer: Payer): number {
    if (payer.turnId === this.id) return payer.turnUnits;
    const owed = payer.turnUnits - payer.turnShare;
    return owed <= 0 ? 0 : Math.max(0, owed - (this.id - payer.turnId - 1) * this.unitsPerUser);
  }

  #end(): void {
    this.#scheduled = false;
    this.id++;
    this.endedAt = performance.now();
    this.unitsPerUser = Math.max(LEAST_UNITS_PER_USER, UNITS_PER_TURN / (this.#activeUsers + 1));
    this.#activeUsers = 0;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const outbox of dirty) outbox.flush();
    const starved = this.#starved;
    const deferred = this.#deferred;
    if (starved.length === 0 && deferred.length === 0) return;
    this.#starved = [];
    this.#deferred = [];
    for (const connection of starved) connection.goOn();
    for (const connection of deferred) connection.goOn();
  }
}
