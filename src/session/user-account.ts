import type { Connection } from './connection.js';

/** What one login holds and spends. Every limit "per user" is a number here. */
export class UserAccount {
  readonly login: string;
  readonly connections = new Set<Connection>();
  persistentSessions = 0;
  subscriptions = 0;
  queuedBytes = 0;
  /** QoS 2 messages received and not yet released. */
  incomingMessages = 0;

  /** Retained messages that were asked for and are not sent yet, of all its subscriptions. */
  retainedPending = 0;

  /** Units spent in turn `turnId`: see Turn. */
  turnId = 0;
  turnUnits = 0;

  constructor(login: string) {
    this.login = login;
  }

  /** True when nothing is left that needs remembering. */
  get idle(): boolean {
    return (
      this.connections.size === 0 && this.persistentSessions === 0 && this.subscriptions === 0 && this.queuedBytes === 0
    );
  }
}
