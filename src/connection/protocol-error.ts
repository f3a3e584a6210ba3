import { Reason, type ReasonCode } from '../mqtt/reason-codes.js';

/** What a frame breaks: the connection is closed, and the log says why; MQTT 5 says it to the client too. */
export class ProtocolError extends Error {
  /** The normative statement, `MQTT-3.1.2-3`, or a word where the standard has no number for it. */
  readonly tag: string;
  /** What a client of MQTT 5 is told. */
  readonly reason: ReasonCode;

  constructor(tag: string, message: string, reason: ReasonCode = usualReasons[tag] ?? Reason.PROTOCOL_ERROR) {
    super(message);
    this.name = 'ProtocolError';
    this.tag = tag;
    this.reason = reason;
  }
}

const usualReasons: Readonly<Record<string, ReasonCode>> = {
  malformed: Reason.MALFORMED_PACKET,
  'too-large': Reason.PACKET_TOO_LARGE,
  quota: Reason.QUOTA_EXCEEDED,
  // Reserved bits, lengths and strings that are not well-formed.
  'MQTT-2.2.2-2': Reason.MALFORMED_PACKET,
  'MQTT-2.2.3': Reason.MALFORMED_PACKET,
  'MQTT-1.5.3-1': Reason.MALFORMED_PACKET,
  'MQTT-1.5.3-2': Reason.MALFORMED_PACKET,
  // A topic name or filter that nobody may use.
  'MQTT-3.3.2-2': Reason.TOPIC_NAME_INVALID,
  'MQTT-4.7.1-2': Reason.TOPIC_FILTER_INVALID,
};
