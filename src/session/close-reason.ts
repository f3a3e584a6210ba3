/** Why a connection ended: in the log, and in tests. A client of MQTT 5 is told by a reason code (connection/answers5.ts), others never. */
export type CloseReason =
  /** The client's DISCONNECT. */
  | 'disconnect'
  /** The same, with a reason that has its Will published: MQTT 5. */
  | 'disconnect-with-will'
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
  /** The log-in of a browser, whose page had opened it, is over. */
  | 'logged-out'
  /** An operator or a test ended it. */
  | 'kicked'
  /** Its user ended it, on the page. */
  | 'ended-on-page'
  /** An operator keeps the login, or the address, out for a while. */
  | 'banned'
  /** An operator had everything of the login forgotten, the Will of its client too. */
  | 'forgotten'
  /** Memory was short, and this user held most of it. */
  | 'memory-limit'
  /** What had to be stored could not be. */
  | 'store-fault'
  | 'broker-stopping';
