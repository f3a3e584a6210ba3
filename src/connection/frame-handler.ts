import type { Payer } from '../fairness/turn.js';

/** Who handles the frames of a connection: one before its CONNECT is accepted, another one afterwards. */
export interface FrameHandler {
  /** Whose share of the turn it is; null before CONNECT is accepted. */
  readonly payer: Payer | null;
  /** The largest frame that is accepted now, in bytes. */
  readonly largestFrame: number;
  /** So much more memory (or less, if negative) is taken by what cannot be handled yet. False when that is too much. */
  charge(bytes: number): boolean;
  /** Handles one whole frame and returns what it cost, in units of a delivery. */
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
