import { slotOf } from '../shard.js';
import type { GroupCommit } from './group-commit.js';
import { loginOf, numberText, sessionKey } from './keys.js';
import type { Numbers } from './numbering.js';
import type { SharedContents } from './shared-contents.js';
import type { Sweeper } from './sweeper.js';

/** A session's place in the store. One that is removed and made again has another one. */
export class SessionRows {
  readonly number: number;
  readonly key: string;
  /** What the keys of its queue begin with. */
  readonly outgoing: string;
  /** The highest `seq` that there ever was a row for. */
  lastSeq = 0;
  gone = false;

  constructor(number: number) {
    this.number = number;
    this.key = sessionKey(number);
    this.outgoing = `${this.key}:o:`;
  }

  message(seq: number): string {
    return this.outgoing + numberText(seq);
  }

  incoming(packetId: number): string {
    return `${this.key}:i:${numberText(packetId)}`;
  }

  request(place: number): string {
    return `${this.key}:r:${numberText(place)}`;
  }

  position(place: number): string {
    return `${this.key}:t:${numberText(place)}`;
  }

  subscription(filter: string): string {
    return `${this.key}:s:${filter}`;
  }
}

/** The sessions by client id. */
export class SessionNumbers {
  readonly #rows = new Map<string, SessionRows>();
  readonly #numbers: Numbers;

  constructor(numbers: Numbers) {
    this.#numbers = numbers;
  }

  /** A new place, when there is none. */
  of(clientId: string): SessionRows {
    const known = this.#rows.get(clientId);
    if (known !== undefined) return known;
    const rows = new SessionRows(this.#numbers.next(slotOf(loginOf(clientId))));
    this.#rows.set(clientId, rows);
    return rows;
  }

  get(clientId: string): SessionRows | undefined {
    return this.#rows.get(clientId);
  }

  /** One that was found. */
  add(clientId: string, rows: SessionRows): void {
    this.#rows.set(clientId, rows);
  }

  forget(clientId: string, rows: SessionRows): void {
    rows.gone = true;
    this.#rows.delete(clientId);
  }
}

/** What sessions are kept in. */
export interface SessionParts {
  readonly group: GroupCommit;
  readonly numbers: SessionNumbers;
  readonly contents: SharedContents;
  readonly sweeper: Sweeper;
}
