import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CredentialBackend } from './credentials/backend.js';
import type { CertificateSource } from './listener/certificate-source.js';
import type { HistoryListener } from './observe/history.js';
import type { PublicationListener } from './session/distribution.js';
import type { OpenDatabase } from './store/database.js';

/** Where the test harness puts parts of its own in the place of, or in front of, the configured ones. */
export interface BrokerSeams {
  readonly backend?: CredentialBackend;
  readonly certificates?: CertificateSource;
  readonly openDatabase?: OpenDatabase;
  /** What a connection reads from and writes to; it must behave as the socket would. */
  readonly wrapSocket?: (socket: Socket) => Duplex;
  /** Opens the port for browsers where the system chooses: `web.port` 0 is none otherwise. */
  readonly web?: boolean;
  readonly onPublication?: PublicationListener;
  readonly historyListener?: HistoryListener;
}
