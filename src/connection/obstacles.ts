import type { Valve } from '../valve.js';

/** The closed valves that a reader waits for: it goes on when the last of them has opened. */
export class Obstacles {
  #valves: readonly Valve[] = [];
  readonly #onOpened: () => void;

  constructor(onOpened: () => void) {
    this.#onOpened = onOpened;
  }

  get any(): boolean {
    return this.#valves.length > 0;
  }

  /** Nothing, when it is open. */
  add(valve: Valve): void {
    if (!valve.closed || this.#valves.includes(valve)) return;
    this.#valves = [...this.#valves, valve];
    valve.whenOpen(() => {
      this.#valves = this.#valves.filter((other) => other !== valve);
      this.#onOpened();
    });
  }

  /** It goes on, whatever is closed. */
  clear(): void {
    this.#valves = [];
  }
}
