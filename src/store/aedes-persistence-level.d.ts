/** The library comes without types; these are those of the methods that the store calls or replaces. */
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
    get broker(): { id: string } | undefined;
    setup(broker: { id: string }): Promise<void>;
    storeRetained(packet: LibraryPacket): Promise<void>;
    createRetainedStream(pattern: string): Readable;
    createRetainedStreamCombi(patterns: string[]): Readable;
    addSubscriptions(client: LibraryClient, subscriptions: LibrarySubscription[]): Promise<void>;
    removeSubscriptions(client: LibraryClient, filters: string[]): Promise<void>;
    subscriptionsByClient(client: LibraryClient): Promise<LibrarySubscription[]>;
    countOffline(): Promise<{ subsCount: number; clientsCount: number }>;
    subscriptionsByTopic(topic: string): Promise<(LibrarySubscription & { clientId: string })[]>;
    cleanSubscriptions(client: LibraryClient): Promise<void>;
    outgoingEnqueue(subscription: { clientId: string }, packet: LibraryPacket): Promise<void>;
    outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: LibraryPacket): Promise<unknown>;
    outgoingUpdate(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    outgoingClearMessageId(client: LibraryClient, packet: LibraryPacket): Promise<LibraryPacket | undefined>;
    outgoingStream(client: LibraryClient): Readable;
    incomingStorePacket(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    incomingGetPacket(client: LibraryClient, packet: LibraryPacket): Promise<LibraryPacket>;
    incomingDelPacket(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    cleanIncoming(client: LibraryClient): Promise<void>;
    putWill(client: LibraryClient, packet: LibraryPacket): Promise<void>;
    getWill(client: LibraryClient): Promise<LibraryPacket | undefined>;
    delWill(client: LibraryClient): Promise<LibraryPacket | undefined>;
    streamWill(brokers?: Record<string, unknown>): Readable;
    getClientList(filter: string): Readable;
    destroy(): Promise<void>;
  }
}
