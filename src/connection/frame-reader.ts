import type { Readable } from 'node:stream';
import type { Job } from '../fairness/job.js';
import { PublishToll } from '../fairness/publish-toll.js';
import type { Reader, Scheduler, Task } from '../fairness/scheduler.js';
import type { Valve } from '../valve.js';
import type { FrameHandler, FrameSource } from './frame-handler.js';
import { FrameJob } from './frame-job.js';
import { checkSize, type FrameHeader, INCOMPLETE, PartialFrame, readFrameHeader } from './frames.js';
import { Obstacles } from './obstacles.js';
import { PartialCharge } from './partial-charge.js';
import { ReadAhead } from './read-ahead.js';

/** Frames up to this size need no look at the limits: every limit is larger. */
const LARGEST_UNCHECKED = 1_024;
/** Units of work after which the clock is looked at. */
const UNITS_PER_LOOK = 64;
/**
 * Cuts received bytes into frames, and decides when they are read: bytes that must wait (for the answer to CONNECT, for
 * their owner's turn, for a job to be done, for a valve to open) are kept, and the socket is read no further meanwhile.
 */
export class FrameReader implements Task, Reader {
  /** Called when nothing waits any more and the socket is read again, and when what waits may do so for long. */
  onPaused: (() => void) | null = null;
  readonly toll = new PublishToll();
  readonly #socket: Readable;
  readonly #scheduler: Scheduler;
  readonly #source: FrameSource;
  #handler: FrameHandler;
  readonly #header: FrameHeader = { bodyStart: 0, end: 0 };
  #partial: PartialFrame | null = null;
  readonly #partialCharge: PartialCharge;
  readonly #ahead: ReadAhead;
  /** The next frame waits for it. */
  readonly #job = new FrameJob();
  /** Of the frame at hand, if it was put back. */
  #backBytes = 0;
  /** Nothing is handled until `resume`. */
  #halted = false;
  /** Nor until these have opened. */
  readonly #obstacles = new Obstacles(() => this.#goOn());
  /** It is in its owner's line. */
  #lined = false;
  #ended = false;
  #readRound = 0;
  /** Called when nothing waits any more: this connection has to make way. */
  #onHandled: (() => void) | null = null;

  constructor(socket: Readable, scheduler: Scheduler, source: FrameSource, handler: FrameHandler) {
    this.#socket = socket;
    this.#scheduler = scheduler;
    this.#source = source;
    this.#handler = handler;
    this.#partialCharge = new PartialCharge(handler.account);
    this.#ahead = new ReadAhead(handler.account);
    handler.account.readers.add(this);
  }

  /** Frames go to another one from here on, who also pays for what is kept. */
  set handler(handler: FrameHandler) {
    this.#partialCharge.account = handler.account;
    this.#ahead.account = handler.account;
    this.#handler.account.readers.delete(this);
    handler.account.readers.add(this);
    this.#handler = handler;
  }

  /** More is likely on its way: bytes came in the turn that just ended, or half a frame is there. */
  get expectsMore(): boolean {
    return this.#partial !== null || this.#readRound === this.#scheduler.id - 1;
  }

  /** Bytes wait for something on this side. */
  get waiting(): boolean {
    return !this.#ahead.empty || this.#job.any;
  }

  /** Whatever waits does so until something opens. */
  get stopped(): boolean {
    return this.#halted || this.#obstacles.any;
  }

