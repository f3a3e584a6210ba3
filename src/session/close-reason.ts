/** Why a connection ended: in the log, and in tests. Never shown to a 3.1 or 3.1.1 client. */
export type CloseReason =
  /** The client's DISCONNECT. */
  | 'disconnect'
  /** The client closed without one. */
  | 'peer-closed'
  | 'socket-error'
  | 'protocol-error'
  | 'internal-error'
  /** CONNECT was answered with a refusal. */
  | 'refused'
  | 'connect-timeout'
  | 'keepalive-timeout'
  /** The client did not read what it was sent. */
  | 'drain-timeout'
  | 'taken-over'
  /** The account was removed, disabled or given a new password. */
  | 'revoked'
  /** An operator or a test ended it. */
  | 'kicked'
  /** Memory was short, and this user held most of it. */
  | 'memory-limit'
  /** What had to be stored could not be. */
  | 'store-fault'
  | 'broker-stopping';
