import { SLOTS } from '../shard.js';
import type { ContentPlace, OutgoingRecord } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { contentKey } from './keys.js';
import type { Numbers } from './numbering.js';
import { decodeContent, encodeContent } from './outgoing-rows.js';

/** Longer messages are stored once, however many queues have them; in shorter ones the reference would be no gain. */
export const APART_BYTES = 1_024;

/** What long messages say. A row goes when the last queue that has the message lets go of it, in the same group. */
export class SharedContents {
  readonly #group: GroupCommit;
  /** How many queues have the message, by its number. */
  readonly #queues = new Map<number, number>();
  readonly #numbers: Numbers;

  constructor(group: GroupCommit, numbers: Numbers) {
    this.#group = group;
    this.#numbers = numbers;
  }

  /** For one more queue, that of session number `session`. Returns the number of the message's row; 0 when it belongs into the queue's own. */
  keep(record: OutgoingRecord, bytes: number, place: ContentPlace | undefined, session: number): number {
    if (bytes < APART_BYTES) return 0;
    const near = place !== undefined && this.#numbers.beside(place.contentId, session);
    const known = near ? this.#queues.get(place.contentId) : undefined;
    if (known !== undefined) {
      this.#queues.set(place!.contentId, known + 1);
      return place!.contentId;
    }
    const contentId = this.#numbers.next(session % SLOTS);
    this.#queues.set(contentId, 1);
    this.#group.put(contentKey(contentId), place?.row ?? encodeContent(record), true);
    if (place !== undefined) {
      place.contentId = contentId;
      place.row = null;
    }
    return contentId;
  }

  /** A stored queue has it. */
  found(contentId: number): void {
    this.#queues.set(contentId, (this.#queues.get(contentId) ?? 0) + 1);
  }

  /** One queue less has it. */
  release(contentId: number): void {
    const left = (this.#queues.get(contentId) ?? 1) - 1;
    if (left > 0) {
      this.#queues.set(contentId, left);
      return;
    }
    this.#queues.delete(contentId);
    this.#group.delete(contentKey(contentId));
  }

  /** Nobody has it any more, unless somebody was found to have it. */
  releaseUnused(contentId: number): void {
    if (!this.#queues.has(contentId)) this.#group.delete(contentKey(contentId));
  }

  /** Null when it is not there: the store was damaged. */
  async read(contentId: number): Promise<ReturnType<typeof decodeContent> | null> {
    const value = await this.#group.get(contentKey(contentId));
    return value === undefined ? null : decodeContent(value);
  }
}
