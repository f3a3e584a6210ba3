import { Readable } from 'node:stream';
import AsyncLevelPersistence, {
  type LibraryClient,
  type LibraryPacket,
  type LibrarySubscription,
} from 'aedes-persistence-level/asyncPersistence.js';
import type { Clock } from '../clock.js';
import type { RetainedMessage, StoredSubscription } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { rangeOf, splitClientKey, WILL } from './keys.js';
import { LibraryDatabase } from './library-database.js';
import { LibraryQueue } from './library-queue.js';
import { decodeSubscription } from './records.js';
import type { RetainedTree } from './retained-index.js';
import type { SessionTable } from './session-table.js';
import { fromLibrary, toLibrary } from './subscription-options.js';
import { SubscriptionTree } from './subscription-tree.js';

/**
 * aedes-persistence-level over the groups. What it does well stays its own: Wills, received QoS 2 packets, the layout of
 * the keys. Replaced is what loses or costs:
 * - its matcher forgets a filter of a client when another one of that client overlaps;
 * - its retained lookup reads and decodes every retained message for every filter;
 * - its queue is written three times per message and sorts by broker id, which is random, before the order of arrival;
 * - its Wills of an earlier run are not told from those of this one when the broker's id is fixed.
 */
export class LevelPersistence extends AsyncLevelPersistence {
  readonly #group: GroupCommit;
  readonly #database: LibraryDatabase;
  readonly #sessions: SessionTable;
  readonly #retained: RetainedTree;
  readonly #queue: LibraryQueue;
  readonly #clock: Clock;
  /** Made when it is asked for the first time: a broker that routes by itself never does. */
  #matcher: Promise<SubscriptionTree> | null = null;
  /** Retained packets as aedes handed them over, while this process lives: it finds again whatever it put there. */
  readonly #packets = new WeakMap<RetainedMessage, LibraryPacket>();
  /** Client ids whose Will was put in this run. The others were left behind. */
  readonly #wills = new Set<string>();

  constructor(options: { group: GroupCommit; sessions: SessionTable; retained: RetainedTree; clock: Clock }) {
    const database = new LibraryDatabase(options.group);
    super(database);
    this.#group = options.group;
    this.#database = database;
    this.#sessions = options.sessions;
    this.#retained = options.retained;
    this.#clock = options.clock;
    this.#queue = new LibraryQueue(options.sessions, database);
  }

  override async storeRetained(packet: LibraryPacket): Promise<void> {
    const { topic } = packet;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    if (payload.length === 0) {
      this.#retained.delete(topic);
    } else {
      this.#retained.set({ topic, payload, qos: packet.qos, properties: null, storedAt: this.#clock.epochMs() });
      const kept = this.#retained.get(topic)!;
      this.#packets.set(kept, { ...packet, payload: kept.payload });
    }
    await this.#database.written();
  }

  override createRetainedStream(pattern: string): Readable {
    return this.createRetainedStreamCombi([pattern]);
  }

