import { Property as P, PropertyWriter } from '../mqtt/properties.js';
import type { Publication } from '../mqtt/publication.js';

/** No properties: their length, which is 0. */
export const EMPTY_BLOCK: Buffer = Buffer.from([0]);

/** The properties that a receiver gets with a message, with their length before them. */
export function publishBlock(
  properties: Buffer | null,
  expirySeconds: number,
  identifiers: readonly number[] | null,
): Buffer {
  const writer = new PropertyWriter();
  if (expirySeconds >= 0) writer.fourBytes(P.MESSAGE_EXPIRY_INTERVAL, expirySeconds);
  // All of them, in one copy of the message [MQTT-3.3.4-3] [MQTT-3.3.4-4].
  for (const identifier of identifiers ?? []) writer.varint(P.SUBSCRIPTION_IDENTIFIER, identifier);
  if (properties !== null) writer.raw(properties);
  return writer.block();
}

/** The same for a message that has just come in: made once, for all receivers without identifiers. */
export function publicationBlock(publication: Publication): Buffer {
  if (publication.properties === null && publication.expirySeconds < 0) return EMPTY_BLOCK;
  publication.block ??= publishBlock(publication.properties, publication.expirySeconds, null);
  return publication.block;
}
