import type { Valve } from '../valve.js';

/** A closed valve, and what waits there. */
interface Obstacle {
  readonly valve: Valve;
  readonly opened: () => void;
}

/**
 * The closed valves that a reader waits for: it goes on when the last of them has opened. A valve may stay closed for
 * hours, and many connections come and go meanwhile: whoever waits no longer has left all of them.
 */
export class Obstacles {
  #met: readonly Obstacle[] = [];
  #closed = false;
  readonly #onOpened: () => void;

  constructor(onOpened: () => void) {
    this.#onOpened = onOpened;
  }

  get any(): boolean {
    return this.#met.length > 0;
  }

  /** Nothing, when it is open. */
  add(valve: Valve): void {
    if (!valve.closed || this.#closed || this.#met.some((other) => other.valve === valve)) return;
    const obstacle: Obstacle = { valve, opened: () => this.#opened(obstacle) };
    this.#met = [...this.#met, obstacle];
    valve.whenOpen(obstacle.opened);
  }

  /** It goes on, whatever is closed. */
  clear(): void {
    for (const { valve, opened } of this.#met) valve.leave(opened);
    this.#met = [];
  }

  /** It waits for nothing any more, whatever closes. */
  close(): void {
    this.clear();
    this.#closed = true;
  }

  #opened(obstacle: Obstacle): void {
    this.#met = this.#met.filter((other) => other !== obstacle);
    this.#onOpened();
  }
}
