import type { RefusalReason } from '../credentials/backend.js';
import type { Admitted } from '../credentials/guard.js';
import type { Fault } from '../errors.js';
import type { Qos } from '../mqtt/packets.js';
import type { ClientIdentity } from '../session/gate.js';

export type Identification =
  | {
      readonly kind: 'accepted';
      readonly login: string;
      readonly proof: unknown;
      /** Those that the credential backend knows of. */
      readonly groups: readonly string[];
      readonly stale: boolean;
      /** Is told of the connection that this lets in. */
      readonly onAdmitted?: (connection: Admitted) => void;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly error: Fault };

/** A client that is connected, as the registry knows it. */
export interface RegisteredClient extends ClientIdentity {
  readonly address: string;
  /** Another connection has come with the same client id: it calls back when it has made way. */
  takenOver(done: () => void): void;
  /** Somebody outside wants it gone. */
  kick(): void;
}

/** Who is connected; and who hears what clients do. */
export interface Registry {
  /** Asks who this is. Never rejects. */
  identify(address: string, username: string | undefined, password: Buffer | undefined): Promise<Identification>;
  /**
   * Takes the client in and calls back; an older one with the same id makes way first [MQTT-3.1.4-2], and one that waits
   * for that is closed: at most one waits for an id, the newest.
   */
  register(client: RegisteredClient, done: () => void): void;
  /** One waits for this id, whose client makes way. */
  awaits(id: string): boolean;
  /** Whoever waits does not any more. */
  unregister(client: RegisteredClient): void;
  /** Where this user may read and write: a topic that ends with a slash; null when the rules name no such place. */
  homeOf(login: string): string | null;
  /** CONNACK has left. */
  ready(client: RegisteredClient): void;
  subscribed(client: RegisteredClient, subscriptions: readonly { readonly filter: string; readonly qos: Qos }[]): void;
  unsubscribed(client: RegisteredClient, filters: readonly string[]): void;
}
