import type { Readable } from 'node:stream';
import type { PressurePoint } from '../mqtt/publication.js';
import { ProtocolError } from './codec.js';
import { type FrameHeader, INCOMPLETE, MALFORMED_LENGTH, PartialFrame, readFrameHeader } from './frames.js';
import type { Turn } from './turn.js';
import type { UserAccount } from './user-account.js';

/** Frames up to this size need no look at the limits: every limit is larger. */
const LARGEST_UNCHECKED = 1_024;
/** What a connection that makes way may still cost its user's turn, in units. */
const DRAIN_UNITS = 60_000;
/** Units of work after which a user's share of the turn is looked at. */
const UNITS_PER_CHECK = 64;
/**
 * Bytes that are read although they must wait. A client that sends a burst and closes takes back what its kernel still
 * holds, so it is better held here; more than this stays with the client until it can be handled.
 */
const READ_AHEAD_BYTES = 256 * 1024;
/** The same in pieces: each costs memory of its own, and a client may send one byte at a time. */
const READ_AHEAD_CHUNKS = 1_024;

/** A frame that came in part is not counted up to this size. */
const UNCOUNTED_BYTES = 16 * 1024;

/** Who handles the frames. */
export interface FrameHandler {
  /** No further frame is wanted. */
  readonly closed: boolean;
  /** Who pays; null before CONNECT is accepted. */
  readonly account: UserAccount | null;
  /** So much more memory (or less, if negative) is held for a frame that came in part. False when that is too much. */
  hold(bytes: number): boolean;
  /** The largest frame that is accepted now, in bytes. */
  readonly largestFrame: number;
  /** Handles one whole frame and returns what it cost, in units of a delivery. */
  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number;
  /** Everything that came was handled, and the peer sends no more. */
  finished(): void;
  /** Handling failed: a `ProtocolError`, or a defect of ours. */
  failed(error: unknown): void;
}

/**
 * Cuts received bytes into frames, and decides when they are read: bytes that must wait (for the answer to CONNECT, for
 * the user's next share of the event loop, for a queue with room) are kept, and the socket is read no further meanwhile.
 */
export class FrameReader {
  /** Called when nothing waits any more and the socket is read again. */
  onResumed: (() => void) | null = null;
  private readonly socket: Readable;
  private readonly turn: Turn;
  private readonly handler: FrameHandler;
  private readonly header: FrameHeader = { bodyStart: 0, end: 0 };
  private partial: PartialFrame | null = null;
  /** Received bytes that wait, in order; those of the first chunk from `waitingAt` on. */
  private chunks: Buffer[] = [];
  private waitingAt = 0;
  private waitingBytes = 0;
  private heldBytes = 0;
  private halted = false;
  private ended = false;
  private readTurn = 0;
  private draining = false;

  constructor(socket: Readable, turn: Turn, handler: FrameHandler) {
    this.socket = socket;
    this.turn = turn;
    this.handler = handler;
  }

  /** More is likely on its way: bytes came in the turn that just ended, or half a frame is there. */
  get expectsMore(): boolean {
    return this.partial !== null || this.readTurn === this.turn.id - 1;
  }

  /** Bytes wait for something on this side. */
  get waiting(): boolean {
    return this.chunks.length > 0;
  }

  read(chunk: Buffer): void {
    if (this.handler.closed) return;
    this.turn.touch();
    this.readTurn = this.turn.id;
    if (this.halted || this.waiting) {
      this.chunks.push(chunk);
      this.waitingBytes += chunk.length;
      if (this.waitingBytes > READ_AHEAD_BYTES || this.chunks.length > READ_AHEAD_CHUNKS) this.socket.pause();
      return;
    }
    this.run(chunk, 0, true);
  }

  /** The peer sends no more. What waits is handled first. */
  end(): void {
    this.ended = true;
    if (!this.waiting && !this.halted) this.handler.finished();
  }

  /** Handles what waits, at once and whatever it costs: this connection has to make way. */
  drain(): void {
    this.halted = false;
    this.draining = true;
    this.runWaiting(false);
  }

  /** After the frame at hand nothing is handled until `resume`. */
  halt(): void {
    this.halted = true;
  }

  /** Halts until `queue` has room again. */
  haltFor(queue: PressurePoint): void {
    if (this.halted || this.draining) return;
    this.halted = true;
    queue.whenRelieved(() => this.turn.relieve(this));
  }

  resume(): void {
    this.halted = false;
    if (this.handler.closed) return;
    this.runWaiting(true);
    if (this.waiting || this.halted || this.handler.closed) return;
    this.onResumed?.();
    if (this.ended) this.handler.finished();
    else this.socket.resume();
  }

