/** The library comes without types. The store calls the methods of Wills and those that read; its tests call the others. */
declare module 'aedes-persistence-level/asyncPersistence.js' {
  import type { Readable } from 'node:stream';

  export interface LibraryClient {
    readonly id: string;
  }

  export interface LibrarySubscription {
    topic: string;
    qos: 0 | 1 | 2;
    rh?: number;
    rap?: boolean;
    nl?: boolean;
    subscriptionIdentifier?: number;
  }

  export interface LibraryPacket {
    cmd?: string;
    topic: string;
    payload: Buffer | string;
    qos: 0 | 1 | 2;
    retain: boolean;
    dup?: boolean;
    messageId?: number | undefined;
    brokerId?: string | undefined;
    brokerCounter?: number;
    clientId?: string;
    [name: string]: unknown;
  }

  export default class AsyncLevelPersistence {
    constructor(db: object);
    setup(broker: { id: string }): Promise<void>;
    storeRetained(packet: LibraryPacket): Promise<void>;
    createRetainedStream(pattern: string): Readable;
    addSubscriptions(client: LibraryClient, subscriptions: LibrarySubscription[]): Promise<void>;
    removeSubscriptions(client: LibraryClient, filters: string[]): Promise<void>;
    subscriptionsByClient(client: LibraryClient): Promise<LibrarySubscription[]>;
    subscriptionsByTopic(topic: string): Promise<(LibrarySubscription & { clientId: string })[]>;
    outgoingEnqueue(subscription: { clientId: string }, packet: LibraryPacket): Promise<void>;
    outgoingUpdate(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    outgoingStream(client: LibraryClient): Readable;
    incomingStorePacket(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    putWill(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    streamWill(brokers?: Record<string, unknown>): Readable;
    destroy(): Promise<void>;
  }
}
