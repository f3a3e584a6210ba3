import type { Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { Entry } from './outgoing-entry.js';
import type { Outlet } from './outlet.js';

/** Where a session's messages leave while its client is connected, and how far they have left. */
export class Sender {
  /** Null while no client is connected. */
  outlet: Outlet | null = null;
  /** The highest `seq` that was ever sent to the client. */
  sentSeq = 0;
  readonly current = (): Outlet | null => this.outlet;
  /** The client's own. */
  #direct: Outlet | null = null;
  #through: ((outlet: Outlet) => Outlet) | null = null;

  /** The client is here; null: it is gone. */
  attach(outlet: Outlet | null): void {
    this.#direct = outlet;
    this.outlet = outlet === null || this.#through === null ? outlet : this.#through(outlet);
  }

  /** What leaves goes through this from now on, also to later connections: somebody is tracing. Null: straight again. */
  sendThrough(through: ((outlet: Outlet) => Outlet) | null): void {
    this.#through = through;
    this.attach(this.#direct);
  }

  /** Sends a message as it comes in. False when the client does not take packets of that size. */
  publication(
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    return this.outlet!.publication(publication, qos, packetId, retain, identifiers);
  }

  /** Sends an entry's message; the second time with DUP, which only QoS 1 and 2 carry [MQTT-3.3.1-2]. False as above. */
  entry(entry: Entry): boolean {
    const { message, qos, packetId, retain, identifiers } = entry;
    if (!this.outlet!.message(message!, qos, packetId, retain, entry.sent && qos > 0, identifiers)) return false;
    if (!entry.sent) this.sent(entry);
    return true;
  }

  sent(entry: Entry): void {
    entry.sent = true;
    if (entry.seq > this.sentSeq) this.sentSeq = entry.seq;
  }
}
