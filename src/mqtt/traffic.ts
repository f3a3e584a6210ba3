/** What went over a connection, or over all those of a user. Plain numbers: they are counted on the hot path. */
export class Traffic {
  /** PUBLISH packets; one that is sent again counts again. */
  publishesReceived = 0;
  publishesSent = 0;
  /** Bytes inside of TLS, whatever they mean. */
  bytesReceived = 0;
  bytesSent = 0;

  add(other: Traffic): void {
    this.publishesReceived += other.publishesReceived;
    this.publishesSent += other.publishesSent;
    this.bytesReceived += other.bytesReceived;
    this.bytesSent += other.bytesSent;
  }
}
