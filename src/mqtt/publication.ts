import type { Valve } from '../valve.js';
import type { Qos } from './packets.js';
import { SafetyTicket } from './safety-ticket.js';

/**
 * One message, copied out of the bytes it came in, so that queues can keep it for as long as they must. All receivers
 * of a message share one of these. `body` is what follows the fixed header of a PUBLISH at QoS 1 and 2: topic, two bytes
 * for a packet id, payload. So it leaves with one copy; only the packet id is each receiver's own.
 */
export class Message {
  readonly topic: string;
  readonly body: Buffer;
  /** Offset in `body` at which the topic (with its two length bytes) ends. */
  readonly topicEnd: number;
  /** Two bytes later; in what came in MQTT 5, behind its properties with their length. */
  readonly payloadStart: number;
  /** The properties of MQTT 5 that receivers get, as they are on the wire; null: none. */
  readonly properties: Buffer | null;
  /** When it is not to be delivered any more, as a date in milliseconds since 1970; null: never. */
  readonly expiresAt: number | null;
  /** Where the store has it, if it has it apart from the queues. */
  contentId = 0;
  /** The same as it has it, when that is written and no queue has it yet. */
  row: Buffer | null = null;

  constructor(
    topic: string,
    body: Buffer,
    topicEnd: number,
    properties: Buffer | null = null,
    expiresAt: number | null = null,
    payloadStart = topicEnd + 2,
  ) {
    this.topic = topic;
    this.body = body;
    this.topicEnd = topicEnd;
    this.payloadStart = payloadStart;
    this.properties = properties;
    this.expiresAt = expiresAt;
  }

  /** What it takes in a queue: topic, payload and properties. */
  get bytes(): number {
    return this.topicEnd - 2 + this.body.length - this.payloadStart + (this.properties?.length ?? 0);
  }

  /** The body is what followed the fixed header in MQTT 5, and may leave so as it is, but for the packet id. */
  get asCame(): boolean {
    return this.payloadStart > this.topicEnd + 2;
  }

  get payload(): Buffer {
    return this.body.subarray(this.payloadStart);
  }

  get payloadBytes(): number {
    return this.body.length - this.topicEnd - 2;
  }

  static of(
    topic: string,
    payload: Buffer,
    properties: Buffer | null = null,
    expiresAt: number | null = null,
  ): Message {
    const length = Buffer.byteLength(topic);
    const body = Buffer.allocUnsafe(2 + length + 2 + payload.length);
    body.writeUInt16BE(length, 0);
    body.write(topic, 2);
    payload.copy(body, 2 + length + 2);
    return new Message(topic, body, 2 + length, properties, expiresAt);
  }
}

/** From this size on a message may keep the memory that it came in, if that is mostly its own. */
const UNCOPIED_BYTES = 64 * 1024;

/** Who published a message. */
export interface Publisher {
  /** Isolation decides by it who may slow whom, and who pays for what is kept. */
  readonly login: string;
  /** Null for what no client sent, such as a message of the test harness. */
  readonly clientId: string | null;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Before a publication is one. */
const NOBODY: Publisher = { login: '', clientId: null };

/**
 * One PUBLISH on its way through the broker, still in the bytes that came in. It is valid only until the turn that made
 * it ends, unless a job goes on with it: who keeps the message takes `message()`. A publisher's connection makes one and
 * fills it anew for each message (bench row "QoS 1, 10 users, 1 → 1": a new one each time made a third of the garbage).
 */
export class Publication {
  chunk = NOTHING;
  /** The frame: from its first byte … */
  start = 0;
  /** … the topic's two length bytes … */
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  /** … to the byte behind the payload. */
  end = 0;
  topic = '';
  qos: Qos = 0;
  retain = false;
  publisher: Publisher = NOBODY;
  /** A QoS 0 receiver may get the very bytes that came in. */
  verbatim = false;
  /**
   * No receiver may see it before it is safe: QoS 2 from a persistent session, whose packet id must be on disk first, or
   * a crash in between would let the publisher's retransmission through a second time.
   */
  safeFirst = false;
  /** The properties of MQTT 5 that receivers get, as they are on the wire; null: none. */
  properties: Buffer | null = null;
  /** Message Expiry Interval; -1: none. */
  expirySeconds = -1;
  /** It came in MQTT 5, and everything behind the topic may leave so too as it came. */
  asCame = false;
  /** When it came in, as a date in milliseconds since 1970; only looked at when it expires. */
  cameAt = 0;
  /** The properties with their length, for receivers of MQTT 5: made by the first that needs them. */
  block: Buffer | null = null;
  /** What the publisher waits for; null while nothing of this message needed the store. */
  ticket: SafetyTicket | null = null;
  /** Of a receiver of the publisher's own user whose queue is filling up: the publisher is to wait for it. */
  valve: Valve | null = null;
  /** What is long of it was written apart. */
  prepared = false;
  /** Deliveries made: what this publication cost, for fairness between users. */
  deliveries = 0;

