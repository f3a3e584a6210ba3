import type { Pace } from './pace.js';
import type { Flushable, Owner, Reader, Task } from './scheduler.js';

/** Everything that is kept on somebody's behalf is kept under one of these names. */
export const balanceNames = [
  /** Sockets with their TLS state and what the broker keeps for each. */
  'connections',
  /** Packets that have come in part. */
  'partial',
  /** Received bytes that wait until they can be handled. */
  'readAhead',
  /** Handed to sockets, or about to be, and not taken by them yet; answers too. */
  'outbox',
  /** Sessions, those of absent clients too, without what is queued for them. */
  'sessions',
  /** Messages queued for sessions, or in flight to them. */
  'queues',
  'subscriptions',
  /** What is remembered about topics: the decision and the route. */
  'topics',
  /** Topic aliases of MQTT 5. */
  'aliases',
  'wills',
  'retained',
  /** Packet ids of QoS 2 messages that are received and not released. */
  'received',
  /** What was handed to the store and is not on disk yet. */
  'storing',
  /** Messages whose distribution takes longer than a slice. */
  'jobs',
  /** What the operator's view keeps of what happened: denials, ends, traces. */
  'history',
  /** Log-ins of pages, and what is on its way to them. */
  'pages',
] as const;

export type BalanceName = (typeof balanceNames)[number];

/** The name of the operators' account. No login has a space in it. */
export const OPERATORS = 'the operators';

/** The bytes that one account holds under one name. */
export class Balance {
  bytes = 0;
  readonly #account: Account;
  readonly #ofWhole: boolean;

  constructor(account: Account, ofWhole = true) {
    this.#account = account;
    this.#ofWhole = ofWhole;
  }

  /** So much more is kept; or less, if it is negative. */
  add(bytes: number): void {
    this.bytes += bytes;
    this.#account.count(bytes, this.#ofWhole);
  }
}

/** What all accounts are part of. */
export interface Whole {
  /** Bytes of all accounts, but for `connections`. */
  heldBytes: number;
  /** What one account may have waiting for its sockets. */
  readonly unsentLimit: number;
  /** May this account hold so much more? */
  mayHold(account: Account, bytes: number): boolean;
}

/**
 * Whom work and bytes belong to: a user, or before login a network. Balances say what is kept on its behalf; what it
 * has worked is the scheduler's.
 */
export class Account implements Owner {
  readonly name: string;
  /** Bytes of all its balances. */
  heldBytes = 0;
  readonly balances: Readonly<Record<BalanceName, Balance>>;
  /** Bytes that it may hold, where that is not what anybody may; null: as anybody. */
  memoryLimit: number | null = null;
  /** How fast its messages may come, and leave; null: as fast as they do. */
  incoming: Pace | null = null;
  outgoing: Pace | null = null;

  workedMs = 0;
  atOnceMs = 0;
  turn = 0;
  restedTurn = 0;
  readonly readers = new Set<Reader>();
  readonly tasks: Task[] = [];
  flushables: Flushable[] = [];
  busy = false;

  readonly #whole: Whole;

  constructor(name: string, whole: Whole) {
    this.name = name;
    this.#whole = whole;
    const balance = () => new Balance(this);
    this.balances = {
      // Their number has a limit of its own.
      ...{
        connections: new Balance(this, false),
        partial: balance(),
        readAhead: balance(),
        outbox: balance(),
        sessions: balance(),
      },
      ...{ queues: balance(), subscriptions: balance(), topics: balance(), aliases: balance(), wills: balance() },
      ...{
        retained: balance(),
        received: balance(),
        storing: balance(),
        jobs: balance(),
        history: balance(),
        pages: balance(),
      },
    };
  }

  /** May `bytes` more be kept for it? What happens otherwise is for whoever asks to say. */
  hasRoom(bytes: number): boolean {
    return this.#whole.mayHold(this, bytes);
  }

  /**
   * Its sockets take what they are sent, taken together. A limit of its own: what a user has queued must be able to
   * leave, however full everything else is.
   */
  get maySend(): boolean {
    return this.balances.outbox.bytes < this.#whole.unsentLimit;
  }

  count(bytes: number, ofWhole: boolean): void {
    this.heldBytes += bytes;
    if (ofWhole) this.#whole.heldBytes += bytes;
  }

  /** Of what it holds, the bytes that go when its connections end. What is on disk too stays. */
  get connectedBytes(): number {
    const { retained, queues, sessions, received, storing, history, pages } = this.balances;
    const stays = [retained, queues, sessions, received, storing, history, pages];
    return stays.reduce((bytes, balance) => bytes - balance.bytes, this.heldBytes);
  }
}
