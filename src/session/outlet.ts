import type { Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';

/** Where a session's messages leave while its client is connected, in the client's own version of the protocol. */
export interface Outlet {
  /** The client reads what it is sent, and so do the others of its user, taken together. */
  readonly hasRoom: boolean;
  /** That there is no room is for the rate of its user alone: nothing need be dropped. */
  readonly slowed: boolean;
  /** Bytes that the socket has not taken yet. */
  readonly bytes: number;
  /** Messages of QoS 1 and 2 that the client takes before it has acknowledged the first. */
  readonly receiveMaximum: number;
  /**
   * Sends a message from the bytes it came in. `packetId` is 0 at QoS 0. False when the client does not take packets of
   * that size: nothing is sent then.
   */
  publication(
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean;
  /** Sends a message from its copy. */
  message(
    message: Message,
    qos: Qos,
    packetId: number,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[] | null,
  ): boolean;
  /** `known`: of a message that was in flight. */
  pubrel(packetId: number, known: boolean): void;
}
