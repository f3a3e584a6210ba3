import { Property as P, PropertyError, PropertyReader } from '../mqtt/properties.js';
import { checkResponseTopic } from './connect5.js';
import { asProtocolError } from './packet-properties.js';
import type { PublishHead } from './wire.js';

/** Properties of PUBLISH that receivers get as they came [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-17] [MQTT-3.3.2-20]. */
const FORWARDED = new Uint8Array(0x2b);
for (const id of [P.PAYLOAD_FORMAT_INDICATOR, P.CONTENT_TYPE, P.RESPONSE_TOPIC, P.CORRELATION_DATA, P.USER_PROPERTY]) {
  FORWARDED[id] = 1;
}

const reader = new PropertyReader();

/**
 * Reads the properties of a PUBLISH, their length at `at`, into `head`, and `payloadStart` with them. Returns the topic
 * alias; 0: none. Messages without properties do not come here.
 */
export function readPublishProperties(head: PublishHead, chunk: Buffer, at: number, end: number): number {
  try {
    return read(head, chunk, at, end);
  } catch (error) {
    throw asProtocolError(error);
  }
}

function read(head: PublishHead, chunk: Buffer, at: number, end: number): number {
  const propertiesEnd = reader.open(chunk, at, end);
  const propertiesStart = reader.end;
  let alias = 0;
  let seen = 0;
  let apart: Buffer[] | null = null;
  let from = propertiesStart;
  while (reader.next()) {
    const { id } = reader;
    if (id !== P.USER_PROPERTY) {
      const bit = id === P.TOPIC_ALIAS ? 1 << 30 : 1 << id;
      if ((seen & bit) !== 0) throw new PropertyError('protocol-error', `property ${id} twice`);
      seen |= bit;
    }
    if (FORWARDED[id] === 1) {
      if (id === P.RESPONSE_TOPIC) {
        head.responseTopic = reader.text;
        checkResponseTopic(head.responseTopic);
      } else if (id === P.PAYLOAD_FORMAT_INDICATOR) void reader.flag;
      continue;
    }
    if (id === P.TOPIC_ALIAS) {
      alias = reader.number;
      if (alias === 0) alias = -1;
    } else if (id === P.MESSAGE_EXPIRY_INTERVAL) head.expirySeconds = reader.number;
    else throw new PropertyError('protocol-error', `property ${id} in a PUBLISH`); // [MQTT-3.3.4-6] among them
    apart ??= [];
    if (reader.start > from) apart.push(chunk.subarray(from, reader.start));
    from = reader.end;
  }
  head.payloadStart = propertiesEnd;
  if (apart === null) {
    head.properties = propertiesEnd > propertiesStart ? chunk.subarray(propertiesStart, propertiesEnd) : null;
    return alias;
  }
  if (propertiesEnd > from) apart.push(chunk.subarray(from, propertiesEnd));
  head.whole = false;
  head.properties = apart.length === 0 ? null : apart.length === 1 ? apart[0]! : Buffer.concat(apart);
  return alias;
}
