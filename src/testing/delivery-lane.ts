import type { Clock } from '../clock.js';

/** More than this in a lane, and the broker is told that the subscriber does not keep up. */
const laneBytes = 1024 * 1024;

interface Delayed {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/** Messages on their way to one subscriber that a fault delays or throttles: in order, each when it is due. */
export class DeliveryLane {
  readonly #clock: Clock;
  readonly #send: (bytes: Buffer) => void;
  readonly #delayed: Delayed[] = [];
  #bytes = 0;
  #lastDueMs = 0;
  #cancelTimer: (() => void) | null = null;
  #whenRoom: (() => void) | null = null;

  constructor(clock: Clock, send: (bytes: Buffer) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  get empty(): boolean {
    return this.#delayed.length === 0;
  }

  /** `delayMs` from now, and not before `spacingMs` have passed since the one in front of it. */
  push(bytes: Buffer, delayMs: number, spacingMs: number): void {
    const dueMs = Math.max(this.#clock.monotonicMs() + delayMs, this.#lastDueMs) + spacingMs;
    this.#lastDueMs = dueMs;
    this.#delayed.push({ bytes, dueMs });
    this.#bytes += bytes.length;
    this.#arm();
  }

  /** Calls back once there is room for more: now, or later. */
  ready(callback: () => void): void {
    if (this.#bytes < laneBytes) callback();
    else this.#whenRoom = callback;
  }

  /** Sends everything now. */
  flush(): void {
    this.#lastDueMs = 0;
    this.#sendUntil(Number.POSITIVE_INFINITY);
  }

  /** Forgets everything. */
  clear(): void {
    this.#delayed.length = 0;
    this.flush();
  }

  #arm(): void {
    const first = this.#delayed[0];
    if (this.#cancelTimer !== null || first === undefined) return;
    this.#cancelTimer = this.#clock.after(Math.max(0, first.dueMs - this.#clock.monotonicMs()), () => {
      this.#cancelTimer = null;
      this.#sendUntil(this.#clock.monotonicMs());
    });
  }

  #sendUntil(nowMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const first = this.#delayed.findIndex(({ dueMs }) => dueMs > nowMs);
    const due = this.#delayed.splice(0, first === -1 ? this.#delayed.length : first);
    if (due.length > 0) this.#send(Buffer.concat(due.map(({ bytes }) => bytes)));
    this.#bytes = this.#delayed.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#arm();
    const whenRoom = this.#whenRoom;
    if (whenRoom === null || this.#bytes >= laneBytes) return;
    this.#whenRoom = null;
    whenRoom();
  }
}
