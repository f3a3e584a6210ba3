import { giveBuffer, LARGE_BYTES, SMALL_BYTES, takeBuffer } from './buffer-pool.js';

/**
 * Bytes that gather for one write, kept in order as: full buffers, the current buffer, and a run of received bytes that
 * is still uncopied. The run is what makes QoS 0 cheap: messages that came in one after the other and leave one after
 * the other, to one subscriber or to a hundred, are one range of the received chunk and are never copied at all.
 */
export class GatheredBytes {
  /** Where `reserve` has made room. */
  buffer: Buffer | null = null;
  #full: Buffer[] = [];
  #used = 0;
  #run: Buffer | null = null;
  #runStart = 0;
  #runEnd = 0;

  /** Adds a range of received bytes, uncopied for as long as nothing else comes between. */
  range(chunk: Buffer, start: number, end: number): void {
    if (this.#run === chunk && this.#runEnd === start) {
      this.#runEnd = end;
      return;
    }
    if (this.#run !== null) this.copyRange();
    this.#run = chunk;
    this.#runStart = start;
    this.#runEnd = end;
  }

  /** Makes room for `bytes` in `buffer` and returns the offset at which they go. */
  reserve(bytes: number): number {
    if (this.#run !== null) this.copyRange();
    return this.#room(bytes);
  }

  /** What waits must not keep whole received chunks alive for the sake of a few bytes. */
  copyRange(): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    const at = this.#room(this.#runEnd - this.#runStart);
    run.copy(this.buffer!, at, this.#runStart, this.#runEnd);
  }

  /** Everything, as one. `pooled` is the buffer behind it that can be given back once it is written, if there is one. */
  take(): { data: Buffer; pooled: Buffer | null } {
    const run = this.#run;
    if (this.buffer === null && run !== null) {
      this.#run = null;
      const slice = run.subarray(this.#runStart, this.#runEnd);
      // A small range would keep a whole received chunk in memory for as long as the peer does not read it.
      return { data: slice.length * 4 < run.buffer.byteLength ? Buffer.from(slice) : slice, pooled: null };
    }
    this.copyRange();
    const last = this.buffer!.subarray(0, this.#used);
    const pooled = this.buffer;
    const full = this.#full;
    this.buffer = null;
    this.#used = 0;
    if (full.length === 0) return { data: last, pooled };
    full.push(last);
    this.#full = [];
    return { data: Buffer.concat(full), pooled: null };
  }

  clear(): void {
    this.#full = [];
    this.buffer = null;
    this.#run = null;
    this.#used = 0;
  }

  #room(bytes: number): number {
    const at = this.#used;
    if (this.buffer === null) {
      this.buffer = takeBuffer(bytes);
    } else if (at + bytes > this.buffer.length) {
      if (this.buffer.length === SMALL_BYTES && at + bytes <= LARGE_BYTES) {
        const large = takeBuffer(LARGE_BYTES);
        this.buffer.copy(large, 0, 0, at);
        giveBuffer(this.buffer);
        this.buffer = large;
      } else {
        this.#full.push(this.buffer.subarray(0, at));
        this.buffer = takeBuffer(Math.max(bytes, SMALL_BYTES + 1));
        this.#used = bytes;
        return 0;
      }
    }
    this.#used = at + bytes;
    return at;
  }
}
