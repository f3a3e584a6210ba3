import type { Fault } from '../errors.js';

/** What survives: sessions and their queues, retained messages, Wills. One folder on disk, or memory with the same code. */
export interface Store {
  /** What is stored stays in memory all the same: there is no disk. */
  readonly inMemory: boolean;
  /**
   * Every session, once, at start and before any `session()` is written to. Of their queues, sorted by `seq`, what can be
   * told without the messages: those stay on disk until `readOutgoing`.
   */
  loadSessions(): AsyncIterable<StoredSession>;
  session(clientId: string): SessionWriter;
  readonly retained: RetainedIndex;
  /** Of a longer message it should be prepared what it says: everybody's next acknowledgement would wait for it. */
  readonly longBytes: number;
  /** Writes apart, ahead of time, what queues are going to have: soon, and with this very place. */
  prepareContent(content: StoredContent, place: ContentPlace): Promise<void>;
  /** If no queue has it after all. */
  discardContent(place: ContentPlace): void;
  /** Wills of connected sessions; after a crash they are what is left here. */
  putWill(clientId: string, will: StoredWill): void;
  deleteWill(clientId: string): void;
  loadWills(): AsyncIterable<StoredWill>;
  /** What is remembered of users beside their sessions. */
  putUser(login: string, record: UserRecord): void;
  deleteUser(login: string): void;
  loadUsers(): AsyncIterable<readonly [login: string, record: UserRecord]>;
  /**
   * Calls back once everything handed over so far is on disk (fsync), in the order of the calls; synchronously when
   * nothing is pending (always, for memory). With a Fault when it could not be written.
   */
  committed(callback: (fault: Fault | null) => void): void;
  /** As `committed`, but a fault only delays: calls back once the store can be written again and has everything. */
  whenStored(callback: () => void): void;
  /** True if nothing is pending, so that `committed` would answer at once. */
  readonly idle: boolean;
  /** Null when healthy. While set, callers must not take on anything that needs storing. */
  readonly fault: Fault | null;
  onFault(callback: (fault: Fault) => void): void;
  onRecovered(callback: () => void): void;
  /** Resolves when the rows of removed sessions are off the disk. */
  swept(): Promise<void>;
  /** Writes what is pending, then closes and frees the lock. Rejects with a Fault when something could not be written. */
  close(): Promise<void>;
}

/** A session as it was when it was saved last: at its creation, and whenever its client comes or leaves. Times are dates. */
export interface SessionRecord {
  readonly clientId: string;
  readonly login: string;
  readonly protocol: 3 | 4 | 5;
  readonly createdAt: number;
  readonly lastSeenAt: number;
  /**
   * When a session ends whose client does not come back. Null in a record that is loaded says: the client was connected
   * when this was written, and nobody saw it leave. Such a session is away from the start of the broker on, whatever
   * `lastSeenAt` says.
   */
  readonly expiresAt: number | null;
  /** How long the session outlives its connection, as its client asked for; null: as long as the broker keeps sessions. */
  readonly expiryMs: number | null;
  /**
   * The highest `seq` that was ever sent to the client, known for sure when the record is saved as the client leaves.
   * Null: not known.
   */
  readonly sentSeq: number | null;
}

export interface StoredSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  /** The subscription options byte of MQTT 5 without its QoS bits; 0 before MQTT 5. */
  readonly options: number;
  readonly identifier: number | null;
}

/** What all copies of a message say. */
export interface StoredContent {
  readonly topic: string;
  readonly payload: Buffer;
  /** The properties of MQTT 5 as they are on the wire, without their length. */
  readonly properties: Buffer | null;
  /** A date: from then on nobody may be sent the message. Null: it does not expire. */
  readonly expiresAt: number | null;
}

/**
 * Where the store has what a long message says, once for all the queues that have the message. Whoever puts the message
 * into queues keeps this beside it; the store writes it.
 */
export interface ContentPlace {
  /** 0: nowhere, but in the queues' own rows. */
  contentId: number;
  /** The row, when it was prepared and no queue has it yet. */
  row?: Buffer | null;
  /** Of topic, payload and properties, where somebody knows it already. */
  readonly bytes?: number;
}

/** One message of a session's queue. `seq` orders the queue and is never used twice in the life of a session. */
export interface OutgoingRecord extends StoredContent {
  readonly seq: number;
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** PUBREC was seen: PUBREL is owed [MQTT-4.3.3-1], the message itself is not needed any more. */
  readonly released: boolean;
  /** The subscription identifiers that this session's copy carries; null for none. */
  readonly identifiers: readonly number[] | null;
}

/** As it was found in the store. */
export interface StoredMessage extends OutgoingRecord, ContentPlace {
  /** Topic, payload and properties. */
  readonly bytes: number;
}

