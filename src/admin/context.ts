import type { BrokerParts } from '../broker-parts.js';
import type { ReloadOutcome } from '../broker-reload.js';
import type { Clock } from '../clock.js';
import type { LookedUp } from '../credentials/backend.js';
import type { Tally } from '../observe/tally.js';
import type { Departure } from './departure.js';
import type { Rates } from './rates.js';
import type { Trace, TraceOrder } from './trace.js';

/** What operators may have the broker do. */
export interface Controls {
  /** Reads certificate, key and CA again. */
  reloadCertificates(): Promise<void>;
  /** Reads these and the configuration again. Throws `UsageError` when that cannot be used: then nothing has changed. */
  reload(options: { readonly dryRun: boolean }): Promise<ReloadOutcome>;
  /** Ends the connections of a login, or the one with this client id. Returns how many there were. */
  disconnect(login: string, clientId?: string): number;
}

/** What the routes answer from. */
export interface AdminContext {
  readonly parts: BrokerParts;
  readonly controls: Controls;
  readonly clock: Clock;
  /** By the clock's monotonic time. */
  readonly startedAtMs: number;
  /** The credential backend's name. */
  readonly backend: string;
  /** The code of what keeps the credential backend from answering; null while it does. */
  readonly credentialsFault: () => string | null;
  /** Somebody says that the account of a login has changed: what is remembered of it counts no more. */
  readonly credentialsChanged: (login: string) => Promise<void>;
  /** What the credential backend knows of a login without its password; nulls where it cannot tell. */
  readonly lookUp: (login: string) => Promise<LookedUp>;
  /** The first `most` logins that contain `part`, as far as the credential backend can tell. */
  readonly findLogins: (part: string, most: number) => Promise<readonly string[]>;
  readonly stopping: () => boolean;
  readonly departure: Departure;
  /** Which of how many brokers this is, so that numbers given here are given by no other one. */
  readonly cluster: { readonly shards: number; readonly shard: number };
  /** When the certificates in use end, by what they are for: milliseconds since 1970. */
  readonly certificates: () => readonly { readonly role: string; readonly expiresAt: number }[];
  /** Bytes on disk. */
  readonly storeBytes: () => Promise<number>;
  readonly rates: Rates;
  /** Requests of operators: `route status`. */
  readonly requests: Tally;
  /** The last lines of the audit log. */
  readonly audited: (lines: number) => Promise<readonly unknown[]>;
  readonly streams: StreamCounts;
  readonly traces: TraceKeeper;
  /** Where the users are; null when it is not the broker's to change them. */
  readonly users: EditableUsers | null;
  readonly course: { readonly samples: readonly CourseSample[] };
}

/** Of traces and event streams. */
export interface StreamCounts {
  open: number;
  /** Events that were lost, since a reader was slow. */
  dropped: number;
}

/** Of traces: what the routes need. */
export interface TraceKeeper {
  readonly list: readonly Trace[];
  get(id: string): Trace | undefined;
  start(order: TraceOrder): Trace;
  end(trace: Trace): void;
  /** Ends those of a login, and remembers none of them. */
  forget(login: string): void;
}

/** Where the users are, when it is the broker's to change them. */
export interface EditableUsers {
  readonly path: string;
  readonly isLogin: (login: string) => boolean;
  /** Looks at them now: who was added can log in. */
  refresh(): Promise<void>;
}

/** How it went for a while: messages per second, and the connections at its end. */
export interface CourseSample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly connections: number;
  readonly received: number;
  readonly sent: number;
  readonly dropped: number;
  readonly denied: number;
}
