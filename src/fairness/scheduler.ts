import { Arrivals } from './arrivals.js';

/** A task is interrupted after so long, where it can be. */
const SLICE_MS = 1;
/** Work that waits is done for so long before sockets are read again. */
const ROUND_MS = 4;
/** Who had nothing to do for a while may be so far behind the others, and not further: the start it gets. */
const CREDIT_MS = 4;
/** Who is not further ahead of those who wait need not wait itself. */
const AHEAD_MS = 1;
/** Who has worked so long at once in a turn of the event loop waits for the round: the next socket may be another's. */
const AT_ONCE_MS = 1;
/** And who has had so much of it is read no further: what arrives has to be received and decrypted before it can wait. */
const MOST_MS = 2;
/** Receiving one chunk of bytes counts as no more than this: other things may have happened in between. */
const RECEIVING_MS = 0.25;
/** And, when all together have worked so long in it, whoever has worked at all. */
const AT_ONCE_ALL_MS = 4;

/** Work that is done when its owner's turn comes. */
export interface Task {
  /** Works until it is done or the slice is over. True: there is more to do. */
  work(): boolean;
}

/** A socket that gathered something to write. */
export interface Flushable {
  flush(): void;
}

/** Reads a socket. */
export interface Reader {
  /** Reads nothing more in this turn of the event loop, and goes on when its owner's turn has come. */
  rest(): void;
}

/** Whom work belongs to. The fields are the scheduler's. */
export interface Owner {
  /** Milliseconds worked, counted so that owners can be compared: who has least comes first. */
  workedMs: number;
  readonly tasks: Task[];
  flushables: Flushable[];
  /** It is among those whom the next round has work for. */
  busy: boolean;
  /** What it worked at once in the turn of the event loop that `turn` names. */
  atOnceMs: number;
  turn: number;
  /** The turn in which its readers rest. */
  restedTurn: number;
  readonly readers: ReadonlySet<Reader>;
}

/**
 * Who works when. All work belongs to an owner, and the time it takes is measured. An owner's bytes are handled as they
 * come, as long as it is not ahead of others who wait; whatever is left after a slice waits in the owner's own line. Once
 * per turn of the event loop comes a round: owners that have work get slices, whoever has worked least first, until
 * nothing is left or it is time to read sockets again. One piece of work that overran its slice is paid off by waiting
 * until the others have had as much, and costs nothing when there are no others.
 *
 * Everything for one socket within a turn leaves in one write, one TLS record and one system call (bench row "QoS 0,
 * 1 → 1": 0.6 µs a message instead of 10).
 */
export class Scheduler {
  /** Counts rounds. */
  id = 1;
  /** Those who come in while others work. */
  readonly arrivals: Arrivals;
  /** Milliseconds, at the end of the last round. */
  endedAtMs = 0;
  /** When the clock was last looked at: within a slice, not long ago. Reading it again costs as much as a message. */
  lookedAtMs = 0;

  #scheduled = false;
  /** Owners with work for the next round. */
  #busy: Owner[] = [];
  /** Sockets that want to be asked again in the next round. */
  #later: (readonly [Owner, Flushable])[] = [];
  /** What the one who waits and has worked least has worked; nobody waits: infinity. */
  #leastMs = Number.POSITIVE_INFINITY;
  /** What an owner that worked all the time would have worked. */
  #commonMs = 0;
  /** Worked at once in this turn of the event loop, by all; and what one may have of it. */
  #atOnceMs = 0;
  #allowanceMs = AT_ONCE_MS;
  /** When the last of it was done; 0: nothing yet. */
  #workedAtMs = 0;
  #depth = 0;
  #startedAtMs = 0;
  #sliceEndMs = 0;
  readonly #run = (): void => this.#turn();
  readonly #failed: (error: unknown) => void;
  readonly #now: () => number;

  /** `failed` hears of defects: one piece of work that throws must not end the work of all. `now` is in milliseconds. */
  constructor(failed: (error: unknown) => void, now: () => number = () => performance.now()) {
    this.#failed = failed;
    this.#now = now;
    this.arrivals = new Arrivals({ touch: () => this.touch(), now });
  }

  /** Looks at the clock. */
  look(): number {
    this.lookedAtMs = this.#now();
    return this.lookedAtMs;
  }