  /** Lets go of everything. */
  close(): void {
    this.chunks = [];
    this.waitingBytes = 0;
    this.setPartial(null);
  }

  private setPartial(partial: PartialFrame | null): void {
    this.partial = partial;
    this.countPartial();
  }

  private countPartial(): void {
    const bytes = this.partial === null || this.partial.bytes <= UNCOUNTED_BYTES ? 0 : this.partial.bytes;
    const more = bytes - this.heldBytes;
    if (more === 0) return;
    this.heldBytes = bytes;
    if (!this.handler.hold(more) && more > 0) throw new ProtocolError('quota', 'too many packets that came in part');
  }

  private runWaiting(fair: boolean): void {
    while (this.chunks.length > 0 && !this.halted && !this.handler.closed) {
      const chunk = this.chunks.shift()!;
      const at = this.waitingAt;
      this.waitingAt = 0;
      this.waitingBytes -= chunk.length - at;
      if (!this.run(chunk, at, fair)) return;
    }
  }

  /** True when all of `chunk` was handled, but for the start of a frame that is not whole. */
  private run(chunk: Buffer, at: number, fair: boolean): boolean {
    const { account } = this.handler;
    if (fair && account !== null && this.turn.spent(account)) {
      // A user with many connections has one share, not one for each.
      this.keep(chunk, at);
      this.turn.deferStarved(this);
      return false;
    }
    try {
      const start = this.partial === null ? at : this.complete(chunk, at);
      return start === -1 || this.process(chunk, start, fair);
    } catch (error) {
      this.handler.failed(error);
      return false;
    }
  }

  /** Fills up the frame that came in part. Returns where the next one begins in `chunk`; -1 when that is not known. */
  private complete(chunk: Buffer, at: number): number {
    const partial = this.partial!;
    let i = at;
    while (i < chunk.length) {
      i = partial.take(chunk, i);
      this.countPartial();
      const { head } = partial;
      if (head !== null) {
        const start = readFrameHeader(head, 0, head.length, this.header);
        if (start === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        if (start === INCOMPLETE) continue;
        this.checkSize(this.header.end);
        partial.setNeeded(this.header.end);
      }
      const { frame } = partial;
      if (frame === null) continue;
      this.setPartial(null);
      this.process(frame, 0, false);
      if (this.handler.closed) return -1;
      if (!this.halted) return i;
      if (i < chunk.length) this.keep(chunk, i);
      return -1;
    }
    return -1;
  }

  /** Handles the frames in `chunk` from `at` on, until they end, must wait, or (if `fair`) the user's share is spent: then false. */
  private process(chunk: Buffer, at: number, fair: boolean): boolean {
    const { header, handler, turn } = this;
    const limit = chunk.length;
    let i = at;
    let units = 0;
    while (i < limit) {
      const bodyStart = readFrameHeader(chunk, i, limit, header);
      if (bodyStart < 0) {
        if (bodyStart === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        this.setPartial(new PartialFrame(chunk, i, 0));
        break;
      }
      const { end } = header;
      if (end - i > LARGEST_UNCHECKED) this.checkSize(end - i);
      if (end > limit) {
        this.setPartial(new PartialFrame(chunk, i, end - i));
        break;
      }
      units += handler.handle(chunk, i, bodyStart, end);
      i = end;
      if (handler.closed) return false;
      if (this.halted) {
        if (i < limit) this.keep(chunk, i);
        break;
      }
      if (units < UNITS_PER_CHECK) continue;
      if (handler.account !== null && !turn.spend(handler.account, units) && fair && i < limit) {
        this.keep(chunk, i);
        turn.defer(this);
        return false;
      }
      // What makes way must not hold up everybody: its client sends again what was not acknowledged.
      if (this.draining && handler.account !== null && handler.account.turnUnits > DRAIN_UNITS) {
        this.chunks = [];
        return false;
      }
      units = 0;
    }
    if (handler.account !== null && units > 0) turn.spend(handler.account, units);
    return true;
  }

  /** Puts what is left of a chunk in front of what waits. */
  private keep(chunk: Buffer, at: number): void {
    this.chunks.unshift(chunk);
    this.waitingAt = at;
    this.waitingBytes += chunk.length - at;
    if (this.waitingBytes > READ_AHEAD_BYTES) this.socket.pause();
  }

  private checkSize(bytes: number): void {
    const limit = this.handler.largestFrame;
    if (bytes > limit) throw new ProtocolError('too-large', `a packet of ${bytes} bytes; ${limit} are allowed`);
  }
}
