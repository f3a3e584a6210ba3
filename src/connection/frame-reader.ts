import type { Readable } from 'node:stream';
import type { Deferred, Turn } from '../fairness/turn.js';
import type { Valve } from '../valve.js';
import type { FrameHandler, FrameSource } from './frame-handler.js';
import { type FrameHeader, INCOMPLETE, MALFORMED_LENGTH, PartialFrame, readFrameHeader } from './frames.js';
import { ProtocolError } from './protocol-error.js';

/** Frames up to this size need no look at the limits: every limit is larger. */
const LARGEST_UNCHECKED = 1_024;
/** What a connection that must make way may still cost its user's turn, in units. */
const LAST_UNITS = 60_000;
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

/**
 * Cuts received bytes into frames, and decides when they are read: bytes that must wait (for the answer to CONNECT, for
 * the user's next share of the event loop, for a valve to open) are kept, and the socket is read no further meanwhile.
 */
export class FrameReader implements Deferred {
  /** Called when nothing waits any more and the socket is read again. */
  onReading: (() => void) | null = null;
  readonly #socket: Readable;
  readonly #turn: Turn;
  readonly #source: FrameSource;
  #handler: FrameHandler;
  readonly #header: FrameHeader = { bodyStart: 0, end: 0 };
  #partial: PartialFrame | null = null;
  /** Received bytes that wait, in order; those of the first chunk from `#waitingAt` on. */
  #chunks: Buffer[] = [];
  #waitingAt = 0;
  #waitingBytes = 0;
  #chargedBytes = 0;
  /** Nothing is handled until `resume`. */
  #halted = false;
  /** Nor until these have opened. */
  #valves: Valve[] = [];
  #ended = false;
  #readTurn = 0;
  #makingWay = false;

  constructor(socket: Readable, turn: Turn, source: FrameSource, handler: FrameHandler) {
    this.#socket = socket;
    this.#turn = turn;
    this.#source = source;
    this.#handler = handler;
  }

  /** Frames go to another one from here on, who also pays for what is held. */
  set handler(handler: FrameHandler) {
    this.#handler.charge(-this.#chargedBytes);
    this.#handler = handler;
    handler.charge(this.#chargedBytes);
  }

  /** More is likely on its way: bytes came in the turn that just ended, or half a frame is there. */
  get expectsMore(): boolean {
    return this.#partial !== null || this.#readTurn === this.#turn.id - 1;
  }

  /** Bytes wait for something on this side. */
  get waiting(): boolean {
    return this.#chunks.length > 0;
  }

  get #stopped(): boolean {
    return this.#halted || this.#valves.length > 0;
  }

