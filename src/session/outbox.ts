import type { Duplex } from 'node:stream';
import { lengthBytes, writeLength } from '../mqtt/packets.js';
import { giveBuffer, LARGE_BYTES, SMALL_BYTES, takeBuffer } from './buffer-pool.js';
import { OUTBOX_LIMIT_BYTES, UNSENT_PER_USER_BYTES } from './outbox-limits.js';
import type { Turn } from './turn.js';
import type { UserAccount } from './user-account.js';

/**
 * A client may send fifty messages and close without reading one answer. Writing to its closed socket provokes a reset,
 * and with the reset go the bytes of it that are not read yet. So answers are held while received bytes wait to be
 * handled, and for at most this long while more keeps coming in turn after turn. A client that waits for its answer
 * sends nothing meanwhile, and gets it one turn later.
 */
const HELD_MS = 10;

/** How far the peer has been read. */
export interface ReadingState {
  /** Something came in this turn, or half a frame is there. */
  readonly expectsMore: boolean;
  /** Received bytes wait to be handled. */
  readonly waiting: boolean;
}

/**
 * What one socket is going to be sent. Packets gather here during a turn and leave as one write at its end; while a
 * write is under way they wait here, so that what a slow reader holds up is counted in one place (`bytes`).
 *
 * Bytes are kept in order as: full buffers, the current buffer, and a run of received bytes that is still uncopied.
 * The run is what makes QoS 0 cheap: messages that came in one after the other and leave one after the other, to one
 * subscriber or to a hundred, are one range of the received chunk and are never copied at all.
 */
export class Outbox {
  /** Bytes that the socket has not taken yet, those of the write under way not counted. */
  bytes = 0;
  /** A write is under way: the peer, or the kernel for it, has not taken all of it yet. */
  busy = false;
  /** Nothing is written any more: the connection is closed, or the peer gone. */
  closed = false;
  /** Writes made; while it stands still with `busy`, the peer is not reading. */
  writes = 0;
  /** Bytes of answers among `bytes`: they grow with what the peer sends, whether or not it reads. */
  private answerBytes = 0;
  private inFlightBytes = 0;
  /** Who pays for what is not taken yet; null before CONNECT is accepted. */
  account: UserAccount | null = null;
  private relieved: (() => void) | null = null;
  /** Called when the socket has taken everything and there is room again. */
  onDrained: (() => void) | null = null;

  private readonly socket: Duplex;
  private readonly reader: ReadingState;
  /** There are messages among what is to be sent, not only answers. */
  private urgent = false;
  private heldSince = 0;
  private readonly turn: Turn;
  private full: Buffer[] = [];
  private buffer: Buffer | null = null;
  private used = 0;
  private run: Buffer | null = null;
  private runStart = 0;
  private runEnd = 0;
  private marked = false;
  private inFlight: Buffer | null = null;
  private readonly written = (): void => this.afterWrite();

  constructor(socket: Duplex, turn: Turn, reader: ReadingState) {
    this.socket = socket;
    this.reader = reader;
    this.turn = turn;
  }

  /** Sends the bytes of `chunk` from `start` to `end` as they are. They must not change until the turn ends. */
  verbatim(chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    this.charge(end - start);
    this.urgent = true;
    if (this.run === chunk && this.runEnd === start) {
      this.runEnd = end;
      return;
    }
    if (this.run !== null) this.spill();
    this.run = chunk;
    this.runStart = start;
    this.runEnd = end;
    if (!this.marked) this.mark();
  }

  /** Sends a PUBLISH made of a first byte, the topic and payload found in `chunk`, and a packet id (0: none). */
  publish(
    head: number,
    chunk: Buffer,
    topicStart: number,
    topicEnd: number,
    packetId: number,
    payloadStart: number,
    end: number,
  ): void {
    const topicBytes = topicEnd - topicStart;
    const payloadBytes = end - payloadStart;
    const length = topicBytes + (packetId === 0 ? 0 : 2) + payloadBytes;
    const total = 1 + lengthBytes(length) + length;
    let i = this.reserve(total);
    this.urgent = true;
    const buffer = this.buffer!;
    buffer[i++] = head;
    i = writeLength(buffer, length, i);
    if (packetId === 0) {
      chunk.copy(buffer, i, topicStart, topicEnd);
      chunk.copy(buffer, i + topicBytes, payloadStart, end);
      return;
    }
    if (payloadStart === topicEnd + 2) {
      // The bytes came in with a packet id in between: one copy, then our own id over theirs.
      chunk.copy(buffer, i, topicStart, end);
    } else {
      chunk.copy(buffer, i, topicStart, topicEnd);
      chunk.copy(buffer, i + topicBytes + 2, payloadStart, end);
    }
    i += topicBytes;
    buffer[i] = packetId >> 8;
    buffer[i + 1] = packetId & 255;
  }

  /** Sends PUBACK, PUBREC, PUBREL or PUBCOMP: a first byte and a packet id. */
  acknowledge(head: number, packetId: number): void {
    const i = this.reserve(4);
    this.answerBytes += 4;
    const buffer = this.buffer!;
    buffer[i] = head;
    buffer[i + 1] = 2;
    buffer[i + 2] = packetId >> 8;
    buffer[i + 3] = packetId & 255;
  }

