import { Valve } from '../valve.js';
import type { Pace } from './pace.js';

/** A packet of which so much has come already is paid for as it comes: it may be megabytes. */
const LARGE_BYTES = 32 * 1024;

/**
 * What the messages of one connection cost of their user's rate, and where they wait for it: closed until it is the
 * connection's turn. A PUBLISH waits before it is handled, the first one of a connection too: otherwise a loop that
 * connects anew for each message would have no rate. Acknowledgements and the like cost nothing, and wait only for
 * messages that the same client sent before them: who only receives is not slowed by what others of his send.
 */
export class PublishToll extends Valve {
  /** Bytes that are paid for although their packet is not handled yet. */
  #prepaid = 0;
  /** In whose line it stands. */
  #pace: Pace | null = null;
  /** Its turn has come, and nothing has passed since. */
  #called = false;
  #waived = false;
  readonly #onTurn = () => {
    this.#pace = null;
    this.#called = true;
    this.open();
  };

  /** More of a packet came that has come in part: it is paid for now, and what follows may have to wait for that. */
  coming(pace: Pace, partialBytes: number, bytes: number): void {
    if (partialBytes < LARGE_BYTES) return;
    this.#prepaid += bytes;
    pace.take(0, bytes);
    if (pace.closed) this.#wait(pace);
  }

  /** A PUBLISH of so many bytes may be handled, and is paid for. False: not before it opens. */
  passes(pace: Pace, bytes: number): boolean {
    if (!this.#waived && !pace.mayPass(this.#onTurn)) {
      this.#wait(pace);
      return false;
    }
    this.#called = false;
    const due = Math.max(0, bytes - this.#prepaid);
    this.#prepaid = Math.max(0, this.#prepaid - bytes);
    pace.take(1, due);
    return true;
  }

  /** What comes from here on is paid for, and does not wait: there will be no later. */
  waive(): void {
    this.#waived = true;
  }

  /** Nothing comes any more: it stands in no line. */
  quit(): void {
    this.#waived = true;
    this.#pace?.leave(this.#onTurn);
    this.#pace = null;
  }

  #wait(pace: Pace): void {
    if (this.closed || this.#waived) return;
    this.close();
    this.#pace = pace;
    pace.wait(this.#onTurn, this.#called);
    this.#called = false;
  }
}
