/**
 * Messages in a row that the store has and memory has not: whatever waits for a client that is not there. What it takes
 * in memory does not depend on how many they are.
 */
export class StoredRun {
  messages = 0;
  /** Topics, payloads and properties. */
  bytes = 0;
  firstSeq: number;
  lastSeq: number;

  constructor(seq: number) {
    this.firstSeq = seq;
    this.lastSeq = seq;
  }

  /** One more, behind the others. */
  append(seq: number, bytes: number): void {
    this.messages++;
    this.bytes += bytes;
    this.lastSeq = seq;
  }

  /** All of another run, which is behind this one. */
  absorb(next: StoredRun): void {
    this.messages += next.messages;
    this.bytes += next.bytes;
    this.lastSeq = next.lastSeq;
  }

  has(seq: number): boolean {
    return seq >= this.firstSeq && seq <= this.lastSeq;
  }

  /** One of them is not in it any more. */
  remove(bytes: number): void {
    this.messages--;
    this.bytes -= bytes;
  }
}
