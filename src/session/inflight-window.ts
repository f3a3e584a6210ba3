import type { LimitsConfig } from '../config/config.js';
import type { Entry } from './outgoing-entry.js';
import type { UserAccount } from './user-account.js';

/**
 * The messages that were sent and are not acknowledged, in the order they were sent. There are few (20 by default) and
 * acknowledgements come in order, so a search from the front of an array beats a map (bench row "QoS 1, 1 → 1").
 */
export class InflightWindow {
  private readonly entries: Entry[] = [];
  private readonly limits: LimitsConfig;
  /** Who pays for the messages; null when they are not kept once they are sent. */
  private readonly account: UserAccount | null;

  constructor(limits: LimitsConfig, account: UserAccount | null) {
    this.limits = limits;
    this.account = account;
  }

  get size(): number {
    return this.entries.length;
  }

  /** May a message of `bytes` be sent now? */
  hasRoom(bytes: number): boolean {
    const { limits, account, entries } = this;
    if (entries.length >= limits.inflightMessages) return false;
    return account === null || account.queuedBytes + bytes <= limits.queuedBytesPerUser;
  }

  /** A persistent session's entry has its message by now. */
  add(entry: Entry): void {
    this.entries.push(entry);
    if (this.account === null) entry.message = null;
    else this.account.queuedBytes += entry.message?.body.length ?? 0;
  }

  /** The message itself is not needed any more. */
  letGo(entry: Entry): void {
    if (this.account !== null) this.account.queuedBytes -= entry.message?.body.length ?? 0;
    entry.message = null;
  }

  has(packetId: number): boolean {
    return this.find(packetId) !== null;
  }

  find(packetId: number): Entry | null {
    const { entries } = this;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.packetId === packetId) return entry;
    }
    return null;
  }

  delete(entry: Entry): void {
    const { entries } = this;
    this.letGo(entry);
    if (entries[0] === entry) entries.shift();
    else entries.splice(entries.indexOf(entry), 1);
  }

  clear(): void {
    for (const entry of this.entries) this.letGo(entry);
    this.entries.length = 0;
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.entries[Symbol.iterator]();
  }
}
