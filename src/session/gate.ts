import type { Qos } from '../mqtt/packets.js';

/** A client, as the access rules are asked about it. */
export interface ClientIdentity {
  readonly login: string;
  readonly clientId: string;
  /** `<login>/<client id>`: no other user can name it. */
  readonly id: string;
}

/** May it. Answers come at once and are the same until the rules change (RuleChanges), so they may be remembered. */
export interface Gate {
  mayPublish(client: ClientIdentity, topic: string): boolean;
  maySubscribe(client: ClientIdentity, filter: string, qos: Qos): boolean;
  /** May the client be given messages with this topic, wherever they were kept? */
  mayReceive(client: ClientIdentity, topic: string): boolean;
}

/** Client ids belong to their user. Logins hold no slash, so no two users can make the same id. */
export function scopedId(login: string, clientId: string): string {
  return `${login}/${clientId}`;
}