  #copied: Message | null = null;

  /** Becomes another message; `over` was called since the one before. */
  begin(
    chunk: Buffer,
    start: number,
    topicStart: number,
    topicEnd: number,
    payloadStart: number,
    end: number,
    topic: string,
    qos: Qos,
    retain: boolean,
    publisher: Publisher,
    verbatim: boolean,
    safeFirst: boolean,
    properties: Buffer | null = null,
    expirySeconds = -1,
    asCame = false,
    cameAt = 0,
  ): this {
    this.chunk = chunk;
    this.start = start;
    this.topicStart = topicStart;
    this.topicEnd = topicEnd;
    this.payloadStart = payloadStart;
    this.end = end;
    this.topic = topic;
    this.qos = qos;
    this.retain = retain;
    this.publisher = publisher;
    this.verbatim = verbatim;
    this.safeFirst = safeFirst;
    this.properties = properties;
    this.expirySeconds = expirySeconds;
    this.asCame = asCame;
    this.cameAt = cameAt;
    return this;
  }

  /** Everything that was to be done with the message is done: lets go of its bytes and of what was noted. */
  over(): void {
    this.chunk = NOTHING;
    this.properties = null;
    this.block = null;
    this.ticket = null;
    this.valve = null;
    this.prepared = false;
    this.deliveries = 0;
    this.#copied = null;
  }

  /** A publication that did not come from a connection's bytes: a Will, a message of the test harness. */
  static of(
    topic: string,
    payload: Buffer,
    qos: Qos,
    retain: boolean,
    login: string,
    clientId: string | null = null,
    more: { properties: Buffer | null; expirySeconds: number | null; cameAt: number } | null = null,
  ): Publication {
    const { body, topicEnd } = Message.of(topic, payload);
    return new Publication().begin(
      ...([body, 0, 0, topicEnd, topicEnd + 2, body.length] as const),
      topic,
      qos,
      retain,
      { login, clientId },
      false,
      false,
      more?.properties ?? null,
      more?.expirySeconds ?? -1,
      false,
      more?.cameAt ?? 0,
    );
  }

  get payload(): Buffer {
    return this.chunk.subarray(this.payloadStart, this.end);
  }

  get payloadBytes(): number {
    return this.end - this.payloadStart;
  }

  /** What the message takes in a queue: topic, payload and properties. */
  get messageBytes(): number {
    const bytes = this.topicEnd - this.topicStart + this.end - this.payloadStart;
    return this.properties === null ? bytes : bytes + this.properties.length;
  }

  /** When it is not to be delivered any more, as a date in milliseconds since 1970; null: never. */
  get expiresAt(): number | null {
    return this.expirySeconds < 0 ? null : this.cameAt + this.expirySeconds * 1_000;
  }

  /** A large message that came in parts, in memory of its own: a copy would only be there twice. */
  get #isMostOfItsChunk(): boolean {
    const bytes = this.end - this.topicStart;
    return bytes >= UNCOPIED_BYTES && bytes * 2 > this.chunk.buffer.byteLength;
  }

  /** The message, copied once, however many queues keep it. */
  message(): Message {
    if (this.#copied === null) {
      const { chunk, topicStart, topicEnd, payloadStart, end } = this;
      const topicBytes = topicEnd - topicStart;
      const idAt = topicBytes + 2;
      if (this.asCame && this.qos > 0) {
        const body = Buffer.allocUnsafe(end - topicStart);
        chunk.copy(body, 0, topicStart, end);
        const at = payloadStart - topicStart;
        const properties = this.properties === null ? null : body.subarray(at - this.properties.length, at);
        this.#copied = new Message(this.topic, body, topicBytes, properties, null, at);
        return this.#copied;
      }
      if (payloadStart === topicEnd + 2 && this.#isMostOfItsChunk) {
        const properties = this.properties === null ? null : Buffer.from(this.properties);
        const body = chunk.subarray(topicStart, end);
        this.#copied = new Message(this.topic, body, topicBytes, properties, this.expiresAt);
        return this.#copied;
      }
      const body = Buffer.allocUnsafe(idAt + end - payloadStart);
      if (payloadStart === topicEnd + 2) chunk.copy(body, 0, topicStart, end);
      else {
        chunk.copy(body, 0, topicStart, topicEnd);
        chunk.copy(body, idAt, payloadStart, end);
      }
      // A copy of the properties, too: they are a piece of the received bytes.
      const properties = this.properties === null ? null : Buffer.from(this.properties);
      this.#copied = new Message(this.topic, body, topicBytes, properties, this.expiresAt);
    }
    return this.#copied;
  }

  /** The ticket, made when the first part of the message is handed to the store or must wait for it. */
  needsStore(): SafetyTicket {
    this.ticket ??= new SafetyTicket();
    return this.ticket;
  }
}
