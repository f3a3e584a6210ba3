/** Whom a fault concerns; without either, everybody. */
export interface FaultScope {
  /** As the client gives it in CONNECT. */
  readonly login?: string | undefined;
  readonly clientId?: string | undefined;
}

/** A fault that was set: it strikes until it is lifted, unless `once` or `times` said otherwise. */
export interface Fault {
  /** Strikes once. Returns itself: `broker.faults.refuseConnect(3).once()`. */
  once(): this;
  /** Strikes `count` times. */
  times(count: number): this;
  /** Ends the fault; what it held back goes on its way. */
  lift(): void;
  /** How often it has struck. */
  readonly hits: number;
  /** Resolves when it has struck `count` times in all; once, unless given. */
  waitForHits(count?: number, options?: { readonly timeoutMs?: number }): Promise<void>;
}

/**
 * What is wrong with a server certificate, if anything. `rotated` is under the same CA with a new key: clients that trust
 * the CA notice nothing, clients that pin the key do. `wrong-host` is for `wrong.example` only.
 */
export type CertificateKind = 'valid' | 'rotated' | 'expired' | 'not-yet-valid' | 'wrong-host' | 'unknown-ca';

/** The packets that a fault can be told to count. */
export type PacketName =
  | 'connack'
  | 'publish'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'subscribe'
  | 'suback'
  | 'unsubscribe'
  | 'unsuback'
  | 'pingreq'
  | 'pingresp';

export interface DropOptions extends FaultScope {
  /** The connection breaks behind this many packets, counted on each connection from when the fault is set; 1 unless given. */
  readonly after?: number;
  /** Whose packets are counted: those that the client sends, unless given. CONNECT is the first of them. */
  readonly from?: 'client' | 'broker';
  /** Counts packets of this type only. */
  readonly packet?: PacketName;
  /** Breaks in the middle of the packet that follows those counted. */
  readonly midPacket?: boolean;
}

/**
 * What can go wrong between a client and the broker, on demand. Each fault concerns everybody, or a login or client id,
 * and strikes `once()`, `times(n)`, or until `lift()`. Of two faults of a kind the one set first strikes first.
 */
export interface Faults {
  /** Answers CONNECT with `code` (3: unavailable, 5: not authorised; for MQTT 5 a reason code) and closes. */
  refuseConnect(code: number, scope?: FaultScope): Fault;
  /** The credential backend gives no answer: CONNECT is answered with "server unavailable". */
  credentialsDown(scope?: { readonly login?: string }): Fault;
  /** The credential backend takes `delayMs` of the broker's time to answer. */
  credentialsSlow(delayMs: number, scope?: { readonly login?: string }): Fault;
  /** Breaks the connection, without a goodbye, behind a number of packets or in the middle of one. */
  dropConnection(options?: DropOptions): Fault;
  /**
   * Ends the connection at the client's next packet, or the broker's to it, with a DISCONNECT of this reason code of MQTT 5
   * (0x8b: the server is shutting down); a client of an earlier version is disconnected without one.
   */
  sendDisconnect(reasonCode: number, scope?: FaultScope): Fault;
  /** Keeps PUBACK, PUBREC and PUBCOMP from the publisher until the fault is lifted; then they leave in order. */
  holdAcknowledgements(scope?: FaultScope): Fault;
  /**
   * The broker has the message, the acknowledgement (PUBACK, PUBREC or PUBCOMP) gets lost, and the connection with it:
   * the client must send the message again when it is back. `keepConnection` loses the acknowledgement alone.
   */
  loseAcknowledgement(options?: FaultScope & { readonly keepConnection?: boolean }): Fault;
  /** Each message reaches its subscriber this much later, in order; by the broker's clock. */
  delayDelivery(delayMs: number, scope?: FaultScope): Fault;
  /** Messages reach their subscriber at this rate; by the broker's clock. */
  throttleDelivery(bytesPerSecond: number, scope?: FaultScope): Fault;
  /** The broker reads no further from the client, from its next packet behind CONNECT on, until the fault is lifted. */
  stallReading(scope?: FaultScope): Fault;
  /** New connections are shown another certificate. Nobody knows yet who they are: there is no scope. */
  certificate(kind: CertificateKind): Fault;
  /** Ends every fault. */
  liftAll(): void;
}
