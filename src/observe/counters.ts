/** Totals since the start, for the metrics. Plain numbers: they are counted on the hot path. */
export interface Counters {
  connectionsAccepted: number;
  connectionsRefused: number;
  messagesReceived: number;
  /** Messages sent to clients, those of Wills and retained ones included; one that is sent again counts once. */
  messagesDelivered: number;
  messagesDropped: number;
  publishesDenied: number;
  subscriptionsDenied: number;
  /** How often the user who held most was disconnected, since memory was short. */
  memoryReliefs: number;
  /** How often the configuration was read again while the broker ran; and how often it could not be used. */
  configReloads: number;
  configReloadsRefused: number;
  /** The date of the last one that was used; 0: the one of the start is in force. */
  configReloadedAtMs: number;
}

export function newCounters(): Counters {
  return {
    connectionsAccepted: 0,
    connectionsRefused: 0,
    messagesReceived: 0,
    messagesDelivered: 0,
    messagesDropped: 0,
    publishesDenied: 0,
    subscriptionsDenied: 0,
    memoryReliefs: 0,
    configReloads: 0,
    configReloadsRefused: 0,
    configReloadedAtMs: 0,
  };
}
