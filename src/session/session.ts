import type { UserAcl } from '../acl/acl.js';
import type { ProtocolLevel, Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import type { Subscriber } from '../routing/subscriber.js';
import type { SessionWriter } from '../store/contract.js';
import type { Connection } from './connection.js';
import type { OutgoingQueue } from './outgoing.js';
import type { UserAccount } from './user-account.js';

/**
 * The state that belongs to one client id of one user [MQTT-3.1.2-4]: subscriptions, messages on their way to the
 * client, and packet ids of QoS 2 messages that came from it. A persistent session lives on between connections.
 */
export class Session implements Subscriber {
  /** `<login>/<client id>`: no other user can name it. */
  readonly id: string;
  readonly clientId: string;
  readonly account: UserAccount;
  readonly acl: UserAcl;
  readonly outgoing: OutgoingQueue;
  /** Null for a session that ends with its connection. */
  readonly writer: SessionWriter | null;
  readonly subscriptions = new Map<string, Qos>();
  readonly createdAt: number;
  lastSeenAt: number;
  level: ProtocolLevel;
  connection: Connection | null = null;

  private incomingIds: Set<number> | null = null;

  constructor(options: {
    id: string;
    clientId: string;
    account: UserAccount;
    acl: UserAcl;
    outgoing: OutgoingQueue;
    writer: SessionWriter | null;
    level: ProtocolLevel;
    createdAt: number;
    lastSeenAt: number;
  }) {
    this.id = options.id;
    this.clientId = options.clientId;
    this.account = options.account;
    this.acl = options.acl;
    this.outgoing = options.outgoing;
    this.writer = options.writer;
    this.level = options.level;
    this.createdAt = options.createdAt;
    this.lastSeenAt = options.lastSeenAt;
  }

  get login(): string {
    return this.account.login;
  }

  get persistent(): boolean {
    return this.writer !== null;
  }

  get connected(): boolean {
    return this.outgoing.connected;
  }

  get ready(): boolean {
    return this.outgoing.ready;
  }

  mayReceive(topic: string): boolean {
    return this.acl.deliver(topic).allowed;
  }

  deliver(publication: Publication, granted: Qos): void {
    this.outgoing.deliver(publication, granted);
  }

  hasIncoming(packetId: number): boolean {
    return this.incomingIds?.has(packetId) ?? false;
  }

  /** A QoS 2 message was received; its packet id is taken until PUBREL. */
  addIncoming(packetId: number): void {
    this.incomingIds ??= new Set();
    this.incomingIds.add(packetId);
    this.account.incomingMessages++;
  }

  deleteIncoming(packetId: number): boolean {
    if (this.incomingIds === null || !this.incomingIds.delete(packetId)) return false;
    this.account.incomingMessages--;
    return true;
  }

  /** The session ends. */
  clearIncoming(): void {
    this.account.incomingMessages -= this.incomingIds?.size ?? 0;
    this.incomingIds = null;
  }
}
