/** What went over a connection, or over all those of a user. Plain numbers: they are counted on the hot path. */
export class Traffic {
  /** PUBLISH packets; one that is sent again counts again. */
  publishesReceived = 0;
  publishesSent = 0;
  /** Bytes inside of TLS, whatever they mean. */
  bytesReceived = 0;
  bytesSent = 0;
}

/** What all connections of the broker count together. */
export interface NetworkTotals {
  networkReceivedBytes: number;
  networkSentBytes: number;
}

/** A connection's own, counted for its user as well from CONNECT on. */
export class ConnectionTraffic extends Traffic {
  readonly #totals: NetworkTotals;
  #user = new Traffic();

  constructor(totals: NetworkTotals) {
    super();
    this.#totals = totals;
  }

  /** Whose it is from here on; what went over it before is counted for the user too. */
  set user(user: Traffic) {
    this.#user = user;
    user.publishesReceived += this.publishesReceived;
    user.publishesSent += this.publishesSent;
    user.bytesReceived += this.bytesReceived;
    user.bytesSent += this.bytesSent;
  }

  received(bytes: number): void {
    this.bytesReceived += bytes;
    this.#user.bytesReceived += bytes;
    this.#totals.networkReceivedBytes += bytes;
  }

  sent(bytes: number): void {
    this.bytesSent += bytes;
    this.#user.bytesSent += bytes;
    this.#totals.networkSentBytes += bytes;
  }

  publishReceived(): void {
    this.publishesReceived++;
    this.#user.publishesReceived++;
  }

  publishSent(): void {
    this.publishesSent++;
    this.#user.publishesSent++;
  }
}
