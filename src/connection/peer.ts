import type { CloseReason } from '../session/close-reason.js';
import type { Session } from '../session/session.js';
import type { UserAccount } from '../session/user-account.js';
import type { FrameHandler } from './frame-handler.js';
import type { ProtocolError } from './protocol-error.js';

/** A peer whose user is known: let in already, or waiting for that. */
export interface KnownPeer extends FrameHandler {
  readonly login: string;
  readonly clientId: string;
  readonly account: UserAccount;
  /** What the credential backend needs to check later whether the user is still entitled. */
  readonly proof: unknown;
  /** The connection is closed. A `disconnect` is the client's own word. */
  gone(reason: CloseReason): void;
  /** Nothing of the connection is left in the account. */
  settled(): void;
}

/** One that waits until another connection has made way. */
export interface WaitingPeer extends KnownPeer {
  /** It has waited for as long as one may. */
  tooLate(): void;
}

/** The client that was let in, as its connection knows it. */
export interface ConnectedClient extends KnownPeer {
  readonly session: Session;
  readonly wire: { readonly version: string };
  /** Milliseconds without a packet after which the connection is closed [MQTT-3.1.2-24]; 0: never. */
  readonly keepaliveMs: number;
  /** Sends what is queued, when it is the user's turn. */
  pump(): void;
  /** What the client is told before the broker closes; null: nothing. */
  goodbye(reason: CloseReason, error: ProtocolError | null): Buffer | null;
}
