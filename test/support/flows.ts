import assert from 'node:assert/strict';
import * as mqtt from './packets.js';
import type { RawClient } from './raw-client.js';

export interface Outgoing {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain?: boolean;
}

/**
 * Publishes everything as fast as the connection takes it and resolves when every flow is over. The packet ids count
 * up from 1, so at most 65 535 messages.
 */
export async function publishAll(client: RawClient, messages: readonly Outgoing[], timeoutMs = 60_000): Promise<void> {
  let pending = 0;
  const chunk: Buffer[] = [];
  for (const [index, { topic, payload, qos, retain = false }] of messages.entries()) {
    if (qos > 0) pending += 1;
    chunk.push(mqtt.publish(topic, payload, qos > 0 ? { qos, retain, id: index + 1 } : { retain }));
    if (chunk.length === 200) client.send(...chunk.splice(0));
  }
  client.send(...chunk);
  while (pending > 0) {
    const { type, body } = await client.next(timeoutMs);
    if (type === mqtt.PUBREC) client.send(mqtt.pubrel(body.readUInt16BE(0)));
    else if (type === mqtt.PUBACK || type === mqtt.PUBCOMP) pending -= 1;
    else assert.fail(`unexpected packet of type ${type}`);
  }
}

/** Receives until `count` messages have come, acknowledging each at once. */
export async function receiveAll(client: RawClient, count: number, timeoutMs = 60_000): Promise<mqtt.Message[]> {
  const messages: mqtt.Message[] = [];
  let open = 0;
  while (messages.length < count || open > 0) {
    const packet = await client.next(timeoutMs);
    if (packet.type === mqtt.PUBREL) {
      client.send(mqtt.pubcomp(packet.body.readUInt16BE(0)));
      open -= 1;
      continue;
    }
    const message = mqtt.readMessage(packet);
    if (message.qos === 1) client.send(mqtt.puback(message.id));
    if (message.qos === 2) {
      client.send(mqtt.pubrec(message.id));
      open += 1;
    }
    messages.push(message);
  }
  return messages;
}

/** Payloads by topic, in the order of their coming. */
export function payloadsByTopic(messages: readonly { topic: string; payload: string }[]): Map<string, string[]> {
  const topics = new Map<string, string[]>();
  for (const { topic, payload } of messages) {
    const payloads = topics.get(topic);
    if (payloads) payloads.push(payload);
    else topics.set(topic, [payload]);
  }
  return topics;
}
