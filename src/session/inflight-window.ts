import type { LimitsConfig } from '../config/config.js';
import type { Counters } from '../observe/counters.js';
import type { SessionWriter } from '../store/contract.js';
import { type Entry, recordOf } from './outgoing-entry.js';
import type { Outlet } from './outlet.js';
import type { Sender } from './sender.js';
import type { UserAccount } from './user-account.js';

/** Sends an entry; false: the client does not take packets of that size. */
type Again = Pick<Sender, 'current' | 'entry'>;

/** What an acknowledgement met: `unknown` ids are tolerated, since the flow may have ended long ago. */
export type Acknowledged = 'done' | 'unknown' | 'wrong-kind';

export interface WindowContext {
  readonly limits: LimitsConfig;
  readonly account: UserAccount;
  readonly scheduler: { readonly lookedAtMs: number };
  readonly counters: Pick<Counters, 'deliverySeconds'>;
  /** Calls back once everything handed to the store so far is on disk; at once when it is already. */
  whenStored(callback: () => void): void;
}

/**
 * The messages that were sent and are not acknowledged, in the order they were sent, and the flows of QoS 1 and 2 that
 * end in their acknowledgement. There are few (20 by default) and acknowledgements come in order, so a search from the
 * front of an array beats a map (bench row "QoS 1, 1 → 1").
 */
export class InflightWindow {
  readonly #entries: Entry[] = [];
  /** Those of them that a client that is back has not been sent again yet. */
  #again: Entry[] = [];
  readonly #context: WindowContext;
  /** Null for a session that ends with its connection: then messages are not kept once they are sent. */
  readonly #writer: SessionWriter | null;
  /** How many there may be: what the broker allows, or less when the client takes less. */
  limit: number;

