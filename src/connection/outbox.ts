import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import type { Account } from '../fairness/account.js';
import type { Flushable, Scheduler } from '../fairness/scheduler.js';
import type { ConnectionTraffic } from '../mqtt/traffic.js';
import { Valve } from '../valve.js';
import { giveBuffer, LARGE_BYTES } from './buffer-pool.js';
import { GatheredBytes } from './gathered-bytes.js';

/** A socket that has not taken this much gets no further messages until it has; QoS 0 messages are dropped. */
const OUTBOX_LIMIT_BYTES = 1024 * 1024;
/** Answers that a socket may have waiting when those of its user, taken together, take too little. */
const FEW_ANSWERS_BYTES = 16 * 1024;
/** Handed to a socket at a time: encrypting more would take longer than a slice. */
const WRITE_BYTES = 64 * 1024;

/**
 * A client may send fifty messages and close without reading one answer. Writing to its closed socket provokes a reset,
 * and with the reset go the bytes of it that are not read yet. So answers are held while received bytes wait for their
 * turn; and for at most this long while these wait for a valve, which may be hours at a rate, or more keeps coming in turn
 * after turn. A client that waits for its answer sends nothing meanwhile, and gets it one turn later.
 */
const HELD_MS = 10;

/** How far the peer has been read. */
export interface ReadingState {
  /** Something came in this turn, or half a frame is there. */
  readonly expectsMore: boolean;
  /** Received bytes wait to be handled. */
  readonly waiting: boolean;
  /** Nothing is handled until something has opened: that may take long. */
  readonly stopped: boolean;
}

/**
 * What one socket is going to be sent. Packets gather here during a turn and leave as one write at its end; while a
 * write is under way they wait here, so that what a slow reader holds up is counted in one place (`bytes`).
 */
export class Outbox implements Flushable {
  /** Bytes that the socket has not taken yet, those of the write under way not counted. */
  bytes = 0;
  /** A write is under way: the peer, or the kernel for it, has not taken all of it yet. */
  busy = false;
  /** Nothing more is taken: the connection is closed, or the peer gone. What is given then is neither kept nor counted. */
  closed = false;
  /** Writes made; while it stands still with `busy`, the peer is not reading. */
  writes = 0;
  /** Closed while the peer asks and asks, and does not read the answers. */
  readonly answersRead = new Valve();
  /** Called when the socket has taken everything and there is room again. */
  onDrained: (() => void) | null = null;

  readonly #socket: Duplex;
  readonly #reader: ReadingState;
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  readonly #traffic: ConnectionTraffic;
  readonly #gathered = new GatheredBytes();
  #account: Account;
  /** Bytes of answers among `bytes`: they grow with what the peer sends, whether or not it reads. */
  #answerBytes = 0;
  #inFlightBytes = 0;
  /** The buffer of the write under way, if it can be used again. */
  #pooled: Buffer | null = null;
  /** There are messages among what is to be sent, not only answers. */
  #urgent = false;
  #heldSinceMs = 0;
  /** What is held behind a valve is due then. */
  #cancelDue: (() => void) | null = null;
  #due = false;
  #marked = false;
  #gone = false;
  #onEnded: (() => void) | null = null;
  readonly #written = (): void => this.#afterWrite();

  constructor(
    socket: Duplex,
    { scheduler, clock }: { readonly scheduler: Scheduler; readonly clock: Clock },
    reader: ReadingState,
    account: Account,
    traffic: ConnectionTraffic,
  ) {
    this.#socket = socket;
    this.#reader = reader;
    this.#scheduler = scheduler;
    this.#clock = clock;
    this.#account = account;
    this.#traffic = traffic;
  }

  /** Who pays, from here on. */
  set account(account: Account) {
    const held = this.bytes + this.#inFlightBytes;
    this.#account.balances.outbox.add(-held);
    this.#account = account;
    account.balances.outbox.add(held);
  }

