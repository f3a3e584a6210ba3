import { Histogram, LATENCY_SECONDS } from './histogram.js';
import { dropReasons, endReasons, refusalReasons } from './in-words.js';
import { limitNames } from './limits-reached.js';
import { Tally } from './tally.js';

const latency = () => new Histogram(LATENCY_SECONDS);
const OPERATIONS = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

/**
 * Totals since the start, for the metrics. Plain numbers and arrays of them: they are counted on the hot path. What each
 * of them means for operators is said where it is shown, in admin/metrics-*.ts.
 */
/** Of clients, in metrics: how they came, and what they speak. */
export const transportsAndProtocols: readonly string[] = ['tls', 'websocket'].flatMap((transport) =>
  ['3.1', '3.1.1', '5'].map((protocol) => `${transport} ${protocol}`),
);

export class Counters {
  /** By the type of the packet: 1 is CONNECT. */
  readonly packetsReceived = new Array<number>(16).fill(0);
  /** By QoS. One that is sent again counts again. */
  readonly publishesReceived: [number, number, number] = [0, 0, 0];
  readonly publishesSent: [number, number, number] = [0, 0, 0];
  /** Of their payloads. */
  publishReceivedBytes = 0;
  publishSentBytes = 0;
  /** Inside of TLS. */
  networkReceivedBytes = 0;
  networkSentBytes = 0;
  publishesAllowed = 0;
  publishesDenied = 0;
  /** Nobody had subscribed to it. */
  publishesUnrouted = 0;
  subscriptionsAllowed = 0;
  subscriptionsDenied = 0;
  willsPublished = 0;
  willsDenied = 0;
  sessionsExpired = 0;
  /** How often the user who held most was disconnected, since memory was short. */
  memoryReliefs = 0;
  /** For how long publishers were read later than they could have been, to keep to a rate. */
  publishesDelayedMs = 0;
  readonly configReloads = new Tally(['success', 'failure']);
  /** The configuration in use: milliseconds since 1970. */
  configLoadedAt = Date.now();

  /** `transport protocol`. */
  readonly connectionsOpened = new Tally(transportsAndProtocols);
  readonly connectionsRefused = new Tally(refusalReasons);
  readonly connectionsClosed = new Tally(endReasons);
  readonly messagesDropped = new Tally(dropReasons);
  /** By the key of the limit. */
  readonly limitHits = new Tally(limitNames);
  /** Subscriptions that there are now. */
  readonly subscriptions = new Tally(['plain', 'wildcard', 'shared']);
  readonly storeFaults = new Tally(['E_STORE_WRITE']);
  /** `backend result`. */
  readonly authentications = new Tally();
  /** `result resumed`. */
  readonly handshakes = new Tally(['secure no', 'secure yes', 'failed no', 'plaintext no', 'late no', 'gone no']);

  /** From PUBLISH to PUBACK or PUBREC, by QoS less one. */
  readonly publishAckSeconds = [latency(), latency()] as const;
  /** From the sending of a message to its acknowledgement, by QoS less one. */
  readonly deliverySeconds = [latency(), latency()] as const;
  /** From CONNECT to CONNACK. */
  readonly connectSeconds = { accepted: latency(), refused: latency() };
  /** By whose word it was: `none`, when nobody needed to be asked. */
  readonly authenticationSeconds = { memory: latency(), backend: latency(), none: latency() };
  readonly handshakeSeconds = latency();
  readonly storeCommitSeconds = latency();
  readonly storeCommitOperations = new Histogram(OPERATIONS);
}
