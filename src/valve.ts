/**
 * Back-pressure. A valve is closed while there is no room behind it; whoever wants to put something in waits until it
 * opens. Readers of sockets wait for as many valves as are in their way, and go on when the last of them has opened.
 */
export class Valve {
  #closed = false;
  #waiting: Set<() => void> | null = null;

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  /** Whoever waits goes on now, in the order of their coming. */
  open(): void {
    this.#closed = false;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    for (const callback of waiting) callback();
  }

  /** Calls back once, when the valve opens; at once when it is open. */
  whenOpen(callback: () => void): void {
    if (!this.#closed) {
      callback();
      return;
    }
    this.#waiting ??= new Set();
    this.#waiting.add(callback);
  }

  /** Whoever waits with `callback` does not any more, and nothing of it stays here. */
  leave(callback: () => void): void {
    this.#waiting?.delete(callback);
  }

  /** So many wait. */
  get waiting(): number {
    return this.#waiting?.size ?? 0;
  }
}
