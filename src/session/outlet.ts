import type { Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';

/** Where a session's messages leave while its client is connected, in the client's own version of the protocol. */
export interface Outlet {
  /** The client reads what it is sent, and so do the others of its user, taken together. */
  readonly hasRoom: boolean;
  /** Bytes that the socket has not taken yet. */
  readonly bytes: number;
  /** Sends a message from the bytes it came in. `packetId` is 0 at QoS 0. */
  publication(publication: Publication, qos: Qos, packetId: number, retain: boolean): void;
  /** Sends a message from its copy. */
  message(message: Message, qos: Qos, packetId: number, retain: boolean, dup: boolean): void;
  pubrel(packetId: number): void;
}
