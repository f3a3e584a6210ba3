import { Property, PropertyError, PropertyReader } from '../mqtt/properties.js';
import { ProtocolError } from './protocol-error.js';

const reader = new PropertyReader();

/**
 * Goes through the properties of a packet that begin (with their length) at `at`. Each that is `allowed` may be there
 * once, but for User Properties; any other is a protocol error. Returns where they end. The reader that
 * is handed over is good for the one property alone.
 */
export function readProperties(
  bytes: Buffer,
  at: number,
  end: number,
  allowed: ReadonlySet<number>,
  visit: (property: PropertyReader) => void = () => {},
): number {
  try {
    const propertiesEnd = reader.open(bytes, at, end);
    let seen: Set<number> | null = null;
    while (reader.next()) {
      const { id } = reader;
      if (!allowed.has(id)) throw new PropertyError('protocol-error', `property ${id} where it does not belong`);
      if (id !== Property.USER_PROPERTY) {
        seen ??= new Set();
        if (seen.has(id)) throw new PropertyError('protocol-error', `property ${id} twice`);
        seen.add(id);
      }
      visit(reader);
    }
    return propertiesEnd;
  } catch (error) {
    throw asProtocolError(error);
  }
}

/** A PropertyError as what closes the connection. */
export function asProtocolError(error: unknown): unknown {
  if (!(error instanceof PropertyError)) return error;
  return error.kind === 'malformed'
    ? new ProtocolError('malformed', error.message)
    : new ProtocolError('MQTT-2.2.2', error.message);
}
