import type { Balance } from '../fairness/account.js';
import { lengthBytes, PUBLISH, type Qos } from '../mqtt/packets.js';
import { Property as P, PropertyWriter } from '../mqtt/properties.js';
import type { Message, Publication } from '../mqtt/publication.js';
import type { ClientSettings } from './connect5.js';
import type { Outbox } from './outbox.js';
import { EMPTY_BLOCK, publicationBlock, publishBlock } from './publish-block.js';
import { writePublishAsCame, writePublishParts } from './publish-bytes.js';
import { SentAliases } from './topic-aliases.js';
import type { MessageWriter } from './wire.js';

/** A topic of no bytes, with its length. */
const EMPTY_TOPIC = Buffer.alloc(2);

/** The messages that a client of version 5 is sent: with their properties, and topic aliases where it takes them. */
export class Messages5 implements MessageWriter {
  readonly #maximumPacketSize: number;
  /** Dates, in milliseconds since 1970: what is left of a message's life is told in seconds. */
  readonly #now: () => number;
  readonly #sent: SentAliases | null;

  constructor(client: ClientSettings, topicAliasMaximum: number, now: () => number) {
    this.#maximumPacketSize = client.maximumPacketSize;
    this.#now = now;
    const aliases = Math.min(client.topicAliasMaximum, topicAliasMaximum);
    this.#sent = aliases === 0 ? null : new SentAliases(aliases);
  }

  /** Who pays for what is remembered here; null: nobody any more. */
  set balance(balance: Balance | null) {
    if (this.#sent !== null) this.#sent.charge.balance = balance;
  }

  publication(
    outbox: Outbox,
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const { chunk, topicStart, topicEnd, payloadStart, end } = publication;
    const head = (PUBLISH << 4) | (qos << 1) | (retain ? 1 : 0);
    if (publication.asCame && identifiers === null && this.#sent === null) {
      // What comes from a client of the same version leaves as it came, but for the packet id. The size is that of what
      // came, five bytes more at most: close to the limit it is looked at below.
      if (publication.end - publication.start + 5 <= this.#maximumPacketSize) {
        if (qos === 0 && publication.verbatim) {
          outbox.verbatim(chunk, publication.start, end);
          return true;
        }
        if (qos > 0 && publication.qos > 0) {
          writePublishAsCame(outbox, head, chunk, topicStart, topicEnd, packetId, end);
          return true;
        }
      }
    }
    const block =
      identifiers === null
        ? publicationBlock(publication)
        : publishBlock(publication.properties, publication.expirySeconds, identifiers);
    return this.#send(outbox, head, publication.topic, chunk, topicStart, topicEnd, packetId, block, payloadStart, end);
  }

  message(
    outbox: Outbox,
    message: Message,
    qos: Qos,
    packetId: number,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const { body, topicEnd, payloadStart, properties, expiresAt } = message;
    const head = (PUBLISH << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    const leavesAsCame = message.asCame && qos > 0 && identifiers === null && this.#sent === null;
    if (leavesAsCame && body.length + 5 <= this.#maximumPacketSize) {
      writePublishAsCame(outbox, head, body, 0, topicEnd, packetId, body.length);
      return true;
    }
    // [MQTT-3.3.2-6]; what is sent again after its end says that it is about to end.
    const seconds = expiresAt === null ? -1 : Math.max(1, Math.ceil((expiresAt - this.#now()) / 1_000));
    const block =
      properties === null && seconds === -1 && identifiers === null
        ? EMPTY_BLOCK
        : publishBlock(properties, seconds, identifiers);
    return this.#send(outbox, head, message.topic, body, 0, topicEnd, packetId, block, payloadStart, body.length);
  }

  #send(
    outbox: Outbox,
    head: number,
    topic: string,
    chunk: Buffer,
    topicStart: number,
    topicEnd: number,
    packetId: number,
    block: Buffer,
    payloadStart: number,
    end: number,
  ): boolean {
    const bytes = topicEnd - topicStart + (packetId === 0 ? 0 : 2) + block.length + end - payloadStart;
    // Room for an alias that stands beside its topic.
    if (1 + lengthBytes(bytes) + bytes > this.#maximumPacketSize) return false;
    const sent = this.#sent;
    if (sent !== null && 1 + lengthBytes(bytes + 4) + bytes + 4 <= this.#maximumPacketSize) {
      const alias = sent.of(topic, topicEnd - topicStart);
      if (alias !== 0) {
        const aliased = withAlias(block, Math.abs(alias));
        if (alias > 0)
          writePublishParts(outbox, head, chunk, topicStart, topicEnd, packetId, aliased, chunk, payloadStart, end);
        else writePublishParts(outbox, head, EMPTY_TOPIC, 0, 2, packetId, aliased, chunk, payloadStart, end);
        return true;
      }
    }
    writePublishParts(outbox, head, chunk, topicStart, topicEnd, packetId, block, chunk, payloadStart, end);
    return true;
  }
}

/** `block` with a topic alias in it. */
function withAlias(block: Buffer, alias: number): Buffer {
  const properties = block.subarray(lengthOfLength(block));
  return new PropertyWriter().twoBytes(P.TOPIC_ALIAS, alias).raw(properties).block();
}

/** Bytes of the length that a block of properties begins with. */
function lengthOfLength(block: Buffer): number {
  let i = 0;
  while (block[i]! > 127) i++;
  return i + 1;
}