  /** A message that several patterns match comes once. */
  override createRetainedStreamCombi(patterns: string[]): Readable {
    const matches = new Set(patterns.flatMap((pattern) => this.#retained.match(pattern)));
    return Readable.from(this.#toPackets(matches));
  }

  *#toPackets(messages: Iterable<RetainedMessage>): Generator<LibraryPacket> {
    for (const message of messages) {
      const { topic, payload, qos } = message;
      yield { ...(this.#packets.get(message) ?? { cmd: 'publish', topic, payload, qos, retain: true, dup: false }) };
    }
  }

  override async addSubscriptions(client: LibraryClient, subscriptions: LibrarySubscription[]): Promise<void> {
    this.#sessions.writer(client.id).subscribe(subscriptions.map(fromLibrary));
    await this.#database.written();
  }

  override async removeSubscriptions(client: LibraryClient, filters: string[]): Promise<void> {
    this.#sessions.writer(client.id).unsubscribe(filters);
    await this.#database.written();
  }

  override async subscriptionsByClient(client: LibraryClient): Promise<LibrarySubscription[]> {
    const subscriptions: LibrarySubscription[] = [];
    for await (const { clientId, subscription } of this.#subscriptions(client.id)) {
      if (clientId === client.id) subscriptions.push(toLibrary(subscription));
    }
    return subscriptions;
  }

  /** As the contract has it, subscriptions of QoS 0 are kept but not matched: nothing is queued for them. */
  override async subscriptionsByTopic(topic: string): Promise<(LibrarySubscription & { clientId: string })[]> {
    this.#matcher ??= this.#loadMatcher();
    return (await this.#matcher)
      .match(topic)
      .filter(({ subscription }) => subscription.qos > 0)
      .map(({ clientId, subscription }) => ({ clientId, ...toLibrary(subscription) }));
  }

  async #loadMatcher(): Promise<SubscriptionTree> {
    const tree = new SubscriptionTree();
    // What changes while the rows are read is newer than they are.
    const changed = new Set<string>();
    this.#sessions.listener = {
      added: (clientId, subscription) => {
        changed.add(`${clientId}\n${subscription.filter}`);
        tree.add(clientId, subscription);
      },
      removed: (clientId, filter) => {
        changed.add(`${clientId}\n${filter}`);
        tree.remove(clientId, filter);
      },
    };
    for await (const { clientId, subscription } of this.#subscriptions()) {
      if (!changed.has(`${clientId}\n${subscription.filter}`)) tree.add(clientId, subscription);
    }
    this.#sessions.listener = {
      added: (clientId, subscription) => tree.add(clientId, subscription),
      removed: (clientId, filter) => tree.remove(clientId, filter),
    };
    return tree;
  }

  override async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    const clients = new Set<string>();
    let subsCount = 0;
    for await (const { clientId, subscription } of this.#subscriptions()) {
      clients.add(clientId);
      if (subscription.qos > 0) subsCount++;
    }
    return { subsCount, clientsCount: clients.size };
  }

  override getClientList(filter: string): Readable {
    return Readable.from(this.#clientsOf(filter));
  }

  async *#clientsOf(filter: string): AsyncGenerator<string> {
    for await (const { clientId, subscription } of this.#subscriptions()) {
      if (subscription.filter === filter) yield clientId;
    }
  }

  async *#subscriptions(onlyOf?: string): AsyncGenerator<{ clientId: string; subscription: StoredSubscription }> {
    const prefix = onlyOf === undefined ? 'subscriptions:' : `subscriptions:${encodeURIComponent(onlyOf)}:`;
    for await (const [key, value] of this.#group.entries(rangeOf(prefix))) {
      const { encodedId, rest } = splitClientKey(key, 'subscriptions');
      yield { clientId: decodeURIComponent(encodedId), subscription: decodeSubscription(rest, value) };
    }
  }

  override outgoingEnqueue(subscription: { clientId: string }, packet: LibraryPacket): Promise<void> {
    return this.#queue.enqueue([subscription.clientId], packet);
  }

  /** A client whose subscriptions overlap gets one copy. */
  override outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: LibraryPacket): Promise<unknown> {
    return this.#queue.enqueue(new Set(subscriptions.map(({ clientId }) => clientId)), packet);
  }

  override outgoingUpdate(client: LibraryClient, packet: LibraryPacket): Promise<void> {
    return this.#queue.update(client.id, packet);
  }

  override outgoingClearMessageId(client: LibraryClient, packet: LibraryPacket): Promise<LibraryPacket | undefined> {
    return this.#queue.clear(client.id, packet);
  }

  override outgoingStream(client: LibraryClient): Readable {
    return Readable.from(this.#queue.packets(client.id));
  }

  override putWill(client: LibraryClient, packet: LibraryPacket): Promise<void> {
    this.#wills.add(client.id);
    return super.putWill(client, packet);
  }

  override delWill(client: LibraryClient): Promise<LibraryPacket | undefined> {
    this.#wills.delete(client.id);
    return super.delWill(client);
  }

  /** As `delWill`, at once and without reading. */
  forgetWill(clientId: string): void {
    this.#wills.delete(clientId);
    this.#group.delete(WILL + encodeURIComponent(clientId));
  }

  /** aedes asks with the ids of the brokers that live. One put by an earlier run is due, whatever that run was called. */
  override streamWill(brokers?: Record<string, unknown>): Readable {
    return Readable.from(this.#dueWills(super.streamWill(), brokers));
  }

  async *#dueWills(wills: Readable, brokers?: Record<string, unknown>): AsyncGenerator<LibraryPacket> {
    for await (const will of wills as AsyncIterable<LibraryPacket>) {
      if (brokers === undefined || !Object.hasOwn(brokers, String(will.brokerId))) yield will;
      else if (!this.#wills.has(String(will.clientId))) yield { ...will, brokerId: `${will.brokerId} before` };
    }
  }
}