  /** Sends the bytes of `chunk` from `start` to `end` as they are. They must not change any more. */
  verbatim(chunk: Buffer, start: number, end: number): void {
    if (this.closed) return;
    this.#count(end - start);
    this.#urgent = true;
    this.#gathered.range(chunk, start, end);
    if (!this.#marked && !this.busy) this.#mark();
  }

  /** Makes room for `bytes` of a message in `buffer`, and returns the offset at which they go. */
  reserve(bytes: number): number {
    this.#urgent = true;
    return this.#reserve(bytes);
  }

  /** Where `reserve` has made room. */
  get buffer(): Buffer {
    return this.#gathered.buffer!;
  }

  /** Adds bytes behind what was reserved last, uncopied. They must not change any more. */
  append(chunk: Buffer, start: number, end: number): void {
    this.#count(end - start);
    this.#gathered.range(chunk, start, end);
  }

  /** Sends PUBACK, PUBREC, PUBREL or PUBCOMP: a first byte and a packet id. */
  acknowledge(head: number, packetId: number): void {
    if (this.closed) return;
    const i = this.#reserve(4);
    this.#countAnswer(4);
    const buffer = this.#gathered.buffer!;
    buffer[i] = head;
    buffer[i + 1] = 2;
    buffer[i + 2] = packetId >> 8;
    buffer[i + 3] = packetId & 255;
  }

  /** Sends a packet that is made already. */
  packet(bytes: Buffer): void {
    if (this.closed) return;
    const i = this.#reserve(bytes.length);
    this.#countAnswer(bytes.length);
    bytes.copy(this.#gathered.buffer!, i);
  }

  /** The end of the turn. Answers wait a few turns while the peer is still sending: see HELD_MS. */
  flush(): void {
    this.#marked = false;
    if (this.busy) {
      this.#gathered.settleRange();
      return;
    }
    if (!this.#urgent && !this.#due && this.bytes < LARGE_BYTES) {
      if (this.#reader.waiting) {
        // Otherwise `resume` comes back to it.
        if (this.#reader.stopped) this.#cancelDue ??= this.#clock.after(HELD_MS, () => this.#isDue());
        return;
      }
      if (this.#reader.expectsMore) {
        const now = this.#scheduler.endedAtMs;
        if (this.#heldSinceMs === 0) this.#heldSinceMs = now;
        if (now - this.#heldSinceMs < HELD_MS) {
          this.#marked = true;
          this.#scheduler.markLater(this.#account, this);
          return;
        }
      }
    }
    this.#write();
  }

  #isDue(): void {
    this.#due = true;
    this.resume();
  }

  #settleDue(): void {
    this.#cancelDue?.();
    this.#cancelDue = null;
    this.#due = false;
  }

  /** The peer is read again, or not for long: what was held back meanwhile is looked at at the end of this turn. */
  resume(): void {
    if (this.bytes > 0 && !this.#marked && !this.busy && !this.closed) this.#mark();
  }

  /** Takes nothing more. Calls back once everything so far is handed to the socket. */
  end(done: () => void): void {
    this.closed = true;
    this.#onEnded = done;
    if (this.busy) return;
    this.#write();
    if (!this.busy) done();
  }

  /** Lets go of everything; nothing is written any more. */
  close(): void {
    this.#settleDue();
    this.closed = true;
    this.#gone = true;
    this.#onEnded = null;
    this.#account.balances.outbox.add(-this.bytes - this.#inFlightBytes);
    this.#inFlightBytes = 0;
    this.#gathered.clear();
    this.bytes = 0;
    this.answersRead.open();
  }

  /** There is room for a message: the peer reads, and so do those of the same user, taken together. */
  get hasRoom(): boolean {
    return this.bytes < OUTBOX_LIMIT_BYTES && this.#account.maySend;
  }

  /** A user with many such peers has less for each. */
  get #answersLimit(): number {
    return this.#account.maySend ? OUTBOX_LIMIT_BYTES : FEW_ANSWERS_BYTES;
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    this.#account.balances.outbox.add(bytes);
  }

  #countAnswer(bytes: number): void {
    this.#answerBytes += bytes;
    if (this.#answerBytes > this.#answersLimit) this.answersRead.close();
  }

  #mark(): void {
    this.#marked = true;
    this.#scheduler.mark(this.#account, this);
  }

  /** Makes room for `bytes` and returns the offset at which they go. */
  #reserve(bytes: number): number {
    if (!this.#marked && !this.busy) this.#mark();
    this.#count(bytes);
    return this.#gathered.reserve(bytes);
  }

  /** Hands over what there is, or the first of it; the rest follows when that is taken. */
  #write(): void {
    if (this.busy || this.#gone || this.bytes === 0) return;
    this.#heldSinceMs = 0;
    this.#urgent = false;
    if (this.#cancelDue !== null) this.#settleDue();
    this.writes++;
    const { data, pooled } = this.#gathered.take(WRITE_BYTES);
    this.#pooled = pooled;
    this.#inFlightBytes = data.length;
    this.#traffic.sent(data.length);
    this.bytes -= data.length;
    this.#answerBytes = Math.min(this.#answerBytes, this.bytes);
    this.busy = true;
    this.#socket.write(data, this.#written);
  }

  #afterWrite(): void {
    this.busy = false;
    if (this.#pooled !== null) {
      giveBuffer(this.#pooled);
      this.#pooled = null;
    }
    this.#account.balances.outbox.add(-this.#inFlightBytes);
    this.#inFlightBytes = 0;
    if (this.#gone) return;
    if (this.answersRead.closed && this.#answerBytes <= this.#answersLimit) this.answersRead.open();
    if (this.bytes > 0) {
      this.#urgent = true;
      if (!this.#marked) this.#mark();
    } else if (this.#onEnded === null) this.onDrained?.();
    else this.#onEnded();
  }
}