  read(chunk: Buffer): void {
    if (this.#source.closed) return;
    this.#turn.touch();
    this.#readTurn = this.#turn.id;
    if (!this.#stopped && !this.waiting) {
      this.#run(chunk, 0, true);
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    const affordable = this.#countHeld();
    if (!affordable || this.#waitingBytes > READ_AHEAD_BYTES || this.#chunks.length > READ_AHEAD_CHUNKS) {
      this.#socket.pause();
    }
  }

  /** The peer sends no more. What waits is handled first. */
  end(): void {
    this.#ended = true;
    if (!this.waiting && !this.#stopped) this.#source.ended();
  }

  /** Handles what waits, at once and whatever it waits for: this connection has to make way. */
  handleAll(): void {
    this.#halted = false;
    this.#valves = [];
    this.#makingWay = true;
    this.#runWaiting(false);
  }

  /** After the frame at hand nothing is handled until `resume`. */
  halt(): void {
    this.#halted = true;
  }

  resume(): void {
    this.#halted = false;
    this.goOn();
  }

  /** After the frame at hand nothing is handled until `valve` opens. */
  waitFor(valve: Valve): void {
    if (!valve.closed || this.#makingWay || this.#valves.includes(valve)) return;
    this.#valves.push(valve);
    valve.whenOpen(() => {
      this.#valves = this.#valves.filter((other) => other !== valve);
      this.#turn.relieve(this);
    });
  }

  /** Nothing that it waited for is in the way now, unless something else is. */
  goOn(): void {
    if (this.#stopped || this.#source.closed) return;
    this.#runWaiting(true);
    if (this.waiting || this.#stopped || this.#source.closed) return;
    this.onReading?.();
    if (this.#ended) this.#source.ended();
    else this.#socket.resume();
  }

  /** Lets go of everything. */
  close(): void {
    this.#chunks = [];
    this.#waitingBytes = 0;
    this.#partial = null;
    this.#countHeld();
  }

  #setPartial(partial: PartialFrame | null): void {
    this.#partial = partial;
    this.#countPartial();
  }

  #countPartial(): void {
    const before = this.#chargedBytes;
    if (this.#countHeld() || this.#chargedBytes <= before) return;
    throw new ProtocolError('quota', 'too many packets that came in part');
  }

  /** Charges what is held now. False when that is more than whoever pays may hold. */
  #countHeld(): boolean {
    const partial = this.#partial === null || this.#partial.bytes <= UNCOUNTED_BYTES ? 0 : this.#partial.bytes;
    const more = partial + this.#waitingBytes - this.#chargedBytes;
    if (more === 0) return true;
    this.#chargedBytes += more;
    return this.#handler.charge(more) || more < 0;
  }

  #runWaiting(fair: boolean): void {
    while (this.#chunks.length > 0 && !this.#stopped && !this.#source.closed) {
      const chunk = this.#chunks.shift()!;
      const at = this.#waitingAt;
      this.#waitingAt = 0;
      this.#waitingBytes -= chunk.length - at;
      if (!this.#run(chunk, at, fair)) break;
    }
    this.#countHeld();
  }

  /** True when all of `chunk` was handled, but for the start of a frame that is not whole. */
  #run(chunk: Buffer, at: number, fair: boolean): boolean {
    const { payer } = this.#handler;
    if (fair && payer !== null && this.#turn.spent(payer)) {
      // A user with many connections has one share, not one for each.
      this.#keep(chunk, at);
      this.#turn.deferStarved(this);
      return false;
    }
    try {
      const start = this.#partial === null ? at : this.#complete(chunk, at);
      return start === -1 || this.#process(chunk, start, fair);
    } catch (error) {
      this.#source.failed(error);
      return false;
    }
  }

  /** Fills up the frame that came in part. Returns where the next one begins in `chunk`; -1 when that is not known. */
  #complete(chunk: Buffer, at: number): number {
    const partial = this.#partial!;
    let i = at;
    while (i < chunk.length) {
      i = partial.take(chunk, i);
      this.#countPartial();
      const { head } = partial;
      if (head !== null) {
        const start = readFrameHeader(head, 0, head.length, this.#header);
        if (start === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        if (start === INCOMPLETE) continue;
        this.#checkSize(this.#header.end);
        partial.setNeeded(this.#header.end);
      }
      const { frame } = partial;
      if (frame === null) continue;
      this.#setPartial(null);
      this.#process(frame, 0, false);
      if (this.#source.closed) return -1;
      if (!this.#stopped) return i;
      if (i < chunk.length) this.#keep(chunk, i);
      return -1;
    }
    return -1;
  }

  /** Handles the frames in `chunk` from `at` on, until they end, must wait, or (if `fair`) the user's share is spent: then false. */
  #process(chunk: Buffer, at: number, fair: boolean): boolean {
    const header = this.#header;
    const turn = this.#turn;
    const limit = chunk.length;
    let i = at;
    let units = 0;
    while (i < limit) {
      const bodyStart = readFrameHeader(chunk, i, limit, header);
      if (bodyStart < 0) {
        if (bodyStart === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        this.#setPartial(new PartialFrame(chunk, i, 0));
        break;
      }
      const { end } = header;
      if (end - i > LARGEST_UNCHECKED) this.#checkSize(end - i);
      if (end > limit) {
        this.#setPartial(new PartialFrame(chunk, i, end - i));
        break;
      }
      units += this.#handler.handle(chunk, i, bodyStart, end);
      i = end;
      if (this.#source.closed) return false;
      if (this.#stopped) {
        if (i < limit) this.#keep(chunk, i);
        break;
      }
      if (units < UNITS_PER_CHECK) continue;
      const { payer } = this.#handler;
      if (payer !== null && !turn.spend(payer, units) && fair && i < limit) {
        this.#keep(chunk, i);
        turn.defer(this);
        return false;
      }
      // What makes way must not hold up everybody: its client sends again what was not acknowledged.
      if (this.#makingWay && payer !== null && payer.turnUnits > LAST_UNITS) {
        this.#chunks = [];
        return false;
      }
      units = 0;
    }
    const { payer } = this.#handler;
    if (payer !== null && units > 0) turn.spend(payer, units);
    return true;
  }

  /** Puts what is left of a chunk in front of what waits. */
  #keep(chunk: Buffer, at: number): void {
    this.#chunks.unshift(chunk);
    this.#waitingAt = at;
    this.#waitingBytes += chunk.length - at;
    if (!this.#countHeld() || this.#waitingBytes > READ_AHEAD_BYTES) this.#socket.pause();
  }

  #checkSize(bytes: number): void {
    const limit = this.#handler.largestFrame;
    if (bytes > limit) throw new ProtocolError('too-large', `a packet of ${bytes} bytes; ${limit} are allowed`);
  }
}
