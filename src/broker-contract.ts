import type { Admin } from './admin/admin.js';
import type { BrokerParts } from './broker-parts.js';
import type { ReloadOutcome } from './broker-reload.js';
import type { BrokerSeams } from './broker-seams.js';
import type { Clock } from './clock.js';
import type { Config } from './config/config.js';
import type { Fault } from './errors.js';
import type { Family } from './observe/exposition.js';
import type { Log } from './observe/log.js';
import type { CloseReason } from './session/close-reason.js';

export interface Broker {
  /** Resolves when clients can connect. Rejects, with everything closed again, when something is not as it must be. */
  start(): Promise<void>;
  /** Stops accepting, finishes what is in hand, publishes Wills, closes the store. Never takes much longer than asked. */
  stop(): Promise<void>;
  /** Reads certificate, key and CA again. Never rejects: unusable ones leave the old ones in use. */
  reloadCertificates(): Promise<void>;
  /**
   * Reads these and the configuration again, and takes over what a running broker can; with `dryRun`, says what that
   * would be. Throws `UsageError` when the configuration cannot be used: then all of it stays as it was.
   */
  reload(options?: { readonly dryRun?: boolean }): Promise<ReloadOutcome>;
  /** The port in use, once started; 0 when only a proxy lets clients in. */
  readonly port: number;
  /** What operators are answered from; null before the start. */
  readonly admin: Admin | null;
  /** The port for browsers in use, once started; null when it is turned off. */
  readonly webPort: number | null;
  /** Ends the connections of a login, or one of them. Returns how many there were. */
  disconnect(login: string, clientId?: string, reason?: CloseReason): number;
  /** What Prometheus gets, as it is now. */
  metrics(): Promise<readonly Family[]>;
  /** Once started. */
  readonly parts: BrokerParts;
}

export interface BrokerOptions extends BrokerSeams {
  readonly log: Log;
  readonly clock?: Clock;
  readonly env?: NodeJS.ProcessEnv;
  /** Reads the configuration anew, for `reload`; without it there is never another one. */
  readonly readConfig?: () => Promise<Config>;
  /** Another broker has what `storage.url` keeps for this one: the start goes on when that one is gone. */
  readonly onStandby?: () => void;
  /** Another broker has taken this one's place: it has to end at once. Without it, an error that nobody catches does. */
  readonly onFenced?: (fault: Fault) => void;
}
