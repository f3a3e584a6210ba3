import { PUBREL } from '../mqtt/packets.js';
import type { Outbox } from './outbox.js';
import type { OutgoingContext } from './outgoing-context.js';
import type { Entry } from './outgoing-entry.js';

const PUBREL_HEAD = (PUBREL << 4) | 2; // [MQTT-3.6.1-1]

export function acknowledgeRelease(outbox: Outbox | null, packetId: number): void {
  outbox?.acknowledge(PUBREL_HEAD, packetId);
}

/**
 * Calls back once it is on disk that the receiver has the message, and PUBREL may be sent, on whatever connection there
 * is then: a receiver that was told to forget the packet id would take the message, sent again after a crash, for a new
 * one [MQTT-4.3.3-2]. `context` is null for a session of which nothing is stored.
 */
export function whenReleaseStored(entry: Entry, context: OutgoingContext | null, send: () => void): void {
  if (context === null || entry.releaseStored) {
    send();
    return;
  }
  context.whenStored(() => {
    // Asked once per PUBREC and once per connection meanwhile, answered once.
    if (entry.releaseStored) return;
    entry.releaseStored = true;
    send();
  });
}