  constructor(context: WindowContext, writer: SessionWriter | null) {
    this.#context = context;
    this.#writer = writer;
    this.limit = context.limits.inflightMessages;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** May a message of `bytes` be sent now? */
  hasRoom(bytes: number): boolean {
    const { account } = this.#context;
    if (this.#entries.length >= this.limit) return false;
    if (this.#writer === null) return true;
    return account.mayQueue(bytes, true);
  }

  /** A persistent session's entry has its message by now. */
  add(entry: Entry): void {
    // Whole numbers need no object of their own. They wrap after 24 days, and so do their differences.
    entry.sentAtMs = this.#context.scheduler.lookedAtMs | 0;
    this.#entries.push(entry);
    if (this.#writer === null) entry.message = null;
    else if (entry.message !== null) this.#context.account.countMessage(entry.message.bytes);
  }

  has(packetId: number): boolean {
    return this.#find(packetId) !== null;
  }

  /** PUBACK: the message is delivered. */
  puback(packetId: number): Acknowledged {
    const entry = this.#find(packetId);
    if (entry === null) return 'unknown';
    if (entry.qos !== 1) return 'wrong-kind';
    this.#observe(entry);
    this.#finish(entry);
    return 'done';
  }

  /** PUBREC: the receiver has the message. PUBREL answers it, also one for a message that is not known any more. */
  pubrec(packetId: number, outlet: () => Outlet | null): Acknowledged {
    const entry = this.#find(packetId);
    if (entry === null) {
      outlet()?.pubrel(packetId, false);
      return 'unknown';
    }
    if (entry.qos !== 2) return 'wrong-kind';
    this.release(entry, outlet);
    return 'done';
  }

  /** PUBCOMP: the flow of a QoS 2 message ends. */
  pubcomp(packetId: number): Acknowledged {
    const entry = this.#find(packetId);
    if (entry === null) return 'unknown';
    if (entry.qos !== 2 || !entry.released) return 'wrong-kind';
    this.#observe(entry);
    this.#finish(entry);
    return 'done';
  }

  /** PUBREC with an error: the receiver does not take the message, and its flow ends (4.3.3). */
  refused(packetId: number): Acknowledged {
    const entry = this.#find(packetId);
    if (entry === null) return 'unknown';
    if (entry.qos !== 2 || entry.released) return 'wrong-kind';
    this.#finish(entry);
    return 'done';
  }

  /** Takes out the messages beyond the limit that are to be sent again: the client has no room for them yet. */
  takeSurplus(): Entry[] {
    const surplus: Entry[] = [];
    for (let i = this.limit; i < this.#entries.length; ) {
      const entry = this.#entries[i]!;
      // PUBREL is no PUBLISH: what is released does not count.
      if (entry.released || entry.message === null) i++;
      else {
        this.#entries.splice(i, 1);
        if (this.#writer !== null) this.#context.account.forgetMessage(entry.message.bytes);
        surplus.push(entry);
      }
    }
    return surplus;
  }

  /**
   * The client is back: what was begun goes on in its order, as far as there is room now. What has to be released needs
   * none: also behind a message that waits, it is told at once.
   */
  resume(sender: Again): void {
    this.#again = [];
    for (const entry of [...this.#entries]) {
      if (entry.released) this.release(entry, sender.current);
      else if (this.#again.length === 0 && sender.current()?.hasRoom === true) this.#sendAgain(entry, sender);
      else this.#again.push(entry);
    }
  }

  get hasAgain(): boolean {
    return this.#again.length > 0;
  }

  /** Sends the next one that is to be sent again. False: there is none. */
  sendAgain(sender: Again): boolean {
    while (this.#again.length > 0) {
      const entry = this.#again.shift()!;
      // What has been acknowledged since has none.
      if (entry.message === null) continue;
      this.#sendAgain(entry, sender);
      return true;
    }
    return false;
  }

  /** The flow of what the client does not take any more ends here. */
  #sendAgain(entry: Entry, sender: Again): void {
    if (!sender.entry(entry)) this.#finish(entry);
  }

  /** The receiver has the message of this QoS 2 entry: PUBREL is sent, by whatever outlet there is then. */
  release(entry: Entry, outlet: () => Outlet | null): void {
    if (!entry.released) {
      entry.released = true;
      if (this.#writer !== null) this.#writer.releaseOutgoing(recordOf(entry), entry.message?.contentId);
      entry.ticket?.receiverDone();
      entry.ticket = null;
      this.#forgetMessage(entry);
    }
    if (this.#writer === null || entry.releaseStored) {
      outlet()?.pubrel(entry.packetId, true);
      return;
    }
    // A receiver that was told to forget the packet id would take the message, sent again after a crash, for a new one
    // [MQTT-4.3.3-2]: PUBREL leaves once it is on disk that the receiver has it.
    this.#context.whenStored(() => {
      // Asked once per PUBREC and once per connection meanwhile, answered once.
      if (entry.releaseStored) return;
      entry.releaseStored = true;
      if (this.#find(entry.packetId) === entry) outlet()?.pubrel(entry.packetId, true);
    });
  }

  /** The session ends. */
  clear(): void {
    for (const entry of this.#entries) {
      entry.ticket?.receiverDone();
      this.#forgetMessage(entry);
    }
    this.#entries.length = 0;
    this.#again = [];
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.#entries[Symbol.iterator]();
  }

  #find(packetId: number): Entry | null {
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.packetId === packetId) return entry;
    }
    return null;
  }

  /** How long the oldest has been in flight, in milliseconds; null: none is. */
  get oldestMs(): number | null {
    const oldest = this.#entries[0];
    return oldest === undefined ? null : this.#ageOf(oldest);
  }

  #ageOf(entry: Entry): number {
    return ((this.#context.scheduler.lookedAtMs | 0) - entry.sentAtMs) | 0;
  }

  #observe(entry: Entry): void {
    this.#context.counters.deliverySeconds[entry.qos === 1 ? 0 : 1].observe(this.#ageOf(entry) * 1e-3);
  }

  #finish(entry: Entry): void {
    const entries = this.#entries;
    const contentId = entry.message?.contentId;
    this.#forgetMessage(entry);
    if (entries[0] === entry) entries.shift();
    else entries.splice(entries.indexOf(entry), 1);
    if (this.#writer !== null) {
      this.#writer.deleteOutgoing(entry.seq, contentId, true);
      entry.ticket?.receiverDone();
    }
  }

  #forgetMessage(entry: Entry): void {
    if (this.#writer !== null && entry.message !== null) {
      this.#context.account.forgetMessage(entry.message.bytes);
    }
    entry.message = null;
  }
}
