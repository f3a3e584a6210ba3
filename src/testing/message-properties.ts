import { Property as P, PropertyReader } from '../mqtt/properties.js';

/** The properties of a message of MQTT 5, as its publisher sent them. */
export interface MessageProperties {
  /** 1: the payload is UTF-8. */
  readonly payloadFormatIndicator?: number;
  /** In seconds. */
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Buffer;
  /** Names and values in their order; a name may come more than once. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** `bytes`: as they are on the wire, but for the expiry (-1: none). Null when there are none. */
export function readMessageProperties(bytes: Buffer | null, expirySeconds: number): MessageProperties | null {
  if (bytes === null && expirySeconds < 0) return null;
  const read: { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] } = {};
  if (expirySeconds >= 0) read.messageExpiryInterval = expirySeconds;
  const user: [string, string][] = [];
  const property = new PropertyReader().over(bytes ?? Buffer.alloc(0));
  while (property.next()) {
    switch (property.id) {
      case P.PAYLOAD_FORMAT_INDICATOR:
        read.payloadFormatIndicator = property.number;
        break;
      case P.CONTENT_TYPE:
        read.contentType = property.text;
        break;
      case P.RESPONSE_TOPIC:
        read.responseTopic = property.text;
        break;
      case P.CORRELATION_DATA:
        read.correlationData = Buffer.from(bytes!.subarray(property.valueStart, property.valueEnd));
        break;
      case P.USER_PROPERTY: {
        const value = bytes!.utf8Slice(property.valueEnd + 2, property.end);
        user.push([property.text, value]);
        break;
      }
      default:
    }
  }
  if (user.length > 0) read.userProperties = user;
  return read;
}
