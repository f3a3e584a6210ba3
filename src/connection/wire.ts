import type { Balance } from '../fairness/account.js';
import type { ProtocolLevel, Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import type { ReasonCode } from '../mqtt/reason-codes.js';
import type { CloseReason } from '../session/close-reason.js';
import type { Outbox } from './outbox.js';

/** Why a CONNECT is refused; each version has its own codes for it. */
export type ConnectRefusal =
  | 'unsupported-protocol'
  | 'client-id-rejected'
  | 'not-authorised'
  | 'unavailable'
  /** A limit of the user's. */
  | 'quota';

/** What an accepted CONNECT is answered with. Versions before 5 know `sessionPresent` alone. */
export interface Welcome {
  readonly sessionPresent: boolean;
  /** The client id that was made for a client without one. */
  readonly assignedClientId: string | null;
  /** How long the session is kept, when that is not what the client asked for. */
  readonly sessionExpirySeconds: number | null;
  /** The keepalive to use instead of the client's own. */
  readonly keepaliveSeconds: number | null;
  /** Where responses may be asked for. */
  readonly responseInformation: string | null;
}

/** Why a filter is refused; `null` when it is granted. */
export type SubscribeRefusal = 'denied' | 'invalid' | 'too-many-subscriptions' | 'too-many-retained';

export interface RequestedSubscription {
  readonly filter: string;
  readonly qos: Qos;
  /**
   * The subscription options of MQTT 5 (3.8.3.1) without their QoS bits; a bridge has some of them in earlier versions.
   */
  readonly options: number;
}

export interface SubscribeRequest {
  readonly packetId: number;
  readonly subscriptions: readonly RequestedSubscription[];
  /** Of all of them; null: none. */
  readonly identifier: number | null;
}

export interface UnsubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly string[];
}

/** What became of one filter of an UNSUBSCRIBE. */
export type UnsubscribeAnswer = 'done' | 'none' | 'invalid';

/** What takes long to read can stop where it yields, and be gone on with later. */
export type Reading<Request> = Generator<undefined, Request, void>;

/** Where the parts of a PUBLISH are. One of these is filled again for every message. */
export interface PublishHead {
  /** The received bytes; or the message made anew, when a topic alias stood for its topic. */
  chunk: Buffer;
  qos: Qos;
  retain: boolean;
  /** The topic itself, behind its two length bytes. */
  topicStart: number;
  topicEnd: number;
  /** 0 at QoS 0. */
  packetId: number;
  payloadStart: number;
  end: number;
  /** The properties of MQTT 5 that receivers are to get, as they are on the wire; null: none. */
  properties: Buffer | null;
  /** Every property that came is among them, so that the bytes between topic and payload may be sent as they are. */
  whole: boolean;
  /** Message Expiry Interval; -1: none. */
  expirySeconds: number;
  responseTopic: string | null;
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. One of these is filled again for every packet. */
export interface Acknowledgement {
  packetId: number;
  /** Its reason code is 0x80 or above: it ends the flow. */
  failed: boolean;
}

/** What a client's DISCONNECT says. */
export interface Farewell {
  /** Its Will is published nevertheless. */
  readonly publishesWill: boolean;
  /** The session is to be kept for so long instead of what CONNECT said; null: as CONNECT said. */
  readonly sessionExpirySeconds: number | null;
}

/**
 * How a version of the protocol is read and written, chosen at CONNECT. What a packet means is said elsewhere, once for
 * all versions: another version is another one of these. Reading throws a `ProtocolError` for what is malformed.
 */
export interface Wire {
  readonly level: ProtocolLevel;
  /** As in the log: `3.1`, `3.1.1`, `3.1.1 bridge`, `5`. */
  readonly version: string;
  /** Messages of QoS 1 and 2 that the client takes before it has acknowledged the first. */
  readonly receiveMaximum: number;
  /** Who pays for what is remembered for the client; null: nobody any more. */
  balance: Balance | null;

  /** The result is good until the next call. */
  readPublish(chunk: Buffer, start: number, bodyStart: number, end: number): PublishHead;
  /** The result is good until the next call. */
  readAcknowledgement(chunk: Buffer, start: number, bodyStart: number, end: number): Acknowledgement;
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
  /** PINGREQ. */
  checkEmpty(chunk: Buffer, start: number, bodyStart: number, end: number): void;
  readDisconnect(chunk: Buffer, start: number, bodyStart: number, end: number): Farewell;

  /** Null: the client does not take packets as large as the answer. So below. */
  welcome(details: Welcome): Buffer | null;
  refusal(why: ConnectRefusal, text: string | null): Buffer | null;
  /** `text` helps the user with what is refused; it is about the user's own request alone. */
  suback(packetId: number, answers: readonly (Qos | SubscribeRefusal)[], text: string | null): Buffer | null;
  unsuback(packetId: number, answers: readonly UnsubscribeAnswer[]): Buffer | null;
  /** What the client is told before the broker closes; null: nothing. */
  goodbye(why: CloseReason, code: ReasonCode | null, text: string | null): Buffer | null;
  acknowledge(outbox: Outbox, type: number, packetId: number, code?: ReasonCode, text?: string | null): void;
  readonly messages: MessageWriter;
}

/** How a version writes messages. */
export interface MessageWriter {
  /**
   * Sends a message from the bytes it came in. False when the client does not take packets of that size: then nothing is
   * sent [MQTT-3.1.2-24].
   */
  publication(
    outbox: Outbox,
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean;
  /** The same from its copy. */
  message(
    outbox: Outbox,
    message: Message,
    qos: Qos,
    packetId: number,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[] | null,
  ): boolean;
}
