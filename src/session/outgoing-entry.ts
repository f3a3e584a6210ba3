import { lowerQos, type Qos } from '../mqtt/packets.js';
import { Message } from '../mqtt/publication.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { OutgoingRecord, RetainedMessage } from '../store/store.js';

/** One message on its way to one session. */
export interface Entry {
  /** Place in the session's order, for ever increasing: the store's key. */
  readonly seq: number;
  /** 0 for QoS 0. Assigned when the message is queued, and kept through reconnects and restarts. */
  readonly packetId: number;
  readonly qos: Qos;
  readonly retain: boolean;
  /** QoS 2: PUBREC has come, PUBREL is owed or sent. */
  released: boolean;
  /** It may have been sent before: the next time it carries DUP [MQTT-3.3.1-1]. */
  sent: boolean;
  /** Null once it is not needed any more: released, or sent to a session that ends with its connection. */
  message: Message | null;
  /** Shared with the publisher, who waits until this entry is on disk or acknowledged. */
  ticket: SafetyTicket | null;
}

const EMPTY = Buffer.alloc(0);

/** A message that was just published: it carries no retain flag [MQTT-3.3.1-9]. */
export function liveEntry(seq: number, packetId: number, qos: Qos, ticket: SafetyTicket | null): Entry {
  return { seq, packetId, qos, retain: false, released: false, sent: false, message: null, ticket };
}

/** A retained message for a new subscription [MQTT-3.3.1-8], about to be sent. */
export function retainedEntry(seq: number, packetId: number, qos: Qos, { topic, payload }: RetainedMessage): Entry {
  const message = Message.of(topic, payload);
  return { seq, packetId, qos, retain: true, released: false, sent: true, message, ticket: null };
}

/** The entry that the store kept. `sent`: it may have left before. */
export function entryOf(record: OutgoingRecord, sent: boolean): Entry {
  const { seq, packetId, qos, retain, released, topic, payload } = record;
  const message = released ? null : Message.of(topic, payload);
  return { seq, packetId, qos, retain, released, sent, message, ticket: null };
}

/** The entry as the store keeps it. */
export function recordOf(entry: Entry): OutgoingRecord {
  return {
    seq: entry.seq,
    packetId: entry.packetId,
    qos: entry.qos as 1 | 2,
    retain: entry.retain,
    released: entry.released,
    sent: entry.sent,
    topic: entry.message?.topic ?? '',
    payload: entry.released || entry.message === null ? EMPTY : entry.message.payload,
    properties: null,
  };
}

/**
 * The retained messages that match a new subscription, sent as the window and the socket have room. A session that
 * subscribes to ten thousand of them neither fills its queue with them nor holds up the event loop.
 */
export class RetainedBatch {
  private readonly messages: readonly RetainedMessage[];
  private readonly granted: Qos;
  private index = 0;

  constructor(messages: readonly RetainedMessage[], granted: Qos) {
    this.messages = messages;
    this.granted = granted;
  }

  get length(): number {
    return this.messages.length - this.index;
  }

  /** The message to send next, with its QoS; null at the end. */
  next(): { message: RetainedMessage; qos: Qos } | null {
    const message = this.messages[this.index];
    if (message === undefined) return null;
    return { message, qos: lowerQos(message.qos, this.granted) };
  }

  advance(): void {
    this.index++;
  }
}
