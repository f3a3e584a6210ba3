import { giveBuffer, LARGE_BYTES, takeBuffer } from './buffer-pool.js';

/** A range of received bytes from this size on is not copied: what it keeps alive is mostly itself. */
export const UNCOPIED_BYTES = 16 * 1024;

/**
 * Bytes that gather for writing, kept in order as: pieces that are complete, the current buffer, and a range of received
 * bytes that is still uncopied. The range is what makes QoS 0 cheap: messages that came in one after the other and leave
 * one after the other, to one subscriber or to a hundred, are one range of the received chunk and never copied at all.
 */
export class GatheredBytes {
  /** Where `reserve` has made room. */
  buffer: Buffer | null = null;
  #pieces: Buffer[] = [];
  #used = 0;
  #range: Buffer | null = null;
  #rangeStart = 0;
  #rangeEnd = 0;

  /** Adds a range of received bytes, uncopied for as long as nothing else comes between. They must not change. */
  range(chunk: Buffer, start: number, end: number): void {
    if (this.#range === chunk && this.#rangeEnd === start) {
      this.#rangeEnd = end;
      return;
    }
    if (this.#range !== null) this.settleRange();
    this.#range = chunk;
    this.#rangeStart = start;
    this.#rangeEnd = end;
  }

  /** Makes room for `bytes` in `buffer` and returns the offset at which they go. */
  reserve(bytes: number): number {
    if (this.#range !== null) this.settleRange();
    return this.#room(bytes);
  }

  /** A small range is copied: it must not keep a whole received chunk alive for the sake of a few bytes. */
  settleRange(): void {
    const range = this.#range;
    if (range === null) return;
    this.#range = null;
    const bytes = this.#rangeEnd - this.#rangeStart;
    if (bytes < UNCOPIED_BYTES) {
      const at = this.#room(bytes);
      range.copy(this.buffer!, at, this.#rangeStart, this.#rangeEnd);
      return;
    }
    this.#completeBuffer();
    this.#pieces.push(range.subarray(this.#rangeStart, this.#rangeEnd));
  }

  /**
   * The next bytes to write, as many as there are up to `maxBytes`. `pooled` is the buffer behind them that can be given
   * back once they are written, if there is one.
   */
  take(maxBytes: number): { data: Buffer; pooled: Buffer | null } {
    const range = this.#range;
    if (this.buffer === null && this.#pieces.length === 0 && range !== null) return this.#takeRange(range, maxBytes);
    this.settleRange();
    if (this.#pieces.length === 0 && this.#used <= maxBytes) {
      const pooled = this.buffer!;
      const data = pooled.subarray(0, this.#used);
      this.buffer = null;
      this.#used = 0;
      return { data, pooled };
    }
    this.#completeBuffer();
    return { data: this.#takePieces(maxBytes), pooled: null };
  }

  clear(): void {
    this.#pieces = [];
    this.buffer = null;
    this.#range = null;
    this.#used = 0;
  }

  #takeRange(range: Buffer, maxBytes: number): { data: Buffer; pooled: null } {
    const end = Math.min(this.#rangeEnd, this.#rangeStart + maxBytes);
    const slice = range.subarray(this.#rangeStart, end);
    if (end === this.#rangeEnd) this.#range = null;
    else this.#rangeStart = end;
    const small = slice.length < UNCOPIED_BYTES && slice.length * 4 < range.buffer.byteLength;
    return { data: small ? Buffer.from(slice) : slice, pooled: null };
  }

  #takePieces(maxBytes: number): Buffer {
    const pieces = this.#pieces;
    let bytes = 0;
    let count = 0;
    while (count < pieces.length && bytes + pieces[count]!.length <= maxBytes) bytes += pieces[count++]!.length;
    const taken = pieces.splice(0, count);
    const next = pieces[0];
    if (next !== undefined && bytes < maxBytes) {
      taken.push(next.subarray(0, maxBytes - bytes));
      pieces[0] = next.subarray(maxBytes - bytes);
    }
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
  }

  #completeBuffer(): void {
    if (this.buffer === null) return;
    this.#pieces.push(this.buffer.subarray(0, this.#used));
    this.buffer = null;
    this.#used = 0;
  }

  #room(bytes: number): number {
    const at = this.#used;
    if (this.buffer === null) {
      this.buffer = takeBuffer(bytes);
    } else if (at + bytes > this.buffer.length) {
      if (this.buffer.length < LARGE_BYTES && at + bytes <= LARGE_BYTES) {
        const larger = takeBuffer(Math.max(at + bytes, this.buffer.length + 1));
        this.buffer.copy(larger, 0, 0, at);
        giveBuffer(this.buffer);
        this.buffer = larger;
      } else {
        this.#completeBuffer();
        this.buffer = takeBuffer(bytes);
        this.#used = bytes;
        return 0;
      }
    }
    this.#used = at + bytes;
    return at;
  }
}
