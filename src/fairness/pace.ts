import type { Clock } from '../clock.js';
import { Valve } from '../valve.js';
import { Bucket } from './bucket.js';
import type { Owner, Scheduler, Task } from './scheduler.js';

/** What one direction of a user's messages may take; 0: as much as comes. */
export interface Rate {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  /** So much of that is saved while nothing comes, and may then come at once. */
  readonly burstMs: number;
}

/** How far one direction is from its limits. */
export interface PaceState extends Rate {
  /** What may come at once now; negative while something is still to be paid. Null: not limited. */
  readonly messagesLeft: number | null;
  readonly bytesLeft: number | null;
  /** Since the account is known. */
  readonly closedMs: number;
}

export interface PaceOptions {
  readonly owner: Owner;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  /** Messages that wait to be sent leave now, if there is a way: before anybody else goes on. */
  readonly pump: (() => void) | null;
  /** It has closed, for want of these. */
  readonly onClosed: (wanting: 'messages' | 'bytes') => void;
  /** It was closed for so long, in all or up to now. */
  readonly onWaited: (ms: number) => void;
}

/** Nobody is woken sooner: at a high rate, a few messages go at a time. */
const SHORTEST_MS = 10;
/** Somebody who owes more is looked at meanwhile: a timer has a longest time. */
const LONGEST_MS = 60_000;

/**
 * The rate of a user's messages in one direction, for all connections together. A valve that closes when more was taken
 * than is there, and opens by itself when that is paid. Those who wait go on one after the other, in the order of their
 * coming, for as long as it stays open: a connection that sends all it can takes turns with the others of its user, and
 * whoever comes new stands behind those who wait.
 */
export class Pace extends Valve implements Task {
  readonly #options: PaceOptions;
  #rate: Rate;
  #messages: Bucket | null = null;
  #bytes: Bucket | null = null;
  /** In the order of their coming; whose turn it was already comes before them. */
  readonly #line = new Set<() => void>();
  readonly #first = new Set<() => void>();
  /** Whose turn it is, until it is the next one's, or it is closed again. */
  #called: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  /** It is in its owner's line, to wake the next one. */
  #lined = false;
  #pumps = false;
  #closedMs = 0;
  /** Up to then it is in `#closedMs`. */
  #countedAtMs = 0;

  constructor(options: PaceOptions, rate: Rate) {
    super();
    this.#options = options;
    this.#rate = rate;
    this.configure(rate);
  }

  /** Other limits from now on; none at all lets everybody go on. */
  configure(rate: Rate): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#rate = rate;
    this.#messages = bucketOf(this.#messages, rate.messagesPerSecond, 1, rate, nowMs);
    this.#bytes = bucketOf(this.#bytes, rate.bytesPerSecond, 0, rate, nowMs);
    if (this.closed) this.#wake();
  }

  /** So much has come, or was sent. */
  take(messages: number, bytes: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (messages > 0) this.#messages?.take(messages, nowMs);
    this.#bytes?.take(bytes, nowMs);
    if (this.closed || this.#missingMs(nowMs) === 0) return;
    this.close();
    this.#called = null;
    this.#countedAtMs = nowMs;
    this.#wakeLater(nowMs);
    this.#options.onClosed((this.#messages?.waitMs(1, nowMs) ?? 0) > 0 ? 'messages' : 'bytes');
  }

  /** Calls back when it is the caller's turn: at once when it is open. */
  override whenOpen(callback: () => void): void {
    if (this.closed) this.#line.add(callback);
    else callback();
  }

  /** May somebody go on who would wait with `callback`? Not ahead of those who wait already. */
  mayPass(callback: () => void): boolean {
    if (this.closed) return false;
    return this.#called === callback || (this.#called === null && this.waiting === 0);
  }

  /** Calls back when it is the caller's turn; `first`: before the others, for it was the caller's turn already. */
  wait(callback: () => void, first: boolean): void {
    if (first) this.#first.add(callback);
    else this.#line.add(callback);
    if (!this.closed) this.#goOn();
  }

  /** Who waited with `callback` does not any more. */
  override leave(callback: () => void): void {
    if (!this.#line.delete(callback)) this.#first.delete(callback);
  }

  /** The next one's turn. */
  work(): boolean {
    this.#lined = false;
    if (this.closed) return false;
    if (this.#pumps) {
      this.#pumps = false;
      this.#options.pump?.();
      this.#goOn();
      return false;
    }
    const next = this.#next();
    this.#called = next;
    if (next === null) return false;
    this.leave(next);
    next();
    // Behind whatever that has put in line: then it shows whether there is something left for the next one.
    this.#goOn();
    return false;
  }

  /** So many wait for their turn. */
  override get waiting(): number {
    return this.#line.size + this.#first.size;
  }

  state(): PaceState {
    const nowMs = this.#options.clock.monotonicMs();
    return {
      ...this.#rate,
      messagesLeft: this.#messages?.level(nowMs) ?? null,
      bytesLeft: this.#bytes?.level(nowMs) ?? null,
      closedMs: this.#closedMs + (this.closed ? nowMs - this.#countedAtMs : 0),
    };
  }

  /** Nothing is to be paid, and all that can be saved is saved: another one in its place would be the same. */
  get full(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    return !this.closed && this.#messages?.isFull(nowMs) !== false && this.#bytes?.isFull(nowMs) !== false;
  }

  /** The time may be over. */
  #wake(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const waitedMs = nowMs - this.#countedAtMs;
    this.#countedAtMs = nowMs;
    this.#closedMs += waitedMs;
    this.#options.onWaited(waitedMs);
    if (this.#missingMs(nowMs) > 0) {
      this.#wakeLater(nowMs);
      return;
    }
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.open();
    this.#pumps = true;
    this.#goOn();
  }

  #wakeLater(nowMs: number): void {
    this.#cancelTimer?.();
    const waitMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, this.#missingMs(nowMs)));
    this.#cancelTimer = this.#options.clock.after(waitMs, () => this.#wake());
  }

  /** Until the next message may come. How large it is nobody knows: its bytes are paid when they are here. */
  #missingMs(nowMs: number): number {
    return Math.max(this.#messages?.waitMs(1, nowMs) ?? 0, this.#bytes?.waitMs(0, nowMs) ?? 0);
  }

  #next(): (() => void) | null {
    for (const callback of this.#first) return callback;
    for (const callback of this.#line) return callback;
    return null;
  }

  #goOn(): void {
    if (this.#lined) return;
    this.#lined = true;
    this.#options.scheduler.add(this.#options.owner, this);
  }
}

function bucketOf(
  former: Bucket | null,
  perSecond: number,
  least: number,
  { burstMs }: Rate,
  nowMs: number,
): Bucket | null {
  if (perSecond === 0) return null;
  const capacity = Math.max(least, (perSecond * burstMs) / 1_000);
  if (former === null) return new Bucket(perSecond, capacity, nowMs);
  former.configure(perSecond, capacity, nowMs);
  return former;
}
