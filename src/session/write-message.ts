import { PUBLISH, type Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { Outbox } from './outbox.js';
import type { Entry } from './outgoing-entry.js';

/** Writes a message from the bytes it came in; at QoS 0 they are the very bytes that leave. */
export function writePublication(outbox: Outbox, publication: Publication, qos: Qos, packetId: number): void {
  const { chunk, topicStart, topicEnd, payloadStart, end } = publication;
  if (qos === 0 && publication.verbatim) outbox.verbatim(chunk, publication.start, end);
  else outbox.publish((PUBLISH << 4) | (qos << 1), chunk, topicStart, topicEnd, packetId, payloadStart, end);
}

/** Writes a message from its copy, with DUP the second time. Only QoS 1 and 2 carry DUP [MQTT-3.3.1-2]. */
export function writeEntry(outbox: Outbox, entry: Entry): void {
  const { body, topicEnd } = entry.message!;
  const dup = entry.sent;
  entry.sent = true;
  const head = (PUBLISH << 4) | (dup && entry.qos > 0 ? 8 : 0) | (entry.qos << 1) | (entry.retain ? 1 : 0);
  outbox.publish(head, body, 0, topicEnd, entry.packetId, topicEnd + 2, body.length);
}
