import type { Entry } from './outgoing-entry.js';

/**
 * The messages that were sent and are not acknowledged, in the order they were sent. There are few (20 by default) and
 * acknowledgements come in order, so a search from the front of an array beats a map (bench row "QoS 1, 1 → 1").
 */
export class InflightWindow {
  private readonly entries: Entry[] = [];

  get size(): number {
    return this.entries.length;
  }

  add(entry: Entry): void {
    this.entries.push(entry);
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
    if (entries[0] === entry) entries.shift();
    else entries.splice(entries.indexOf(entry), 1);
  }

  clear(): void {
    this.entries.length = 0;
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.entries[Symbol.iterator]();
  }
}
