/**
 * What stands between a publisher and its PUBACK or PUBREC. Made only for messages that the store must keep; queue
 * entries keep it for as long as they live, so it refers to no bytes.
 */
export class SafetyTicket {
  /** On disk, all of it. */
  safe = false;
  /** Parts that are neither on disk nor acknowledged by their receiver yet. */
  #pending = 0;
  #onSafe: ((failed: boolean) => void) | null = null;
  /** What its user is charged with for as long as it is on the disk's way. */
  #charge: { done(bytes: number): void } | null = null;
  #chargedBytes = 0;
  #queues: { pump(): void }[] | null = null;

  /** How many parts are neither on disk nor acknowledged. */
  get pending(): number {
    return this.#pending;
  }

  /** One more part was handed to the store. */
  add(): this {
    this.#pending++;
    return this;
  }

  /** A receiver acknowledged its part before that was on disk: nothing of it can be lost any more. */
  receiverDone(): void {
    if (this.#pending > 0 && --this.#pending === 0) this.#answer(false);
  }

  /** Everything that was handed to the store for this message is on disk. */
  committed(): void {
    this.safe = true;
    this.#pending = 0;
    this.#charge?.done(this.#chargedBytes);
    this.#charge = null;
    this.#answer(false);
    const queues = this.#queues;
    this.#queues = null;
    if (queues !== null) for (const queue of queues) queue.pump();
  }

  /** The store could not keep the message: the publisher must not be told that it is safe. */
  failed(): void {
    this.#answer(true);
  }

  /** `charge` gets these bytes back when it is committed. */
  charged(charge: { done(bytes: number): void }, bytes: number): void {
    this.#charge = charge;
    this.#chargedBytes = bytes;
  }

  /** `queue` has the message at hand and pumps again once it is safe. */
  wakes(queue: { pump(): void }): void {
    this.#queues ??= [];
    this.#queues.push(queue);
  }

  /** Calls back once: when the message is safe, or could not be made so. */
  whenSafe(callback: (failed: boolean) => void): void {
    this.#onSafe = callback;
  }

  #answer(failed: boolean): void {
    const onSafe = this.#onSafe;
    if (onSafe === null) return;
    this.#onSafe = null;
    onSafe(failed);
  }
}
