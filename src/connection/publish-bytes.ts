import { lengthBytes, writeLength } from '../mqtt/packets.js';
import { UNCOPIED_BYTES } from './gathered-bytes.js';
import type { Outbox } from './outbox.js';

/*
 * PUBLISH packets, written into an outbox. A payload that is large is not copied: it is one for all receivers. Bench rows
 * "QoS 1, 10 users, 1 → 1" and "QoS 0, 4 users, 1 → 20": these functions are what a delivery costs.
 */

/** Before MQTT 5 there are no properties, and no length of them. */
const NO_BLOCK = Buffer.alloc(0);

/** Sends a PUBLISH made of a first byte, the topic and payload found in `chunk`, and a packet id (0: none). */
export function writePublish(
  outbox: Outbox,
  head: number,
  chunk: Buffer,
  topicStart: number,
  topicEnd: number,
  packetId: number,
  payloadStart: number,
  end: number,
): void {
  if (packetId !== 0 && payloadStart === topicEnd + 2) {
    writePublishAsCame(outbox, head, chunk, topicStart, topicEnd, packetId, end);
  } else {
    writePublishParts(outbox, head, chunk, topicStart, topicEnd, packetId, NO_BLOCK, chunk, payloadStart, end);
  }
}

/**
 * Sends a PUBLISH of QoS 1 or 2 whose bytes came in as they are to leave, from the topic's length on, but for the
 * packet id behind the topic: one copy, then our own id over theirs.
 */
export function writePublishAsCame(
  outbox: Outbox,
  head: number,
  chunk: Buffer,
  topicStart: number,
  topicEnd: number,
  packetId: number,
  end: number,
): void {
  if (outbox.closed) return;
  const length = end - topicStart;
  const copied = length < UNCOPIED_BYTES;
  const idAt = topicEnd - topicStart;
  let i = outbox.reserve(1 + lengthBytes(length) + (copied ? length : idAt + 2));
  const { buffer } = outbox;
  buffer[i++] = head;
  i = writeLength(buffer, length, i);
  chunk.copy(buffer, i, topicStart, copied ? end : topicEnd);
  buffer[i + idAt] = packetId >> 8;
  buffer[i + idAt + 1] = packetId & 255;
  if (copied) return;
  outbox.append(chunk, topicEnd + 2, end);
}

/**
 * Sends a PUBLISH from its parts: a topic with its length, a packet id (0: none), properties with their length (`block`),
 * and a payload.
 */
export function writePublishParts(
  outbox: Outbox,
  head: number,
  topic: Buffer,
  topicStart: number,
  topicEnd: number,
  packetId: number,
  block: Buffer,
  chunk: Buffer,
  payloadStart: number,
  end: number,
): void {
  if (outbox.closed) return;
  const topicBytes = topicEnd - topicStart;
  const payloadBytes = end - payloadStart;
  const idBytes = packetId === 0 ? 0 : 2;
  const length = topicBytes + idBytes + block.length + payloadBytes;
  const headerBytes = 1 + lengthBytes(length) + topicBytes + idBytes + block.length;
  const copied = payloadBytes < UNCOPIED_BYTES;
  let i = outbox.reserve(copied ? headerBytes + payloadBytes : headerBytes);
  const { buffer } = outbox;
  buffer[i++] = head;
  i = writeLength(buffer, length, i);
  topic.copy(buffer, i, topicStart, topicEnd);
  i += topicBytes;
  if (idBytes === 2) {
    buffer[i++] = packetId >> 8;
    buffer[i++] = packetId & 255;
  }
  if (block.length === 1) buffer[i++] = 0;
  else if (block.length > 1) i += block.copy(buffer, i);
  if (copied) {
    chunk.copy(buffer, i, payloadStart, end);
    return;
  }
  outbox.append(chunk, payloadStart, end);
}