  /** Makes sure that this turn of the event loop has a round. */
  touch(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** May the owner's work be done at once, or has it work in line, or others the older right? */
  mayWork(owner: Owner): boolean {
    if (owner.tasks.length > 0) return false;
    if (owner.turn === this.id && owner.atOnceMs > this.#allowanceMs) return false;
    this.#wake(owner);
    return owner.workedMs <= this.#leastMs + AHEAD_MS;
  }

  /** Work begins that is done at once; `end` says whose it was. May be nested: then all of it belongs to the outermost. */
  begin(): void {
    if (this.#depth++ > 0) return;
    this.#startedAtMs = this.look();
    this.#sliceEndMs = this.#startedAtMs + SLICE_MS;
  }

  end(owner: Owner): void {
    if (--this.#depth > 0) return;
    this.#workedAtMs = this.look();
    const ms = this.#workedAtMs - this.#startedAtMs;
    this.#countAtOnce(owner, ms);
    this.#charge(owner, ms);
  }

  /**
   * Bytes of the owner's have come in. Since whatever was done last in this turn, they were received and decrypted: that
   * cannot be interrupted, but is work like any other.
   */
  received(owner: Owner): void {
    const now = this.look();
    if (this.#workedAtMs > 0) {
      const ms = Math.min(now - this.#workedAtMs, RECEIVING_MS);
      this.#countAtOnce(owner, ms);
      this.#charge(owner, ms);
    }
    this.#workedAtMs = now;
  }

  /** Whoever works now has to stop where it can. */
  get sliceOver(): boolean {
    return this.look() >= this.#sliceEndMs;
  }

  /** `task` is done when its owner's turn comes. */
  add(owner: Owner, task: Task): void {
    owner.tasks.push(task);
    this.#list(owner);
    if (owner.workedMs < this.#leastMs) this.#leastMs = owner.workedMs;
  }

  /** `socket` has something to write in this round. */
  mark(owner: Owner, socket: Flushable): void {
    owner.flushables.push(socket);
    this.#list(owner);
  }

  /** `socket` is asked in the next round, not in this one. */
  markLater(owner: Owner, socket: Flushable): void {
    this.#later.push([owner, socket]);
    this.touch();
  }

  /** Resolves when nobody has anything to do any more. */
  async whenIdle(): Promise<void> {
    while (this.#scheduled || this.#busy.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #list(owner: Owner): void {
    if (!owner.busy) {
      this.#wake(owner);
      owner.busy = true;
      this.#busy.push(owner);
    }
    this.touch();
  }

  /** An owner that did nothing for a while is not owed all of that time. */
  #wake(owner: Owner): void {
    const least = this.#commonMs - CREDIT_MS;
    if (owner.workedMs < least) owner.workedMs = least;
  }

  #countAtOnce(owner: Owner, ms: number): void {
    if (owner.turn !== this.id) {
      owner.turn = this.id;
      owner.atOnceMs = 0;
    }
    owner.atOnceMs += ms;
    this.#atOnceMs += ms;
    if (this.#atOnceMs > AT_ONCE_ALL_MS) this.#allowanceMs = 0;
    if (owner.atOnceMs < MOST_MS || owner.restedTurn === this.id) return;
    owner.restedTurn = this.id;
    for (const reader of owner.readers) reader.rest();
  }

  #charge(owner: Owner, ms: number): void {
    owner.workedMs += ms;
    const reached = Math.min(this.#leastMs, owner.workedMs);
    if (reached > this.#commonMs) this.#commonMs = reached;
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.arrivals.comeFirst()) this.touch();
    else this.#round();
  }

  #round(): void {
    this.id++;
    this.arrivals.begin();
    this.#atOnceMs = 0;
    this.#allowanceMs = AT_ONCE_MS;
    if (this.#later.length > 0) {
      const later = this.#later;
      this.#later = [];
      for (const [owner, socket] of later) this.mark(owner, socket);
    }
    let now = this.look();
    const endMs = now + ROUND_MS;
    while (this.#busy.length > 0 && now < endMs) {
      const owners = this.#busy;
      this.#busy = [];
      if (owners.length > 1) owners.sort((a, b) => a.workedMs - b.workedMs);
      // Whoever has worked more than the first of them waits until that one has worked as much.
      const mostMs = owners[0]!.workedMs + AHEAD_MS;
      let served = 0;
      for (; served < owners.length && now < endMs && owners[served]!.workedMs <= mostMs; served++) {
        now = this.#serve(owners[served]!, now);
      }
      for (; served < owners.length; served++) this.#busy.push(owners[served]!);
    }
    this.#leastMs = Number.POSITIVE_INFINITY;
    for (const { tasks, workedMs } of this.#busy) {
      if (tasks.length > 0 && workedMs < this.#leastMs) this.#leastMs = workedMs;
    }
    this.endedAtMs = now;
    this.#workedAtMs = 0;
    if (this.#busy.length > 0) this.touch();
  }

  /** Gives an owner a slice: what it has to write goes first, so that nobody waits for it longer than need be. */
  #serve(owner: Owner, startedAtMs: number): number {
    this.#depth = 1;
    this.#sliceEndMs = startedAtMs + SLICE_MS;
    owner.busy = false;
    try {
      this.#serveUntilOver(owner);
    } catch (error) {
      this.#failed(error);
    }
    this.#depth = 0;
    const now = this.look();
    this.#charge(owner, now - startedAtMs);
    if (owner.tasks.length > 0 || owner.flushables.length > 0) this.#list(owner);
    return now;
  }

  /** False when the slice was over before all of the owner's sockets were flushed. */
  #flush(owner: Owner): boolean {
    const { flushables } = owner;
    owner.flushables = [];
    let flushed = 0;
    try {
      do flushables[flushed++]!.flush();
      while (flushed < flushables.length && !this.sliceOver);
    } finally {
      if (flushed < flushables.length) owner.flushables = [...flushables.slice(flushed), ...owner.flushables];
    }
    return flushed === flushables.length;
  }

  #serveUntilOver(owner: Owner): void {
    const { tasks } = owner;
    if (owner.flushables.length > 0 && !this.#flush(owner)) return;
    while (tasks.length > 0 && !this.sliceOver) {
      const task = tasks.shift()!;
      if (task.work()) tasks.push(task);
    }
  }
}
