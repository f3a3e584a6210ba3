import type { Pace } from '../fairness/pace.js';

/** A packet of which so much has come already is paid for as it comes: it may be megabytes. */
const LARGE_BYTES = 32 * 1024;

/**
 * What the messages of one connection cost of their user's rate. Acknowledgements and the like cost nothing, and wait
 * only for messages that the same client sent before them: who only receives is not slowed by what others of his send.
 */
export class PublishToll {
  /** Bytes that are paid for although their packet is not handled yet. */
  #prepaid = 0;

  /** More of a packet came that has come in part. True: it is paid for now, and what follows has to wait for that. */
  coming(pace: Pace, partialBytes: number, bytes: number): boolean {
    if (partialBytes < LARGE_BYTES) return false;
    this.#prepaid += bytes;
    pace.take(0, bytes);
    return true;
  }

  /** A PUBLISH of so many bytes is handled. */
  message(pace: Pace, bytes: number): void {
    const due = Math.max(0, bytes - this.#prepaid);
    this.#prepaid = Math.max(0, this.#prepaid - bytes);
    pace.take(1, due);
  }
}