  /** Sends a packet that is made already. */
  packet(bytes: Buffer): void {
    const i = this.reserve(bytes.length);
    this.answerBytes += bytes.length;
    bytes.copy(this.buffer!, i);
  }

  /** The end of the turn. Answers wait a few turns while the peer is still sending: see HELD_MS. */
  flush(): void {
    this.marked = false;
    if (this.busy) {
      // What waits for the write under way must not keep whole received chunks alive for the sake of a few bytes.
      if (this.run !== null) this.spill();
      return;
    }
    if (!this.urgent && this.bytes < LARGE_BYTES) {
      if (this.reader.waiting) return; // `resume` comes back to it.
      if (this.reader.expectsMore) {
        const now = this.turn.endedAt;
        if (this.heldSince === 0) this.heldSince = now;
        if (now - this.heldSince < HELD_MS) {
          this.mark();
          return;
        }
      }
    }
    this.flushNow();
  }

  /** The peer is read again: what was held back meanwhile is due at the end of this turn. */
  resume(): void {
    if (this.bytes > 0 && !this.marked && !this.busy && !this.closed) this.mark();
  }

  /** Hands everything to the socket, unless a write is under way: then it goes when that one is done. */
  flushNow(): void {
    if (this.busy || this.closed || this.bytes === 0) return;
    this.heldSince = 0;
    this.urgent = false;
    this.writes++;
    const data = this.takeAll();
    this.inFlightBytes = this.bytes;
    this.bytes = 0;
    this.answerBytes = 0;
    this.busy = true;
    this.socket.write(data, this.written);
  }

  /** Lets go of everything; nothing is written any more. */
  close(): void {
    this.closed = true;
    this.charge(-this.bytes - this.inFlightBytes);
    this.inFlightBytes = 0;
    this.full = [];
    this.buffer = null;
    this.run = null;
    this.used = 0;
    this.bytes = 0;
    this.relieve();
  }

  /** There is room for a message: the peer reads, and so do those of the same user, taken together. */
  get hasRoom(): boolean {
    const { account } = this;
    return this.bytes < OUTBOX_LIMIT_BYTES && (account === null || account.unsentBytes < UNSENT_PER_USER_BYTES);
  }

  /** The peer asks and asks, and does not read the answers. */
  get unheard(): boolean {
    return this.answerBytes > OUTBOX_LIMIT_BYTES && !this.closed;
  }

  /** Calls back once the peer has read on, or nothing is written any more. */
  whenRelieved(callback: () => void): void {
    this.relieved = callback;
  }

  private relieve(): void {
    const { relieved } = this;
    this.relieved = null;
    relieved?.();
  }

  private charge(bytes: number): void {
    if (this.account !== null) this.account.unsentBytes += bytes;
  }

  private mark(): void {
    this.marked = true;
    this.turn.mark(this);
  }

  /** Makes room for `bytes` in the current buffer and returns the offset at which they go. */
  private reserve(bytes: number): number {
    if (this.run !== null) this.spill();
    if (!this.marked && !this.busy) this.mark();
    this.bytes += bytes;
    this.charge(bytes);
    return this.room(bytes);
  }

  private room(bytes: number): number {
    const at = this.used;
    if (this.buffer === null) {
      this.buffer = takeBuffer(bytes);
    } else if (at + bytes > this.buffer.length) {
      if (this.buffer.length === SMALL_BYTES && at + bytes <= LARGE_BYTES) {
        const large = takeBuffer(LARGE_BYTES);
        this.buffer.copy(large, 0, 0, at);
        giveBuffer(this.buffer);
        this.buffer = large;
      } else {
        this.full.push(this.buffer.subarray(0, at));
        this.buffer = takeBuffer(Math.max(bytes, SMALL_BYTES + 1));
        this.used = bytes;
        return 0;
      }
    }
    this.used = at + bytes;
    return at;
  }

  /** Copies the run into the current buffer. */
  private spill(): void {
    const run = this.run!;
    this.run = null;
    const at = this.room(this.runEnd - this.runStart);
    run.copy(this.buffer!, at, this.runStart, this.runEnd);
  }

  private takeAll(): Buffer {
    const { run, buffer, full } = this;
    if (buffer === null && run !== null) {
      this.run = null;
      const slice = run.subarray(this.runStart, this.runEnd);
      // A small range would keep a whole received chunk in memory for as long as the peer does not read it.
      return slice.length * 4 < run.buffer.byteLength ? Buffer.from(slice) : slice;
    }
    if (run !== null) this.spill();
    const last = this.buffer!.subarray(0, this.used);
    const whole = this.buffer!;
    this.buffer = null;
    this.used = 0;
    if (full.length === 0) {
      this.inFlight = whole;
      return last;
    }
    full.push(last);
    this.full = [];
    return Buffer.concat(full);
  }

  private afterWrite(): void {
    this.busy = false;
    if (this.inFlight !== null) {
      giveBuffer(this.inFlight);
      this.inFlight = null;
    }
    this.charge(-this.inFlightBytes);
    this.inFlightBytes = 0;
    if (this.closed) return;
    if (this.relieved !== null) this.relieve();
    if (this.bytes > 0) this.flushNow();
    else this.onDrained?.();
  }
}