  read(chunk: Buffer): void {
    const scheduler = this.#scheduler;
    const { account } = this.#handler;
    if (account.incoming !== null) {
      this.toll.coming(account.incoming, this.#partial?.bytes ?? 0, chunk.length);
      this.waitFor(this.toll);
    }
    scheduler.touch();
    scheduler.received(account);
    if (this.#source.closed || this.#onHandled !== null) return;
    this.#readRound = scheduler.id;
    if (this.stopped || this.waiting || !scheduler.mayWork(account)) {
      if (!this.#ahead.push(chunk)) this.#socket.pause();
      this.#line();
      return;
    }
    scheduler.begin();
    this.#run(chunk, 0);
    scheduler.end(account);
  }

  /** Its owner has had more than its share of this turn: the socket is read again when the owner's turn has come. */
  rest(): void {
    if (this.#source.closed || this.#onHandled !== null) return;
    this.#socket.pause();
    this.#line();
  }

  /** The peer sends no more. What waits is handled first. */
  end(): void {
    this.#ended = true;
    if (!this.waiting && !this.stopped) this.#source.ended();
  }

  /** It makes way: reads no further, and calls back when what was read is handled; `atOnce`: whatever the rate is. */
  handleAll(done: () => void, atOnce: boolean): void {
    this.#halted = false;
    this.#obstacles.clear();
    if (atOnce) this.toll.waive();
    else this.#obstacles.add(this.toll);
    this.#onHandled = done;
    if (this.waiting) this.#line();
    else done();
  }

  /** After the frame at hand nothing is handled until `resume`. */
  halt(): void {
    this.#halted = true;
  }

  resume(): void {
    this.#halted = false;
    this.#goOn();
  }

  /** After the frame at hand nothing is handled until `valve` opens. */
  waitFor(valve: Valve): void {
    if (this.#onHandled === null) this.#obstacles.add(valve);
  }

  /** The frame at hand, of so many bytes, is not handled, and comes again when the toll has opened. */
  putBack(bytes: number): void {
    this.#backBytes = bytes;
    this.#obstacles.add(this.toll);
  }

  /** After the frame at hand nothing is handled until `job` is done. */
  perform(job: Job): void {
    this.#job.set(job);
  }

  /** Its owner's turn has come. */
  work(): boolean {
    // It counts as being in line until it is done here: what is kept meanwhile must not put it there twice.
    if (!this.stopped && !this.#source.closed && this.#finishJob()) this.#runWaiting();
    const over = this.stopped || this.#source.closed;
    if (over) this.onPaused?.();
    this.#lined = this.waiting && !over;
    if (this.#lined || over) return this.#lined;
    if (this.#onHandled === null) this.#readOn();
    else this.#onHandled();
    return false;
  }

  /** Lets go of everything; what the last frame asked for is done all the same. */
  close(): void {
    const { account } = this.#handler;
    account.readers.delete(this);
    this.#job.leave(account, this.#scheduler);
    this.#obstacles.close();
    this.toll.quit();
    this.#ahead.clear();
    this.#setPartial(null);
  }

  #goOn(): void {
    if (this.stopped || this.#source.closed) return;
    if (this.waiting) this.#line();
    else this.#readOn();
  }

  #readOn(): void {
    this.onPaused?.();
    if (this.#ended) this.#source.ended();
    else this.#socket.resume();
  }

  #line(): void {
    if (this.#lined || this.stopped) return;
    this.#lined = true;
    this.#scheduler.add(this.#handler.account, this);
  }

  /** False when the job is not done yet. */
  #finishJob(): boolean {
    if (!this.#job.any) return true;
    try {
      const outcome = this.#job.proceed(this.#scheduler);
      if (outcome === 'done') return true;
      if (outcome !== 'slice-over') this.#obstacles.add(outcome);
    } catch (error) {
      this.#source.failed(error);
    }
    return false;
  }

  #setPartial(partial: PartialFrame | null): void {
    this.#partial = partial;
    this.#partialCharge.update(partial);
  }

  #runWaiting(): void {
    while (!this.#ahead.empty && !this.#job.any && !this.stopped && !this.#source.closed) {
      const { chunk, at } = this.#ahead.shift();
      if (!this.#run(chunk, at)) return;
    }
  }

  /** True when all of `chunk` was handled, but for the start of a frame that is not whole. */
  #run(chunk: Buffer, at: number): boolean {
    try {
      const start = this.#partial === null ? at : this.#complete(chunk, at);
      return start === -1 || this.#process(chunk, start);
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
      this.#partialCharge.update(partial);
      const { head } = partial;
      if (head !== null) {
        if (readFrameHeader(head, 0, head.length, this.#header) === INCOMPLETE) continue;
        checkSize(this.#header.end, this.#handler.largestFrame);
        partial.setNeeded(this.#header.end);
      }
      const { frame } = partial;
      if (frame === null) continue;
      this.#setPartial(null);
      const done = this.#process(frame, 0);
      if (this.#source.closed) return -1;
      if (done && !this.stopped) return i;
      if (i < chunk.length) this.#keep(chunk, i, frame);
      return -1;
    }
    return -1;
  }

  /** Handles the frames in `chunk` from `at` on, until they end (then true), or must wait. */
  #process(chunk: Buffer, at: number): boolean {
    const header = this.#header;
    const limit = chunk.length;
    let i = at;
    let units = 0;
    while (i < limit) {
      const bodyStart = readFrameHeader(chunk, i, limit, header);
      if (bodyStart === INCOMPLETE) {
        this.#setPartial(new PartialFrame(chunk, i, 0));
        return true;
      }
      const { end } = header;
      if (end - i > LARGEST_UNCHECKED) checkSize(end - i, this.#handler.largestFrame);
      if (end > limit) {
        this.#setPartial(new PartialFrame(chunk, i, end - i));
        return true;
      }
      units += this.#handler.handle(chunk, i, bodyStart, end);
      i = end;
      if (this.#source.closed) return false;
      if (!this.#finishJob()) break;
      if (this.stopped) {
        i -= this.#backBytes;
        this.#backBytes = 0;
        break;
      }
      if (units < UNITS_PER_LOOK) continue;
      units = 0;
      if (i < limit && this.#scheduler.sliceOver) break;
    }
    if (i < limit) this.#keep(chunk, i);
    else if (this.#job.any) this.#line();
    return i === limit && !this.#job.any && !this.stopped;
  }

  /** Puts what is left of a chunk in front of what waits, but behind the frame of which it had the end. */
  #keep(chunk: Buffer, at: number, behind: Buffer | null = null): void {
    if (!this.#ahead.unshift(chunk, at, behind)) this.#socket.pause();
    this.#line();
  }
}
