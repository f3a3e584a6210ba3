import type { WillMessage } from '../session/will.js';

/** What a CONNECT asks for, in whatever version. */
export interface ConnectRequest {
  readonly clientId: string;
  /** Clean Session, or Clean Start: what was kept is discarded. */
  readonly clean: boolean;
  /** For how long the session is to be kept when its connection ends; null: as long as sessions are kept here. */
  readonly sessionExpirySeconds: number | null;
  readonly keepaliveSeconds: number;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: WillMessage | null;
  /** Response Information is asked for. */
  readonly wantsResponseInformation: boolean;
}
