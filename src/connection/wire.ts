import type { ProtocolLevel, Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import type { Outbox } from './outbox.js';

/** What CONNECT is answered with; each version has its own codes for them. */
export type ConnectOutcome =
  | 'accepted'
  | 'unsupported-protocol'
  | 'client-id-rejected'
  | 'not-authorised'
  | 'unavailable';

/** Why a filter is refused; `null` when it is granted. */
export type SubscribeRefusal = 'denied' | 'too-many-subscriptions' | 'too-many-retained';

export interface RequestedSubscription {
  readonly filter: string;
  readonly qos: Qos;
  /** The options byte of MQTT 5 without its QoS; a bridge has some of them in earlier versions. */
  readonly options: number;
}

export interface SubscribeRequest {
  readonly packetId: number;
  readonly subscriptions: readonly RequestedSubscription[];
}

export interface UnsubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly string[];
}

/** What takes long to read can stop where it yields, and be gone on with later. */
export type Reading<Request> = Generator<undefined, Request, void>;

/** Where the parts of a PUBLISH are in the received bytes. One of these is filled again for every message. */
export interface PublishHead {
  qos: Qos;
  retain: boolean;
  /** The topic itself, behind its two length bytes. */
  topicStart: number;
  topicEnd: number;
  /** 0 at QoS 0. */
  packetId: number;
  payloadStart: number;
}

/**
 * How a version of the protocol is read and written, chosen at CONNECT. What a packet means is said elsewhere, once for
 * all versions: another version is another one of these. Reading throws a `ProtocolError` for what is malformed.
 */
export interface Wire {
  readonly level: ProtocolLevel;
  /** As in the log: `3.1`, `3.1.1`, `3.1.1 bridge`. */
  readonly version: string;

  /** The result is good until the next call. */
  readPublish(chunk: Buffer, start: number, bodyStart: number, end: number): PublishHead;
  /** The packet id of PUBACK, PUBREC, PUBREL or PUBCOMP. */
  readAcknowledgement(chunk: Buffer, start: number, bodyStart: number, end: number): number;
  /** `maxFilters` is looked at before any of them is decoded. */
  readSubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<SubscribeRequest>;
  readUnsubscribe(
    chunk: Buffer,
    start: number,
    bodyStart: number,
    end: number,
    maxFilters: number,
  ): Reading<UnsubscribeRequest>;
  /** PINGREQ and DISCONNECT. */
  checkEmpty(chunk: Buffer, start: number, bodyStart: number, end: number): void;

  connack(outcome: ConnectOutcome, sessionPresent: boolean): Buffer;
  suback(packetId: number, answers: readonly (Qos | SubscribeRefusal)[]): Buffer;
  unsuback(packetId: number): Buffer;
  acknowledge(outbox: Outbox, type: number, packetId: number): void;
  /** From the bytes it came in. */
  publication(outbox: Outbox, publication: Publication, qos: Qos, packetId: number, retain: boolean): void;
  /** From its copy. */
  message(outbox: Outbox, message: Message, qos: Qos, packetId: number, retain: boolean, dup: boolean): void;
}