/** What is known of a stored message without its content. */
export interface QueuedMessage {
  readonly seq: number;
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly released: boolean;
  readonly expiresAt: number | null;
  /** Topic, payload and properties. */
  readonly bytes: number;
  /**
   * Whether it was sent before, and has to carry DUP [MQTT-3.3.1-1]. `unknown` after a crash: then the first of the
   * queue, as many as may be in flight (`limits.inflightMessages`), may have been.
   */
  readonly sent: 'yes' | 'no' | 'unknown';
}

/**
 * Retained messages that a subscription asked for and that are not all sent yet: not what they say, but how they are
 * found again. They leave in the order of their topics, and each has a place of its own in the session's order.
 */
export interface RetainedRequest {
  /** The place of the first. */
  readonly place: number;
  /** The place of the last. */
  readonly last: number;
  readonly filter: string;
  /** What was granted. */
  readonly qos: 0 | 1 | 2;
  readonly identifier: number | null;
  /** A date: what was retained later was delivered as a live message. */
  readonly askedAt: number;
}

/** How far a request has come. */
export interface RetainedPosition {
  /** The place of the message to be sent next. */
  readonly next: number;
  /** The topic of the last one that was sent; empty: none was. */
  readonly after: string;
}

export type StoredRequest = RetainedRequest & RetainedPosition;

export interface StoredSession {
  readonly session: SessionRecord;
  readonly subscriptions: StoredSubscription[];
  /** In the order of their places. */
  readonly requests: StoredRequest[];
  readonly outgoing: QueuedMessage[];
  /** Packet ids of QoS 2 messages received and not yet released. */
  readonly incoming: number[];
}

/** What is read of a queue at a time: more than none, and no more than these say if one alone is not more. */
export interface ReadLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** Synchronous, but for reading: each call puts its operations into the current group. */
export interface SessionWriter {
  save(record: SessionRecord): void;
  subscribe(subscriptions: readonly StoredSubscription[]): void;
  unsubscribe(filters: readonly string[]): void;
  putRequest(request: RetainedRequest): void;
  /** In the turn in which messages of it are put, or sent. */
  moveRequest(place: number, position: RetainedPosition): void;
  deleteRequest(place: number): void;
  /** `place` is one for all queues that the message is put into. */
  putOutgoing(record: OutgoingRecord, place?: ContentPlace): void;
  /** Overwrites with a small record that says: PUBREL is owed. `contentId` is where its message was. */
  releaseOutgoing(record: OutgoingRecord, contentId?: number): void;
  /**
   * When its put is still in the group that has not started, neither is ever written. `delivered`: its receiver has it,
   * and nothing else that is handed over in this turn depends on it.
   */
  deleteOutgoing(seq: number, contentId?: number, delivered?: boolean): void;
  /**
   * Messages from `from` on, not beyond `to`, once everything handed over before is on disk. `next` is where to go on;
   * null: that was the last.
   */
  readOutgoing(
    from: number,
    to: number,
    limits: ReadLimits,
  ): Promise<{ messages: StoredMessage[]; next: number | null }>;
  putIncoming(packetId: number): void;
  deleteIncoming(packetId: number): void;
  /** Nothing of the session will be found again. Its rows leave the disk by and by. */
  remove(): void;
}

export interface RetainedMessage extends StoredContent {
  readonly qos: 0 | 1 | 2;
  readonly storedAt: number;
  /** The login of who published it, and pays for it; null in rows of a time when that was not kept. */
  readonly owner: string | null;
}

/** Every retained message, in memory; changes go to the current group. */
export interface RetainedIndex {
  /** Writes a long one apart, ahead of time. Returns the message to be set, or discarded. */
  prepare(message: RetainedMessage): Promise<RetainedMessage>;
  discard(message: RetainedMessage): void;
  /** Returns the message that was replaced. */
  set(message: RetainedMessage): RetainedMessage | undefined;
  /** Returns the message that was deleted. */
  delete(topic: string): RetainedMessage | undefined;
  get(topic: string): RetainedMessage | undefined;
  /** What a valid filter matches. The cost follows the branches that the filter enters, not the total. */
  match(filter: string): RetainedMessage[];
  /** The same in steps, since it may be long: what comes after its beginning is left out, what goes may be in it. */
  walk(filter: string): Generator<undefined, RetainedMessage[], void>;
  readonly size: number;
  [Symbol.iterator](): Iterator<RetainedMessage>;
}

export interface UserRecord {
  /** Those that the credential backend told of when the user logged in last. */
  readonly groups: readonly string[];
  /** What an operator decided about the user's limits. */
  readonly override?: {
    readonly limits: Readonly<Record<string, number>>;
    readonly since: number;
    readonly until: number | null;
    readonly reason: string;
  };
}

export interface StoredWill {
  readonly clientId: string;
  readonly login: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: Buffer | null;
  /** How long the message lives once it is published, in seconds; null: it does not expire. */
  readonly expirySeconds: number | null;
  /** How long after the end of its connection it is published. */
  readonly delaySeconds: number;
  /** A date: when it is published, once its connection has ended; null while that lives. */
  readonly dueAt: number | null;
}
