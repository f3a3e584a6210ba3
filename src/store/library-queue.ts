import type { LibraryPacket } from 'aedes-persistence-level/asyncPersistence.js';
import type { OutgoingRecord } from './contract.js';
import { clientPrefix, padNumber, rangeOf } from './keys.js';
import type { LibraryDatabase } from './library-database.js';
import { decodeOutgoing, type Origin } from './records.js';
import type { SessionTable } from './session-table.js';

/** What tells a message apart for aedes: the broker that took it and that broker's counter. */
const originKey = (brokerId: unknown, brokerCounter: unknown): string => `${brokerCounter} ${brokerId}`;

/** Where the messages of one client are. */
interface ClientQueue {
  nextSeq: number;
  readonly byOrigin: Map<string, number>;
  readonly byPacketId: Map<number, number>;
}

type QueuedRecord = OutgoingRecord & { origin?: Origin };

/**
 * The queues of aedes's persistence contract, in the rows of the sessions: one write per message and in the order of
 * arrival. The contract adds what a session of ours need not keep, the origin of a message, by which aedes asks for it.
 */
export class LibraryQueue {
  readonly #sessions: SessionTable;
  readonly #database: LibraryDatabase;
  readonly #queues = new Map<string, Promise<ClientQueue>>();

  constructor(sessions: SessionTable, database: LibraryDatabase) {
    this.#sessions = sessions;
    this.#database = database;
  }

  async enqueue(clientIds: Iterable<string>, packet: LibraryPacket): Promise<void> {
    const { brokerId = '', brokerCounter = 0, payload } = packet;
    const text = typeof payload === 'string';
    for (const clientId of clientIds) {
      const queue = await this.#of(clientId);
      const seq = queue.nextSeq++;
      const record: QueuedRecord = {
        seq,
        packetId: 0,
        qos: packet.qos === 2 ? 2 : 1,
        retain: packet.retain,
        released: false,
        sent: false,
        topic: packet.topic,
        payload: text ? Buffer.from(payload) : payload,
        properties: null,
        origin: { brokerId, brokerCounter, text },
      };
      queue.byOrigin.set(originKey(brokerId, brokerCounter), seq);
      this.#put(clientId, record);
    }
    await this.#database.written();
  }

  /** Gives a message its packet id, or, for a PUBREL, says that only that is owed any more. */
  async update(clientId: string, packet: LibraryPacket): Promise<void> {
    const queue = await this.#of(clientId);
    const packetId = packet.messageId ?? 0;
    const seq = packet.brokerId
      ? queue.byOrigin.get(originKey(packet.brokerId, packet.brokerCounter))
      : queue.byPacketId.get(packetId);
    const record = seq === undefined ? undefined : await this.#read(clientId, seq);
    if (record === undefined) throw new Error('no such packet');
    packet.brokerId = record.origin?.brokerId;
    if (record.origin !== undefined) packet.brokerCounter = record.origin.brokerCounter;
    record.packetId = packetId;
    if (packet.cmd === 'pubrel') record.released = true;
    queue.byPacketId.set(packetId, record.seq);
    this.#put(clientId, record);
    await this.#database.written();
  }

  async clear(clientId: string, packet: LibraryPacket): Promise<LibraryPacket | undefined> {
    const queue = await this.#of(clientId);
    const packetId = packet.messageId ?? 0;
    const seq = queue.byPacketId.get(packetId);
    const record = seq === undefined ? undefined : await this.#read(clientId, seq);
    if (record === undefined) return undefined;
    queue.byPacketId.delete(packetId);
    if (record.origin) queue.byOrigin.delete(originKey(record.origin.brokerId, record.origin.brokerCounter));
    this.#sessions.writer(clientId).deleteOutgoing(record.seq);
    await this.#database.written();
    return toPacket(record);
  }

  async *packets(clientId: string): AsyncGenerator<LibraryPacket> {
    for await (const record of this.#records(clientId)) yield toPacket(record);
  }

  /** The client's queue, from what is stored when it is asked for the first time. */
  #of(clientId: string): Promise<ClientQueue> {
    let queue = this.#queues.get(clientId);
    if (queue === undefined) {
      queue = this.#load(clientId);
      this.#queues.set(clientId, queue);
      queue.catch(() => this.#queues.delete(clientId));
    }
    return queue;
  }

  async #load(clientId: string): Promise<ClientQueue> {
    const queue: ClientQueue = { nextSeq: 1, byOrigin: new Map(), byPacketId: new Map() };
    const { outgoing } = this.#sessions.rowsOf(clientId);
    for await (const record of this.#records(clientId)) {
      outgoing.add(record.seq);
      queue.nextSeq = record.seq + 1;
      if (record.origin) {
        queue.byOrigin.set(originKey(record.origin.brokerId, record.origin.brokerCounter), record.seq);
      }
      if (record.packetId !== 0) queue.byPacketId.set(record.packetId, record.seq);
    }
    return queue;
  }

  async *#records(clientId: string): AsyncGenerator<QueuedRecord> {
    const prefix = clientPrefix('outgoing', clientId);
    for await (const [key, value] of this.#sessions.group.entries(rangeOf(prefix))) {
      yield decodeOutgoing(Number(key.slice(prefix.length)), value);
    }
  }

  async #read(clientId: string, seq: number): Promise<QueuedRecord | undefined> {
    const value = await this.#sessions.group.get(clientPrefix('outgoing', clientId) + padNumber(seq));
    return value === undefined ? undefined : decodeOutgoing(seq, value);
  }

  #put(clientId: string, record: QueuedRecord): void {
    this.#sessions.writer(clientId).putOutgoing(record, record.origin);
  }
}

function toPacket(record: QueuedRecord): LibraryPacket {
  const origin = { brokerId: record.origin?.brokerId, brokerCounter: record.origin?.brokerCounter ?? 0 };
  const messageId = record.packetId === 0 ? undefined : record.packetId;
  if (record.released) return { cmd: 'pubrel', messageId, ...origin } as LibraryPacket;
  const { topic, qos, retain } = record;
  const payload = record.origin?.text ? record.payload.toString() : record.payload;
  return { cmd: 'publish', ...origin, topic, payload, qos, retain, dup: false, messageId };
}
