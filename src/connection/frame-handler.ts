import type { Account } from '../fairness/account.js';

/** Who handles the frames of a connection: one before its CONNECT is accepted, another one afterwards. */
export interface FrameHandler {
  /** Whose work it is, and who pays for what cannot be handled yet. */
  readonly account: Account;
  /** The largest frame that is accepted now, in bytes. */
  readonly largestFrame: number;
  /** Handles one whole frame and returns how long that takes, roughly, in deliveries of a small message. */
  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number;
}

/** Whose bytes they are. */
export interface FrameSource {
  /** No further frame is wanted. */
  readonly closed: boolean;
  /** Everything that came was handled, and the peer sends no more. */
  ended(): void;
  /** Handling failed: a `ProtocolError`, or a defect of ours. */
  failed(error: unknown): void;
}
