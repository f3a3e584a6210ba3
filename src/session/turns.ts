import { Valve } from '../valve.js';
import { Deque } from './deque.js';

/** Whoever takes it has it alone; the others wait, and get it in the order in which they asked. */
export class Turns {
  readonly #waiting = new Deque<Valve>();
  #taken = false;

  *take(): Generator<Valve, void, void> {
    if (!this.#taken) {
      this.#taken = true;
      return;
    }
    const valve = new Valve();
    valve.close();
    this.#waiting.push(valve);
    yield valve;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next.open();
  }
}
