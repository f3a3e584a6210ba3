/** What a frame breaks: the connection is closed, and the log says why. */
export class ProtocolError extends Error {
  /** The normative statement, `MQTT-3.1.2-3`, or a word where the standard has no number for it. */
  readonly tag: string;

  constructor(tag: string, message: string) {
    super(message);
    this.name = 'ProtocolError';
    this.tag = tag;
  }
}
