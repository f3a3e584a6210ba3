import type { Qos } from '../mqtt/packets.js';
import { Message } from '../mqtt/publication.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { OutgoingRecord, StoredMessage } from '../store/contract.js';
import type { NextRetained } from './retained-batch.js';

/** One message on its way to one session. */
export interface Entry {
  /** Place in the session's order, for ever increasing: the store's key. */
  readonly seq: number;
  /** 0 for QoS 0. Assigned when the message is queued, and kept through reconnects and restarts. */
  readonly packetId: number;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Of the subscriptions that the message matched; null: they have none. */
  readonly identifiers: readonly number[] | null;
  /** QoS 2: PUBREC has come, PUBREL is owed or sent. */
  released: boolean;
  /** PUBREL may be sent: that PUBREC has come is on disk, or nothing of this session is. */
  releaseStored: boolean;
  /** It must not be sent before its ticket is safe. */
  readonly safeFirst: boolean;
  /** It may have been sent before: the next time it carries DUP [MQTT-3.3.1-1]. */
  sent: boolean;
  /** In flight since then, by the scheduler's time: whole milliseconds. */
  sentAtMs: number;
  /** Null once it is not needed any more: released, or sent to a session that ends with its connection. */
  message: Message | null;
  /** Shared with the publisher, who waits until this entry is on disk or acknowledged. */
  ticket: SafetyTicket | null;
}

const EMPTY = Buffer.alloc(0);

/** A message that was just published. */
export function liveEntry(
  seq: number,
  packetId: number,
  qos: Qos,
  retain: boolean,
  identifiers: readonly number[] | null,
  ticket: SafetyTicket | null,
): Entry {
  return newEntry(seq, packetId, qos, retain, identifiers, ticket !== null, null, ticket);
}

/** A retained message for a new subscription [MQTT-3.3.1-8]. With a ticket it waits for that. */
export function retainedEntry(
  packetId: number,
  { seq, message, qos, identifiers }: NextRetained,
  ticket: SafetyTicket | null,
): Entry {
  const copy = Message.of(message.topic, message.payload, message.properties, message.expiresAt);
  return newEntry(seq, packetId, qos, true, identifiers, ticket !== null, copy, ticket);
}

/** All entries have one shape, whoever makes them. */
function newEntry(
  seq: number,
  packetId: number,
  qos: Qos,
  retain: boolean,
  identifiers: readonly number[] | null,
  safeFirst: boolean,
  message: Message | null,
  ticket: SafetyTicket | null,
): Entry {
  return {
    seq,
    packetId,
    qos,
    retain,
    identifiers,
    released: false,
    releaseStored: false,
    safeFirst,
    sent: false,
    sentAtMs: 0,
    message,
    ticket,
  };
}

/** The entry of a message that the store has and nobody has released. `sent`: it may have left before. */
export function entryOf(record: StoredMessage, sent: boolean): Entry {
  const { seq, packetId, qos, retain, identifiers, topic, payload, properties, expiresAt } = record;
  const message = Message.of(topic, payload, properties, expiresAt);
  message.contentId = record.contentId;
  const entry = newEntry(seq, packetId, qos, retain, identifiers, false, message, null);
  entry.sent = sent;
  return entry;
}

/** Of a message of which the store kept that PUBREL is owed. */
export function releasedEntry({ seq, packetId }: { readonly seq: number; readonly packetId: number }): Entry {
  const entry = newEntry(seq, packetId, 2, false, null, false, null, null);
  entry.released = true;
  entry.releaseStored = true;
  entry.sent = true;
  return entry;
}

/** The entry as the store keeps it. */
export const recordOf = (entry: Entry): OutgoingRecord => new EntryRecord(entry);

/** Of an entry as it is now. What it says is taken out of the message when somebody asks: most are never written. */
class EntryRecord implements OutgoingRecord {
  readonly seq: number;
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly released: boolean;
  readonly identifiers: readonly number[] | null;
  readonly #message: Message | null;

  constructor({ seq, packetId, qos, retain, released, identifiers, message }: Entry) {
    this.seq = seq;
    this.packetId = packetId;
    this.qos = qos as 1 | 2;
    this.retain = retain;
    this.released = released;
    this.identifiers = identifiers;
    this.#message = message;
  }

  get topic(): string {
    return this.#message?.topic ?? '';
  }

  get payload(): Buffer {
    return this.released || this.#message === null ? EMPTY : this.#message.payload;
  }

  get properties(): Buffer | null {
    return this.#message?.properties ?? null;
  }

  get expiresAt(): number | null {
    return this.#message?.expiresAt ?? null;
  }
}
